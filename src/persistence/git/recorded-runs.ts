import type { MachineRecord, RunHead } from '../../actors/contracts/store.ts'
import type { Creation, NewUnit, Unit } from '../../actors/contracts/unit.ts'
import { deepFreeze } from '../deep-freeze.ts'
import { emptyBeside } from '../judge.ts'
import { readHead } from './branch.ts'
import { badCommit } from './failures.ts'
import { readMachine } from './machine-commit.ts'
import type { RunProvenance, UnitProvenance } from './provenance.ts'
import { ProvenanceIndex } from './provenance-index.ts'
import type { Repository } from './repository.ts'
import { type Beginning, blamingOldest, createdIn, type Link, readCreation, readUnit, walkBack } from './run-history.ts'

const unrecorded: UnitProvenance = Object.freeze({ outputs: Object.freeze([]) })

/** Runs as their commits tell them, with what was recorded of them beside, as far as the repository has it. */
export class RecordedRuns {
  readonly #repository: Repository
  readonly #provenance: ProvenanceIndex
  readonly #machines = new Map<string, MachineRecord>()

  constructor(repository: Repository) {
    this.#repository = repository
    this.#provenance = new ProvenanceIndex(repository)
  }

  /** Learns what was recorded. @param provenance where its branch stands; `undefined`: there is none */
  learn(provenance: string | undefined): void {
    this.#provenance.learn(provenance)
  }

  /** Whether all own units of a run have their provenance: without, what was recorded cannot be compared. */
  isRecorded({ run, seq, fork }: RunHead): boolean {
    let count = 0
    const from = fork === undefined ? 0 : fork.seq + 1
    for (const _unit of this.#provenance.units(run, from, seq)) count++
    return count === seq - from + 1 && this.#provenance.run(run) !== undefined
  }

  /** How a run stands. @param oid its branch's commit @throws COMMIT_DAMAGED with the oldest bad commit */
  head(run: string, oid: string): RunHead {
    return blamingOldest(this.#repository, run, oid, () => this.#head(run, oid))
  }

  #head(run: string, oid: string): RunHead {
    const repository = this.#repository
    // Says how far it goes.
    if (repository.shallow.size > 0) walkBack(repository, run, oid, 0)
    const { seq, machine } = readHead(repository, run, oid)
    const creation = readCreation(repository, run)
    const { namespace, key, fork } = creation
    // A run stands on its machine's commit, which no unit's bytes show.
    if (fork === undefined && repository.shallow.size === 0 && this.#machine(creation.machine) === undefined)
      throw badCommit(run, run, `its machine ${creation.machine} is missing`, { object: creation.machine })
    const record = this.#machine(machine)
    const provenance = this.#provenance.run(run)
    const created = provenance?.created ?? this.#created(run, oid, creation)
    const at = oid === run ? created : readUnit(repository, walkBack(repository, run, oid, seq)[0]!).at
    const { time, revision, status, value, due, lease, beside } = provenance ?? unknown(seq - (fork?.at ?? 0))
    return deepFreeze({
      run,
      namespace,
      ...(key !== undefined && { key }),
      time,
      machine,
      machineId: record?.id ?? '',
      version: record?.version ?? '',
      seq,
      revision,
      at,
      status,
      ...(value !== undefined && { value }),
      due,
      ...(lease && { lease }),
      ...(fork && { fork: { ...beginning(creation, time, fork.at, created), ...this.#provenanceOf(run, fork.at) } }),
      beside,
    })
  }

  #machine(oid: string): MachineRecord | undefined {
    const known = this.#machines.get(oid) ?? readMachine(this.#repository, oid)
    if (known !== undefined) this.#machines.set(oid, known)
    return known
  }

  /** The time of a creation, by the unit that follows it; of a fork without one, the time of the unit it shares. */
  #created(run: string, head: string, { fork }: Beginning): number {
    const from = fork?.at ?? 0
    const links = walkBack(this.#repository, run, head, from)
    const first = links.find(link => link.run === run && link.seq === from + 1)
    if (first !== undefined) return createdIn(this.#repository, first) ?? 0
    const shared = links.at(-1)!
    return shared.oid === shared.run ? 0 : readUnit(this.#repository, shared).at
  }

  /** What was recorded of one commit of a run. */
  #provenanceOf(run: string, seq: number): UnitProvenance | undefined {
    for (const [, provenance] of this.#provenance.units(run, seq, seq)) return provenance
    return undefined
  }

  /** The unit of a commit; of the commit of a fork, which is no unit, nothing. */
  unit(link: Link, next: Link | undefined): Unit | undefined {
    const { oid, run, seq } = link
    if (oid !== run) {
      const { id, at, events, origin, machine } = readUnit(this.#repository, link)
      const { outputs } = unrecorded
      const unit = { run, seq, id, at, events, origin, outputs }
      return origin.kind === 'migration' ? { ...unit, machine } : unit
    }
    const creation = readCreation(this.#repository, run)
    if (creation.fork !== undefined) return undefined
    const provenance = this.#provenance.run(run)
    const created = (next?.run === run ? createdIn(this.#repository, next) : undefined) ?? provenance?.created ?? 0
    return { ...deepFreeze(beginning(creation, provenance?.time ?? 'arrival', seq, created)), run, id: oid }
  }

  /** Units with what was recorded of them, run by run: a fork's history is of several. */
  withRecorded(units: readonly Unit[]): Unit[] {
    const recorded: Unit[] = []
    for (let start = 0; start < units.length; ) {
      const { run, seq } = units[start]!
      let end = start + 1
      while (end < units.length && units[end]!.run === run) end++
      for (const [at, provenance] of this.#provenance.units(run, seq, units[end - 1]!.seq))
        recorded[start + at - seq] = Object.freeze(Object.assign(units[start + at - seq]!, provenance))
      for (; start < end; start++) recorded[start] ??= Object.freeze(units[start]!)
    }
    return recorded
  }
}

/** What is not kept beside a run whose provenance is not there. */
function unknown(units: number): Omit<RunProvenance, 'created'> {
  return { time: 'arrival', revision: units + 1, status: 'active', due: null, beside: emptyBeside }
}

function beginning(creation: Beginning, time: Creation['time'], seq: number, at: number): Omit<NewUnit, 'epoch'> {
  return { seq, at, events: [], origin: { kind: 'outside' }, outputs: [], creation: { ...creation, time } }
}
