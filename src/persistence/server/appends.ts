import type { AppendItem, AppendOutcome } from '../../actors/contracts/store.ts'
import { XMachinesError } from '../../actors/errors.ts'
import { validateItem } from '../misuse.ts'
import type { Refused, RunWrite, ServerBackend } from './backend.ts'
import { RecentRows } from './recent-rows.ts'
import { rolledBack } from './rolled-back.ts'
import { type Placed, Round } from './round.ts'
import { readRow } from './run-row.ts'
import { perhapsDone } from './together.ts'

/** Of so many runs it is remembered where they stand, and of twice as many at most: a kilobyte or so each. */
const rememberedRuns = 8192

/** Asks a server that is open, again while it does not answer. @param work is told whether a try before may have been done */
export type Ask = <T>(work: (mayBeDone: boolean) => Promise<T>, signal: AbortSignal | undefined) => Promise<T>

/** The appends of a store: judged here by what is known of the runs, and by the server by what is so. */
export class Appends {
  readonly #server: ServerBackend
  readonly #ask: Ask
  readonly #recent = new RecentRows(rememberedRuns)
  /** With how many writes it sent, names one among all others. */
  readonly #instance = newInstance()
  #rounds = 0

  constructor(server: ServerBackend, ask: Ask) {
    this.#server = server
    this.#ask = ask
  }

  async append(items: readonly AppendItem[], signal: AbortSignal | undefined): Promise<readonly AppendOutcome[]> {
    for (const item of items) validateItem(item)
    const outcomes = new Array<AppendOutcome>(items.length)
    for (let left: readonly Placed[] = items.map((item, place) => ({ place, item })); left.length > 0; ) {
      left = await this.#round(left, outcomes, signal).catch(error => {
        throw outcomes.some(outcome => outcome?.status === 'appended') ? perhapsDone(error) : error
      })
    }
    return outcomes
  }

  /** Forgets where runs stand. */
  clear(): void {
    this.#recent.clear()
  }

  /** Judges what can be judged together, and has it written. @param outcomes takes what became of each @returns what is left */
  async #round(
    items: readonly Placed[],
    outcomes: AppendOutcome[],
    signal: AbortSignal | undefined,
  ): Promise<readonly Placed[]> {
    await this.#learn(items, signal)
    const round = new Round(items, run => this.#recent.get(run))
    const { writes } = round
    const token = `${this.#instance}${(this.#rounds++).toString(36)}`
    const { refusals, mayBeDone } = await this.#ask(
      async mayBeDone => ({ refusals: await this.#server.append(writes, token), mayBeDone }),
      signal,
    )
    const forgotten = round.findForgotten(refusals)
    if (forgotten !== undefined)
      throw rolledBack(this.#server.location, `units of run ${forgotten} that it had`, forgotten)
    // Not tried again: the server would only say the same.
    if (mayBeDone) refuseUncertain(writes, refusals)
    const { rows, later } = round.settle(refusals, outcomes)
    for (const row of rows) this.#recent.set(row)
    return later
  }

  /** Looks up where the runs stand of which that is not known, and whether there is what a fork begins with. */
  async #learn(items: readonly Placed[], signal: AbortSignal | undefined): Promise<void> {
    const wanted = new Set<string>()
    for (const { item } of items) {
      const { run, expected } = item
      const fork = forkOf(item)
      if (expected !== null && this.#recent.get(run)?.revision !== expected.revision) wanted.add(run)
      if (fork !== undefined && !this.#has(fork)) wanted.add(fork.run)
    }
    if (wanted.size > 0) {
      const rows = await this.#ask(() => this.#server.readings.rows([...wanted]), signal)
      for (const row of rows) this.#recent.set(readRow(row))
    }
    for (const { item } of items) {
      const fork = forkOf(item)
      if (fork !== undefined && !this.#has(fork))
        throw new TypeError(`Expected the run ${fork.run} to have a unit ${fork.at} to fork at; the store has none.`)
    }
  }

  /** Whether the unit is known to be there that a fork begins with. */
  #has({ run, at }: Fork): boolean {
    return (this.#recent.get(run)?.seq ?? -1) >= at
  }
}

type Fork = { readonly run: string; readonly at: number }

function forkOf({ expected, units }: AppendItem): Fork | undefined {
  return expected === null ? units[0]?.creation?.fork : undefined
}

/**
 * A try before may have been done, and somebody may have gone on from there since: then what is refused now may have been
 * written, and whoever sent it must look.
 */
function refuseUncertain(writes: readonly RunWrite[], refusals: readonly (Refused | undefined)[]): void {
  for (const [at, refused] of refusals.entries()) {
    const { run, expected } = writes[at]!
    const isAsking = expected !== null && expected.seq < 0
    if (isAsking || refused?.row === undefined || refused.row.revision <= (expected?.revision ?? 0)) continue
    const message = `The answer to an append to run ${run} was lost, and the run has gone on since.`
    throw new XMachinesError('STORE_OUTCOME_UNKNOWN', `${message} Reopen it and look, or repeat with the same id.`, {
      details: { run },
    })
  }
}

/** Names an instance among all others of its store. */
function newInstance(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(9))
  return btoa(String.fromCharCode(...bytes))
}
