import type { AppendItem, AppendOutcome, LeaseKey, LeaseRow, MachineRecord } from '../../actors/contracts/store.ts'
import { partitionName } from '../attention.ts'
import { judge, sameLease } from '../judge.ts'
import type { Refused, RunWrite } from './backend.ts'
import { type RunRow, rowAfter, type WrittenUnit, writtenRow, writtenUnit } from './run-row.ts'

/** An item of a call, and its place there. */
export interface Placed {
  readonly place: number
  readonly item: AppendItem
}

/** What becomes of one item. */
export interface Answer {
  readonly place: number
  readonly outcome: AppendOutcome
}

/** Items of one run that follow one another: written in one step, since each only makes sense after the one before. */
class Chain {
  readonly items: Placed[]
  /** The run's row after each. */
  readonly rows: RunRow[]
  /** Whether the run may stand where the first item believes: if not, the server is only asked what stands in the way. */
  readonly isPossible: boolean

  constructor(first: Placed, row: RunRow | undefined) {
    const { expected } = first.item
    this.items = [first]
    this.isPossible = expected === null || (row !== undefined && standsAt(row, expected))
    this.rows = this.isPossible ? [rowAfter(expected === null ? undefined : row, first.item)] : []
  }

  /** Takes an item that follows the last one. Resolves to whether it does. */
  take(next: Placed): boolean {
    const { expected, lease } = next.item
    const row = this.rows.at(-1)
    const last = this.items.at(-1)!.item.lease
    if (row === undefined || expected === null || !standsAt(row, expected)) return false
    if (lease?.epoch !== last?.epoch || (lease !== undefined && last !== undefined && !sameLease(lease, last)))
      return false
    this.items.push(next)
    this.rows.push(rowAfter(row, next.item))
    return true
  }

  get write(): RunWrite {
    const { run, expected, lease } = this.items[0]!.item
    const row = this.rows.at(-1)
    if (row === undefined) return { ...askingOf(run), lease }
    const units: WrittenUnit[] = []
    const machines: MachineRecord[] = []
    const taken = this.items.flatMap(({ item }) => item.beside?.taken ?? [])
    for (const { item } of this.items) {
      for (const unit of item.units) {
        if (unit.creation?.fork === undefined) units.push(writtenUnit(unit, item.lease?.epoch))
      }
      if (item.machine !== undefined) machines.push(item.machine)
    }
    return { run, expected, lease, row: writtenRow(row), units, taken, machines }
  }
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
  return { run, expected: nowhere, row, units: [], taken: [], machines: [] }
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

  /**
   * What became of the items.
   *
   * @param refusals what the server said of each write
   * @returns the answers, where the runs stand now, and what is to be judged in a round of its own
   */
  settle(refusals: readonly (Refused | undefined)[]): { answers: Answer[]; rows: RunRow[]; later: Placed[] } {
    const answers: Answer[] = []
    const rows: RunRow[] = []
    const later: Placed[] = []
    for (const [at, chain] of this.#chains.entries()) {
      const refused = refusals[at]
      if (refused === undefined) {
        for (const [index, { place }] of chain.items.entries()) {
          const { seq, revision } = chain.rows[index]!
          answers.push({ place, outcome: { status: 'appended', seq, revision } })
        }
        rows.push(chain.rows.at(-1)!)
      } else later.push(...this.#refuse(chain, refused, answers))
    }
    return { answers, rows, later: [...later, ...this.#later].sort((a, b) => a.place - b.place) }
  }

  /** Judges each item by what stood in the way; whoever could be taken now, and all after it, are tried again. */
  #refuse({ items }: Chain, { row, pinned, leases }: Refused, answers: Answer[]): readonly Placed[] {
    const rows = new Map(leases.map(lease => [partitionName(lease), lease]))
    const leaseOf = (key: LeaseKey): LeaseRow | undefined => rows.get(partitionName(key))
    for (const [index, { place, item }] of items.entries()) {
      const outcome = judge(item, row, pinned, leaseOf)
      if (outcome.status === 'appended') return items.slice(index)
      answers.push({ place, outcome })
    }
    return []
  }
}
