import type { AnyStateMachine } from 'xstate'
import type { Origin, SourcePosition } from '../contracts/unit.ts'
import type { EventLimits } from '../json/event-copy.ts'
import { CheckedCommand } from './checked-command.ts'
import type { Command, Settlement } from './command.ts'
import { receiptOf } from './receipt.ts'
import type { Resident } from './resident.ts'
import { toTraceContext } from './trace-context.ts'
import type { ApplyOptions, Receipt } from './types.ts'

/** Where events come from that somebody sent. */
export const outside: Origin = Object.freeze({ kind: 'outside' })

/** Events from outside on their way: checked at the border, and answered when they are durable or refused. */
export class SentCommand extends CheckedCommand implements Command {
  readonly origin = outside
  readonly at: number | undefined
  readonly source: SourcePosition | undefined
  readonly requestId: string | undefined
  readonly signal: AbortSignal | undefined
  readonly beside: Command['beside']
  readonly #resolve: () => void
  readonly reject: (error: unknown) => void

  constructor(
    resident: Resident,
    events: unknown,
    options: ApplyOptions | undefined,
    limits: EventLimits,
    resolve: () => void,
    reject: (error: unknown) => void,
  ) {
    super()
    this.#resolve = resolve
    this.reject = reject
    if (options !== undefined) {
      if (options.at !== undefined && (resident.time !== 'source' || !Number.isFinite(options.at))) {
        throw new TypeError(
          `Expected \`at\` to be milliseconds since 1970, in a run with time: 'source'; got \`${options.at}\` in one with '${resident.time}'.`,
        )
      }
      this.at = options.at
      this.source = options.source && toSource(options.source)
      if (options.id !== undefined && typeof options.id !== 'string')
        throw new TypeError(`Expected \`id\` to be text, got \`${String(options.id)}\`.`)
      this.requestId = options.id
      this.signal = options.signal
      if (options.trace !== undefined) this.beside = { trace: toTraceContext(options.trace) }
    }
    this.check(resident.program.definition, limits, events)
  }

  settle(_settlement: Settlement): void {
    this.#resolve()
  }
}

/** Sent by `apply`: the answer is a receipt. */
export class ApplyCommand extends SentCommand {
  readonly ambient = true
  readonly #receive: (receipt: Receipt<AnyStateMachine>) => void
  readonly #run: string

  constructor(
    resident: Resident,
    events: unknown,
    options: ApplyOptions | undefined,
    limits: EventLimits,
    receive: (receipt: Receipt<AnyStateMachine>) => void,
    reject: (error: unknown) => void,
  ) {
    super(resident, events, options, limits, nothing, reject)
    this.#receive = receive
    this.#run = resident.run
  }

  override settle(settlement: Settlement): void {
    this.#receive(receiptOf(this.#run, settlement))
  }
}

/** A caller's position, copied. @throws TypeError when it is none: it would be kept for ever, and compared with */
function toSource({ id, position }: SourcePosition): SourcePosition {
  if (typeof id === 'string' && (typeof position === 'bigint' || Number.isFinite(position)))
    return Object.freeze({ id, position })
  throw new TypeError(
    `Expected \`source\` to be { id: text, position: a bigint or a finite number }, got \`${String(id)}\`, \`${String(position)}\`.`,
  )
}

function nothing(): void {}
