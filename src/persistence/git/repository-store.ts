import { batchStream } from '../../actors/batch-stream.ts'
import type {
  ListOptions,
  MachineRecord,
  ReadOptions,
  RunHead,
  Store,
  StoredSnapshot,
} from '../../actors/contracts/store.ts'
import type { Creation, NewUnit, ObjectFormat, Unit } from '../../actors/contracts/unit.ts'
import { aborted, XMachinesError } from '../../actors/errors.ts'
import { machineId } from '../../actors/identity/index.ts'
import { deepFreeze } from '../deep-freeze.ts'
import { nextTurn } from '../filesystem/turns.ts'
import { emptyBeside } from '../judge.ts'
import { readHead } from './branch.ts'
import { parseCommit, parseTree } from './commit.ts'
import { foreign } from './failures.ts'
import { digitsOf, isId, ownRef, provenanceRef } from './layout.ts'
import type { RunProvenance, UnitProvenance } from './provenance.ts'
import { ProvenanceIndex } from './provenance-index.ts'
import type { Repository } from './repository.ts'
import { type Beginning, commitAt, createdIn, type Link, readCreation, readUnit, walkBack } from './run-history.ts'
import { readSnapshot } from './snapshot-file.ts'

const batchSize = 256
const unrecorded: UnitProvenance = Object.freeze({ outputs: Object.freeze([]) })

type SignalOptions = { readonly signal?: AbortSignal | undefined }

/**
 * The runs of a repository, to read: of one that an archive writes, or of any clone of it. Shows the branches as they were
 * at the first operation. Each commit's id is checked against its bytes when it is read.
 *
 * Of units whose provenance the clone has not got, outputs and state hashes are not known.
 */
export class RepositoryStore implements Store {
  readonly location: string
  readonly #open: () => Repository
  readonly #pushed: ReadonlyMap<string, string>
  #repository: Repository | undefined
  #index: ProvenanceIndex | undefined
  #branches: ReadonlyMap<string, string> | undefined
  #sorted: readonly string[] = []
  #pins: ReadonlyMap<string, string> | undefined
  #closed = false

  /** @param pushed refs that are about to be set, which count instead of those that are */
  constructor(gitdir: string, open: () => Repository, pushed: ReadonlyMap<string, string> = new Map()) {
    this.location = gitdir
    this.#open = open
    this.#pushed = pushed
  }

  get objectFormat(): ObjectFormat {
    return this.repository.objectFormat
  }

  /** @throws STORE_MISSING, STORE_FOREIGN, STORE_FORMAT */
  get repository(): Repository {
    this.#repository ??= this.#open()
    return this.#repository
  }

  get #provenance(): ProvenanceIndex {
    this.#index ??= new ProvenanceIndex(this.repository.objects)
    return this.#index
  }

  read(run: string, options: ReadOptions = {}): ReadableStream<Unit> {
    return batchStream(this.#units(run, options))
  }

  head(run: string, options?: SignalOptions): Promise<RunHead | undefined> {
    return this.#do(options, branches => {
      const oid = branches.get(run)
      return oid === undefined ? undefined : this.#headOf(run, oid)
    })
  }

  find(namespace: string, key: string, options?: SignalOptions): Promise<string | undefined> {
    return this.#do(options, branches => {
      this.#pins ??= pinsOf(this.repository, branches.keys())
      return this.#pins.get(JSON.stringify([namespace, key]))
    })
  }

  list(options: ListOptions = {}): ReadableStream<RunHead> {
    return batchStream(this.#heads(options))
  }

  machine(oid: string, options?: SignalOptions): Promise<MachineRecord | undefined> {
    return this.#do(options, () => (isId(oid, this.objectFormat) ? readMachine(this.repository, oid) : undefined))
  }

  /** The newest one that lies in the repository, if the history has the unit that it names. */
  loadSnapshot(
    run: string,
    options: SignalOptions & { readonly atMost?: number } = {},
  ): Promise<StoredSnapshot | undefined> {
    return this.#do(options, branches => {
      const { atMost = Number.POSITIVE_INFINITY } = options
      const head = branches.get(run)
      const found = head === undefined ? undefined : readSnapshot(this.repository, run)
      if (found === undefined || found.seq > atMost) return undefined
      return commitAt(this.repository, run, head!, found.seq) === found.id ? found : undefined
    })
  }

  /** Whether all own units of a run have their provenance: without, what was recorded cannot be compared. */
  isRecorded({ run, seq, fork }: RunHead): boolean {
    let count = 0
    const from = fork === undefined ? 0 : fork.seq + 1
    for (const _unit of this.#provenance.units(run, from, seq)) count++
    return count === seq - from + 1 && this.#provenance.run(run) !== undefined
  }

  append = (): Promise<never> => this.#refuse()
  claim = (): Promise<never> => this.#refuse()
  release = (): Promise<never> => this.#refuse()
  deliver = (): Promise<never> => this.#refuse()
  renew = (): Promise<never> => this.#refuse()
  lease = (): Promise<undefined> => Promise.resolve(undefined)
  due = (): Promise<readonly []> => Promise.resolve([])
  /** A cache: who may not write keeps none. */
  saveSnapshot = (): Promise<void> => Promise.resolve()

  async close(): Promise<void> {
    this.#closed = true
    this.#repository?.objects.close()
  }

  #refuse(): Promise<never> {
    return Promise.reject(
      new XMachinesError(
        'STORE_READ_ONLY',
        `The repository ${this.location} was opened to read. Open it with \`gitStore\`.`,
        {
          details: { path: this.location },
        },
      ),
    )
  }

  #admit(signal: AbortSignal | undefined): ReadonlyMap<string, string> {
    if (this.#closed)
      throw new XMachinesError('STORE_CLOSED', `The repository ${this.location} is closed. Open it again.`)
    if (signal?.aborted) throw aborted(signal)
    this.#branches ??= this.#look()
    return this.#branches
  }

  async #do<T>(options: SignalOptions | undefined, work: (branches: ReadonlyMap<string, string>) => T): Promise<T> {
    return work(this.#admit(options?.signal))
  }

  /** The heads of all runs: of the repository's own branches, else of those that a clone remembers. */
  #look(): ReadonlyMap<string, string> {
    const { refs, gitdir, ours } = this.repository
    const branches = new Map<string, string>()
    const remote = new Map<string, string>()
    let provenance: string | undefined
    let machines = 0
    for (const [name, oid] of [...refs.all(), ...this.#pushed]) {
      const own = ownRef(name)
      if (own === undefined) continue
      if (own.kind === 'provenance') provenance = name === provenanceRef || provenance === undefined ? oid : provenance
      else if (!isId(own.id, this.objectFormat)) {
        throw foreign(gitdir, `has a branch ${name}, which names no ${own.kind}`, 'Rename that branch.', { ref: name })
      } else if (own.kind === 'machine') machines++
      else (own.local ? branches : remote).set(own.id, oid)
    }
    for (const [run, oid] of remote) if (!branches.has(run)) branches.set(run, oid)
    if (branches.size === 0 && machines === 0 && !ours) {
      throw foreign(
        gitdir,
        'is a repository without runs, which would be branches named r/<run>',
        'Give one that runs were archived into.',
      )
    }
    this.#provenance.learn(provenance)
    this.#sorted = [...branches.keys()].sort()
    return branches
  }

  #headOf(run: string, oid: string): RunHead {
    const { repository } = this
    // Says how far it goes.
    if (repository.shallow.size > 0) walkBack(repository, run, oid, 0)
    const { seq, machine } = readHead(repository, run, oid)
    const creation = readCreation(repository, run)
    const { namespace, key, fork } = creation
    const record = readMachine(repository, machine)
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

  /** The time of a creation, by the unit that follows it; of a fork without one, the time of the unit it shares. */
  #created(run: string, head: string, { fork }: Beginning): number {
    const from = fork?.at ?? 0
    const links = walkBack(this.repository, run, head, from)
    const first = links.find(link => link.run === run && link.seq === from + 1)
    if (first !== undefined) return createdIn(this.repository, first) ?? 0
    const shared = links.at(-1)!
    return shared.oid === shared.run ? 0 : readUnit(this.repository, shared).at
  }

  /** What was recorded of one commit of a run. */
  #provenanceOf(run: string, seq: number): UnitProvenance | undefined {
    for (const [, provenance] of this.#provenance.units(run, seq, seq)) return provenance
    return undefined
  }

  async *#heads({ namespace, prefix = '', after = '', signal }: ListOptions): AsyncGenerator<RunHead[]> {
    const branches = this.#admit(signal)
    let heads: RunHead[] = []
    for (const run of this.#sorted) {
      if (!run.startsWith(prefix) || run <= after) continue
      const head = this.#headOf(run, branches.get(run)!)
      if (namespace === undefined || head.namespace === namespace) heads.push(head)
      if (heads.length < batchSize) continue
      yield heads
      heads = []
      await nextTurn()
      this.#admit(signal)
    }
    yield heads
  }

  async *#units(run: string, { from = 0, to, signal }: ReadOptions): AsyncGenerator<Unit[]> {
    const oid = this.#admit(signal).get(run)
    if (oid === undefined) {
      throw new XMachinesError('RUN_UNKNOWN', `The repository ${this.location} has no run ${run}. Check the id.`, {
        details: { run },
      })
    }
    const { seq } = readHead(this.repository, run, oid)
    const last = Math.min(to ?? seq, seq)
    if (from > last) return
    const links = walkBack(this.repository, run, oid, Math.max(0, from)).reverse()
    for (let at = 0; at < links.length; ) {
      const batch: Unit[] = []
      const start = at
      for (; at < links.length && at - start < batchSize; at++) {
        const link = links[at]!
        if (link.seq > last) break
        const unit = this.#unit(link, links[at + 1])
        if (unit !== undefined && unit.seq >= from) batch.push(unit)
      }
      if (batch.length > 0) yield this.#recorded(batch)
      if (at < links.length && links[at]!.seq > last) return
      await nextTurn()
      this.#admit(signal)
    }
  }

  /** The unit of a commit; of the commit of a fork, which is no unit, nothing. */
  #unit(link: Link, next: Link | undefined): Unit | undefined {
    const { oid, run, seq } = link
    if (oid !== run) {
      const { id, at, events, origin, machine } = readUnit(this.repository, link)
      const { outputs } = unrecorded
      const unit = { run, seq, id, at, events, origin, outputs }
      return origin.kind === 'migration' ? { ...unit, machine } : unit
    }
    const creation = readCreation(this.repository, run)
    if (creation.fork !== undefined) return undefined
    const provenance = this.#provenance.run(run)
    const created = (next?.run === run ? createdIn(this.repository, next) : undefined) ?? provenance?.created ?? 0
    return { ...deepFreeze(beginning(creation, provenance?.time ?? 'arrival', seq, created)), run, id: oid }
  }

  /** Units with what was recorded of them, run by run: a fork's history is of several. */
  #recorded(units: readonly Unit[]): Unit[] {
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

/** (namespace, key) → run. */
function pinsOf(repository: Repository, runs: Iterable<string>): ReadonlyMap<string, string> {
  const pins = new Map<string, string>()
  for (const run of runs) {
    const { namespace, key } = readCreation(repository, run)
    if (key !== undefined) pins.set(JSON.stringify([namespace, key]), run)
  }
  return pins
}

/** Reads a machine version. `undefined`: the repository has not got it. @throws COMMIT_DAMAGED */
export function readMachine(repository: Repository, oid: string): MachineRecord | undefined {
  const { objects, objectFormat } = repository
  const found = objects.read(oid)
  const commit = found?.type === 'commit' ? parseCommit(found.bytes) : undefined
  const tree = commit && objects.read(commit.tree)
  const file = tree && parseTree(tree.bytes, digitsOf[objectFormat] / 2)?.get('machine.json')
  const blob = file === undefined ? undefined : objects.read(file)
  if (blob === undefined) return undefined
  const { id, version, definition } = JSON.parse(Buffer.from(blob.bytes).toString()) as MachineRecord
  const record = { oid, id, version, definition }
  return machineId(objectFormat, record) === oid ? deepFreeze(record) : undefined
}
