import type { Store } from '../contracts/store.ts'
import type { Unit } from '../contracts/unit.ts'
import { XMachinesError } from '../errors.ts'
import { checkedStore } from '../given.ts'
import type { Decided } from '../machine/decision.ts'
import type { Divergence } from '../run/divergence.ts'
import { HistoryFold, type Place } from '../run/history.ts'
import { Lineage } from '../run/lineage.ts'
import type { Machines } from '../run/types.ts'
import { programsOf } from '../run/versions.ts'

/** A history that is decided again: with its own machines where they are known, else with the first that was given. */
export class Past {
  readonly #machine: Machines
  readonly #store: Store | undefined
  #fold: HistoryFold | undefined

  /** @param store knows what machines are called that only their migrations name */
  constructor(machine: Machines, store: Store | undefined) {
    this.#machine = machine
    this.#store = store === undefined ? undefined : checkedStore('store', store)
  }

  get place(): Place | undefined {
    return this.#fold?.place
  }

  /** Whether what is decided is what a later machine makes of it: not to be compared with what was recorded. */
  get isSeenFromLater(): boolean {
    return this.#fold?.seenFromLater === true
  }

  /** Learns what the machines are called that units, the next ones to be decided, are of. */
  async meet(units: readonly Unit[]): Promise<void> {
    const [first] = units
    if (this.#store === undefined || first === undefined) return
    const { lineage } = this.#foldFrom(first)
    if (!lineage.migrates) return
    for (const { creation, machine = creation?.machine } of units)
      if (machine !== undefined) await lineage.learn(this.#store, machine, undefined)
  }

  /** @throws `RUN_DAMAGED`, `UNIT_ID_UNKNOWN` */
  decide(unit: Unit): Decided {
    return decideAgain(this.#foldFrom(unit), unit)
  }

  /** As {@link HistoryFold.setAside}: of the unit that was decided last. */
  setAside(unit: Unit, divergence: Divergence): Decided | undefined {
    return this.#fold!.setAside(unit, divergence)
  }

  #foldFrom({ run }: Unit): HistoryFold {
    if (this.#fold !== undefined) return this.#fold
    const lineage = new Lineage(programsOf(this.#machine, run.length === 40 ? 'sha1' : 'sha256', false))
    this.#fold = new HistoryFold(lineage, { fallback: lineage.programs[0] })
    return this.#fold
  }
}

/** What a recorded unit comes to. @throws `UNIT_ID_UNKNOWN` where it draws randomness and was read without ids */
export function decideAgain(fold: HistoryFold, unit: Unit): Decided {
  const decided = fold.apply(unit)
  if (decided !== undefined) return decided
  throw new XMachinesError(
    'UNIT_ID_UNKNOWN',
    `Unit ${unit.seq} draws randomness, which derives from ids. Read the history with ids: store.read(run).`,
    { details: { run: unit.run, seq: unit.seq } },
  )
}
