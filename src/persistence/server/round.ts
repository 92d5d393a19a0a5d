import type { AppendItem, AppendOutcome, LeaseKey, LeaseRow } from '../../actors/contracts/store.ts'
import { partitionName } from '../attention.ts'
import { judge, sameLease } from '../judge.ts'
import type { Refused, RunWrite } from './backend.ts'
import { type RunRow, rowAfter, type WrittenUnit, writtenRow, writtenUnit } from './run-row.ts'

/** An item of a call, and its place there. */
export interface Placed {
  readonly place: number
  readonly item: AppendItem
}

/**
 * Items of one run that follow one another: written in one step, since each only makes sense after the one before. Nearly
 * always it is one, which so costs no array.
 */
class Chain {
  readonly first: Placed
  /** Where the run stood when it was sent or looked at last. */
  readonly known: RunRow | undefined
  /** Those after it. */
  more: Placed[] | undefined
  /** The run's row after the last one; `undefined`: the first is impossible. */
  row: RunRow | undefined
  /** The run's rows after each but the last one. */
  #before: RunRow[] | undefined

  /**
   * The run must stand where the first item believes, as far as it is known: if not, the server is only asked what stands
   * in the way.
   */
  constructor(first: Placed, row: RunRow | undefined) {
    const { expected } = first.item
    this.first = first
    this.known = row
    if (expected === null) this.row = rowAfter(undefined, first.item)
    else if (row !== undefined && standsAt(row, expected)) this.row = rowAfter(row, first.item)
  }

  get items(): readonly Placed[] {
    return this.more === undefined ? [this.first] : [this.first, ...this.more]
  }

  /** The run's row after each item. */
  get rows(): readonly RunRow[] {
    if (this.row === undefined) return none
    return this.#before === undefined ? [this.row] : [...this.#before, this.row]
  }

  /** Takes an item that follows the last one. Resolves to whether it does. */
  take(next: Placed): boolean {
    const { expected, lease } = next.item
    const { row } = this
    const last = (this.more?.at(-1) ?? this.first).item.lease
    if (row === undefined || expected === null || !standsAt(row, expected)) return false
    if (lease?.epoch !== last?.epoch || (lease !== undefined && last !== undefined && !sameLease(lease, last)))
      return false
    this.more ??= []
    this.more.push(next)
    this.#before ??= []
    this.#before.push(row)
    this.row = rowAfter(row, next.item)
    return true
  }

  get write(): RunWrite {
    const { item } = this.first
    const { run, expected, lease } = item
    if (this.row === undefined) return { ...askingOf(run), lease }
    const row = writtenRow(this.row)
    if (this.more === undefined) {
      const machines = item.machine === undefined ? none : [item.machine]
      const units = unitsOf(item)
      const taken = item.beside?.taken ?? none
      const isPlain =
        units.length === 1 && taken.length === 0 && expected !== null && isFoundAlike(this.known, this.row)
      return { run, expected, lease, row, units, taken, isPlain, machines }
    }
    const items = this.items.map(placed => placed.item)
    return {
      run,
      expected,
      lease,
      row,
      units: items.flatMap(unitsOf),
      taken: items.flatMap(each => each.beside?.taken ?? none),
      isPlain: false,
      machines: items.flatMap(each => each.machine ?? none),
    }
  }
}

const none: readonly never[] = []

/** Not the creation of a fork. */
function unitsOf({ units, lease }: AppendItem): readonly WrittenUnit[] {
  const [first] = units
  if (first === undefined) return none
  if (units.length === 1 && first.creation === undefined) return [writtenUnit(first, lease?.epoch)]
  return units.filter(unit => unit.creation?.fork === undefined).map(unit => writtenUnit(unit, lease?.epoch))
}

/** Whether the server finds the run by the same after as before. A creation has nothing before it. */
function isFoundAlike(before: RunRow | undefined, after: RunRow): boolean {
  if (before === undefined || before.due !== after.due || before.status !== after.status) return false
  if (before.machine !== after.machine || before.lease !== after.lease) return false
  if (before.beside === after.beside) return true
  const [was, is] = [before.beside, after.beside]
  return was.process === is.process && was.held === is.held && was.parked === is.parked
}

function standsAt(row: RunRow, expected: { readonly seq: number; readonly revision: number }): boolean {
  return row.revision === expected.revision && row.seq === expected.seq
}

/** No run stands there: a write that the server always refuses, and so tells why an impossible item cannot be taken. */
const nowhere = { seq: -2, revision: -2 }

function askingOf(run: string): Omit<RunWrite, 'lease'> {
  const row = {
    run,
    namespace: '',
    key: null,
    time: 'arrival',
    machine: '',
    machineId: '',
    version: '',
    ...nowhere,
    at: 0,
    status: 'active',
    value: null,
    due: null,
    leaseNamespace: null,
    leasePartition: null,
    fork: null,
    beside: '{}',
    process: null,
    wakes: true,
  } as const
  return { run, expected: nowhere, row, units: [], taken: [], isPlain: false, machines: [] }
}

/** The items of a call that can be judged together: of each run those that follow one another. */
export class Round {
  readonly #chains: readonly Chain[]
  /** Those that must be judged after these. */
  readonly #later: Placed[] = []

  /** @param rowOf where a run stands, as far as it is known */
  constructor(items: readonly Placed[], rowOf: (run: string) => RunRow | undefined) {
    const chains = new Map<string, Chain>()
    const waiting = new Set<string>()
    for (const placed of items) {
      const { run } = placed.item
      const chain = chains.get(run)
      if (chain === undefined) chains.set(run, new Chain(placed, rowOf(run)))
      else if (waiting.has(run) || !chain.take(placed)) {
        this.#later.push(placed)
        waiting.add(run)
      }
    }
    this.#chains = [...chains.values()]
  }

  get writes(): RunWrite[] {
    return this.#chains.map(chain => chain.write)
  }

  /** A run that stands behind where it stood: nothing that is kept of a run goes back. */
  findForgotten(refusals: readonly (Refused | undefined)[]): string | undefined {
    const at = refusals.findIndex((refused, at) => {
      const { known } = this.#chains[at]!
      return refused !== undefined && known !== undefined && (refused.row?.revision ?? 0) < known.revision
    })
    return this.#chains[at]?.known?.run
  }

  /**
   * What became of the items.
   *
   * @param refusals what the server said of each write
   * @param outcomes takes what became of each item, at its place
   * @returns where the runs stand now, and what is to be judged in a round of its own
   */
  settle(
    refusals: readonly (Refused | undefined)[],
    outcomes: AppendOutcome[],
  ): { rows: readonly RunRow[]; later: Placed[] } {
    const rows: RunRow[] = []
    const later = this.#later
    for (let at = 0; at < this.#chains.length; at++) {
      const chain = this.#chains[at]!
      const refused = refusals[at]
      if (refused !== undefined) later.push(...this.#refuse(chain, refused, outcomes))
      else {
        const { first, more, row } = chain
        rows.push(row!)
        if (more === undefined) outcomes[first.place] = appended(row!)
        else for (const [index, { place }] of chain.items.entries()) outcomes[place] = appended(chain.rows[index]!)
      }
    }
    return { rows, later: later.sort((a, b) => a.place - b.place) }
  }

  /** Judges each item by what stood in the way; whoever could be taken now, and all after it, are tried again. */
  #refuse({ items }: Chain, { row, pinned, leases }: Refused, outcomes: AppendOutcome[]): readonly Placed[] {
    const rows = new Map(leases.map(lease => [partitionName(lease), lease]))
    const leaseOf = (key: LeaseKey): LeaseRow | undefined => rows.get(partitionName(key))
    for (const [index, { place, item }] of items.entries()) {
      const outcome = judge(item, row, pinned, leaseOf)
      if (outcome.status === 'appended') return items.slice(index)
      outcomes[place] = outcome
    }
    return none
  }
}

function appended({ seq, revision }: RunRow): AppendOutcome {
  return { status: 'appended', seq, revision }
}
