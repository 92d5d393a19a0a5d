import type { ObjectFormat, Unit } from '../../actors/contracts/unit.ts'
import { type ChainAnchor, type UnitChain, unitChain } from '../../actors/identity/index.ts'
import type { IdOf, Link } from '../stored-unit.ts'
import { stride } from './line.ts'

/** A unit from which a chain of ids can start: its own id is known. */
export interface KnownId extends ChainAnchor {
  readonly seq: number
}

/** What the ids of a run's own units are computed from. */
export interface IdSource {
  /** The last unit at or before `seq` of which the id is known; the run's commit at the earliest. */
  known(seq: number): KnownId
  /** The units `from` … `to`. */
  units(from: number, to: number): Iterable<readonly Unit[]>
}

/**
 * The ids of a run's own units, computed when asked for. In order, each costs one step of the chain. Out of order, the
 * chain goes on from the nearest unit that it passed before; what it passed since the last 1024th stays at hand.
 */
export class UnitIds implements IdOf {
  readonly #format: ObjectFormat
  readonly #source: IdSource
  /** Every 1024th unit that the chain passed. */
  readonly #passed = new Map<number, KnownId>()
  #chain: UnitChain | undefined
  /** The unit that the chain has come to, and the ids from the unit `#from` up to it. */
  #last = 0
  #from = 0
  #ids: string[] = []

  constructor(format: ObjectFormat, source: IdSource) {
    this.#format = format
    this.#source = source
  }

  idOf(unit: Link): string {
    const { seq } = unit
    if (this.#chain !== undefined && seq === this.#last + 1) return this.#next(this.#chain, unit)
    if (this.#chain === undefined || seq < this.#from) this.#begin(seq)
    if (seq > this.#last) {
      for (const batch of this.#source.units(this.#last + 1, seq))
        for (const next of batch) this.#next(this.#chain!, next)
    }
    return this.#ids[seq - this.#from]!
  }

  #begin(seq: number): void {
    const start = this.#passed.get(seq - (seq % stride)) ?? this.#source.known(seq)
    this.#chain = unitChain(this.#format, start)
    this.#last = this.#from = start.seq
    this.#ids = [start.id]
  }

  #next(chain: UnitChain, unit: Link): string {
    const { seq } = unit
    const id = chain.next(unit)
    this.#last = seq
    if (seq % stride === 0) {
      this.#passed.set(seq, { seq, id, machine: chain.machine })
      this.#from = seq
      this.#ids = []
    }
    this.#ids.push(id)
    return id
  }
}
