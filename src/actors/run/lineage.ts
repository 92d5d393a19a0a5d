import type { MachineRecord, Store } from '../contracts/store.ts'
import type { Migration } from '../machine/migration.ts'
import type { Program } from '../machine/program.ts'
import { programOf } from '../machine/programs.ts'

/** How a machine is called: what a migration's `from` is compared with. */
type Version = Pick<MachineRecord, 'id' | 'version'> & { readonly oid: string | undefined }

/** How runs of one machine go over to another. */
export interface Way {
  /** `'state'`: each step maps the state. `'event'`: the history is decided anew, each step mapping its events. */
  readonly by: 'state' | 'event'
  readonly steps: readonly Migration[]
}

/** All machines that are known for a run, and how runs go over from one to another. */
export class Lineage {
  /** As given: the first is for new runs. */
  readonly programs: readonly [Program, ...Program[]]
  readonly #known = new Map<string, Program>()
  /** Machines of which only the names are known. */
  readonly #named = new Map<string, MachineRecord>()

  /** @param past whether the machines that migrations come from are known, too */
  constructor(programs: readonly [Program, ...Program[]], past = true) {
    this.programs = programs
    for (const program of programs) {
      if (past) this.#add(program)
      else this.#known.set(program.record.oid, program)
    }
  }

  /** The program of a machine's commit: among those given, or what a migration comes from. */
  find(oid: string): Program | undefined {
    return this.#known.get(oid)
  }

  /** Whether any machine has migrations. */
  get migrates(): boolean {
    return [...this.#known.values()].some(({ definition }) => definition.migrations.length > 0)
  }

  /** Reads what a machine is called that is not known itself. */
  async learn(store: Store, oid: string, signal: AbortSignal | undefined): Promise<void> {
    if (this.#known.has(oid) || this.#named.has(oid)) return
    const record = await store.machine(oid, { signal })
    if (record !== undefined) this.#named.set(oid, record)
  }

  /** What the store keeps of a machine, where it is known. */
  record(oid: string): MachineRecord | undefined {
    return this.#known.get(oid)?.record ?? this.#named.get(oid)
  }

  /** Programs that runs of a machine may go over to by their events. */
  reachableByEvents(oid: string): readonly Program[] {
    return [...this.#known.values()].filter(program => this.way(oid, program)?.by === 'event')
  }

  /** The shortest chain of migrations, declared with `to`, that leads there from a machine; nothing where none does. */
  way(from: string, to: Program): Way | undefined {
    const { migrations, version } = to.definition
    const { id } = to.record
    if (migrations.length === 0) return undefined
    const start: Version = this.record(from) ?? { oid: from, id: '', version: '' }
    const seen = new Set<string>()
    let reached: readonly { readonly at: Version; readonly steps: readonly Migration[] }[] = [{ at: start, steps: [] }]
    while (reached.length > 0) {
      const next: { at: Version; steps: readonly Migration[] }[] = []
      for (const { at, steps } of reached) {
        for (const step of migrations) {
          if (!this.#comesFrom(step, at, id)) continue
          const chain = [...steps, step]
          const arrives = step.to ?? version
          if (arrives === version) return wayOf(chain)
          if (seen.has(arrives)) continue
          seen.add(arrives)
          next.push({ at: { oid: undefined, id, version: arrives }, steps: chain })
        }
      }
      reached = next
    }
    return undefined
  }

  #comesFrom({ from }: Migration, at: Version, id: string): boolean {
    if (typeof from !== 'string') {
      const { record } = this.#programOf(from)
      return at.oid === undefined ? record.id === at.id && record.version === at.version : record.oid === at.oid
    }
    if (at.id === id && at.version === from) return true
    return /^[0-9a-f]{7,64}$/.test(from) && at.oid?.startsWith(from) === true
  }

  #add(program: Program): void {
    const { oid } = program.record
    if (this.#known.has(oid)) return
    this.#known.set(oid, program)
    for (const { from } of program.definition.migrations) if (typeof from !== 'string') this.#add(this.#programOf(from))
  }

  /** Of machines that only a migration names: nothing new is decided with them. */
  #programOf(machine: Exclude<Migration['from'], string>): Program {
    return programOf(machine as never, this.programs[0].record.oid.length === 40 ? 'sha1' : 'sha256', false)
  }
}

/** Steps compose when all of them map states (or leave them as they are), or all of them map events. */
function wayOf(steps: readonly Migration[]): Way | undefined {
  if (steps.every(({ state, event }) => state !== undefined || event === undefined)) return { by: 'state', steps }
  if (steps.every(({ event }) => event !== undefined)) return { by: 'event', steps }
  return undefined
}
