import type { BrokerRecord } from '../contracts/broker.ts'
import type { Refusal } from '../contracts/store.ts'
import type { Origin, SourcePosition } from '../contracts/unit.ts'
import type { XMachinesError } from '../errors.ts'
import type { EventLimits } from '../json/event-copy.ts'
import type { MachineDefinition } from '../machine/definition.ts'
import { CheckedCommand } from '../run/checked-command.ts'
import type { Command, Settlement } from '../run/command.ts'
import { traceContextOf } from '../run/trace-context.ts'

const outside: Origin = Object.freeze({ kind: 'outside' })
/** Part of a unit's identity: it never changes. */
const tombstone: Origin = Object.freeze({ kind: 'stop', reason: 'tombstone' })

/** Whoever a record was handed to. */
export interface RecordOwner {
  /** What its refusal is kept as; `null`: nothing of it may be written. */
  refusal(command: RecordCommand, error: XMachinesError): Refusal | null
  /** It is a unit; `fatal`: one that ended the run. */
  applied(command: RecordCommand, fatal: XMachinesError | undefined): void
  /** It needed no unit: an empty batch, or, where `duplicate`, it had been taken before. */
  unchanged(command: RecordCommand, duplicate: boolean): void
  /** It is refused, which is durable where {@link refusal} gave something to keep. */
  turnedAway(command: RecordCommand): void
  /** Nothing is known of it: the run went out of memory. */
  gaveBack(command: RecordCommand, error: XMachinesError): void
}

/** A record on its way into its run. It may be handed over again, where the run went out of memory before it was durable. */
export class RecordCommand extends CheckedCommand implements Command {
  readonly origin: Origin
  readonly record: BrokerRecord
  readonly source: SourcePosition
  /** Its place in the lease's window. */
  readonly place: number
  readonly at: number | undefined
  readonly signal: AbortSignal | undefined
  /** What is kept of it, once it is refused. */
  kept: Refusal | null = null
  readonly #owner: RecordOwner
  /** It came to its run's end, which is what it was for. */
  #late = false
  #unchecked: { readonly events: unknown; readonly isParsed: boolean } | undefined = undefined

  constructor(
    owner: RecordOwner,
    record: BrokerRecord,
    source: string,
    place: number,
    at: number | undefined,
    signal: AbortSignal | undefined,
    stops: boolean,
  ) {
    super()
    this.origin = stops ? tombstone : outside
    this.#owner = owner
    this.record = record
    this.source = { id: source, position: record.offset }
    this.place = place
    this.at = at
    this.signal = signal
  }

  /** The trace that its producer stands in: where its headers say so, as the W3C writes it. */
  get beside(): Command['beside'] {
    const { headers } = this.record
    return headers.length === 0 ? undefined : tracedBy(headers)
  }

  /** Keeps what it says until it is known which machine version its run is of. */
  defer(events: unknown, isParsed: boolean): void {
    this.#unchecked = { events, isParsed }
  }

  /** Whether its events still have to be brought over the border. */
  get deferred(): boolean {
    return this.#unchecked !== undefined
  }

  /** Brings what was deferred over the border. */
  checkDeferred(definition: MachineDefinition, limits: EventLimits): void {
    if (this.#unchecked === undefined) return
    const { events, isParsed } = this.#unchecked
    this.#unchecked = undefined
    this.check(definition, limits, events, isParsed)
  }

  /** It ends its run, and makes none. */
  get stops(): boolean {
    return this.origin === tombstone
  }

  refusal(error: XMachinesError): Refusal | null | undefined {
    this.#late = this.stops && error.code === 'RUN_FINISHED'
    if (this.#late) return undefined
    this.kept = this.#owner.refusal(this, error)
    return this.kept
  }

  settle(settlement: Settlement): void {
    switch (settlement.kind) {
      case 'applied':
        return this.#owner.applied(this, settlement.fatal)
      case 'unchanged':
        return this.#owner.unchanged(this, settlement.duplicate)
      case 'refused':
        return this.#late ? this.#owner.unchanged(this, false) : this.#owner.turnedAway(this)
    }
  }

  /** It had been taken before. */
  settleDuplicate(): void {
    this.#owner.unchanged(this, true)
  }

  settleRefused(): void {
    this.#owner.turnedAway(this)
  }

  reject(error: XMachinesError): void {
    this.#owner.gaveBack(this, error)
  }
}

const utf8 = new TextDecoder()

function tracedBy(headers: BrokerRecord['headers']): Command['beside'] {
  const header = (wanted: string): string | undefined => {
    const bytes = headers.find(([name]) => name === wanted)?.[1]
    return bytes ? utf8.decode(bytes) : undefined
  }
  const trace = traceContextOf({ traceparent: header('traceparent'), tracestate: header('tracestate') })
  return trace && { trace }
}
