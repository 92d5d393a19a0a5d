import type { RecordedEvent } from '../../actors/contracts/json.ts'
import type {
  Creation,
  NewUnit,
  ObjectFormat,
  Origin,
  Sent,
  SourcePosition,
  TraceContext,
  Unit,
} from '../../actors/contracts/unit.ts'
import { XMachinesError } from '../../actors/errors.ts'
import { type UnitChain, unitChain } from '../../actors/identity/index.ts'
import { epochOf, withPosition } from '../unit-text.ts'

/** The units of one run in memory. Ids are computed when one is asked for, and kept. */
export class History {
  readonly run: string
  /** What the run began with: unit 0, or what no history shows, the creation of a fork. */
  readonly beginning: NewUnit
  readonly #format: ObjectFormat
  readonly #parent: History | undefined
  /** The run's own units: of a fork those after the shared ones, otherwise all. */
  readonly #units: NewUnit[] = []
  readonly #epochs: (number | undefined)[] = []
  readonly #ids: string[] = []
  /** The seq of the first own unit. */
  readonly #base: number
  #chain: UnitChain | undefined

  /** @param parent the history that a fork shares the beginning of */
  constructor(run: string, beginning: NewUnit, parent: History | undefined, format: ObjectFormat) {
    this.run = run
    this.beginning = beginning
    this.#parent = parent
    this.#base = parent === undefined ? 0 : beginning.seq + 1
    this.#format = format
  }

  /** Takes the next unit, as it is. */
  push(unit: NewUnit, epoch: number | undefined): void {
    if (unit.seq < this.#base) return
    this.#units.push(unit)
    this.#epochs.push(epochOf(unit, epoch))
  }

  /** The units `from` … `to`, both inclusive and there. @param ids whether they will tell their ids */
  units(from: number, to: number, ids: boolean): Unit[] {
    const shared = from < this.#base ? this.#parent!.units(from, Math.min(to, this.#base - 1), ids) : []
    const units: Unit[] = shared
    for (let at = Math.max(from, this.#base) - this.#base; at <= to - this.#base; at++) {
      units.push(new MemoryUnit(this.#units[at]!, this.#epochs[at], this, ids))
    }
    return units
  }

  /** The id of an own unit. */
  id(seq: number): string {
    while (this.#ids.length <= seq - this.#base) this.#ids.push(this.#nextId())
    return this.#ids[seq - this.#base]!
  }

  #nextId(): string {
    const unit = this.#units[this.#ids.length]!
    const { beginning, run } = this
    if (unit === beginning) return run
    const machine = beginning.creation!.machine
    this.#chain ??= unitChain(this.#format, { id: run, machine, created: beginning.at })
    return this.#chain.next(unit)
  }
}

/** A unit as it was handed in, and where it stands. */
class MemoryUnit implements Unit {
  readonly run: string
  readonly seq: number
  readonly at: number
  readonly events: readonly RecordedEvent[]
  readonly origin: Origin
  readonly outputs: readonly RecordedEvent[]
  declare readonly mail?: readonly Sent[]
  declare readonly sources?: readonly SourcePosition[]
  declare readonly requestId?: string
  declare readonly trace?: TraceContext
  declare readonly attempts?: number
  declare readonly state?: string
  declare readonly creation?: Creation
  declare readonly machine?: string
  declare readonly epoch?: number
  readonly #history: History | undefined

  constructor(unit: NewUnit, epoch: number | undefined, history: History, ids: boolean) {
    this.run = history.run
    this.seq = unit.seq
    this.at = unit.at
    this.events = unit.events
    this.origin = unit.origin
    this.outputs = unit.outputs
    if (unit.mail !== undefined) this.mail = unit.mail
    if (unit.sources !== undefined) this.sources = unit.sources
    if (unit.requestId !== undefined) this.requestId = unit.requestId
    if (unit.trace !== undefined) this.trace = unit.trace
    if (unit.attempts !== undefined) this.attempts = unit.attempts
    if (unit.state !== undefined) this.state = unit.state
    if (unit.creation !== undefined) this.creation = unit.creation
    if (unit.machine !== undefined) this.machine = unit.machine
    if (epoch !== undefined) this.epoch = epoch
    this.#history = ids ? history : undefined
    Object.freeze(this)
  }

  get id(): string {
    if (this.#history === undefined) {
      throw new XMachinesError('UNIT_ID_UNKNOWN', 'The unit was read without ids. Read with `ids: true`.', {
        details: { run: this.run, seq: this.seq },
      })
    }
    return this.#history.id(this.seq)
  }

  toJSON(): object {
    const { sources } = this
    return {
      ...this,
      ...(sources && { sources: sources.map(withPosition) }),
      ...(this.#history && { id: this.id }),
    }
  }
}
