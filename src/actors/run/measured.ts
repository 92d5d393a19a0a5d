import type { Mail } from '../contracts/store.ts'
import type {
  MeasuredAttemptSpan,
  MeasuredRun,
  MeasuredSpan,
  MeasuredUnitSpan,
  Telemetry,
} from '../contracts/telemetry.ts'
import type { TraceContext } from '../contracts/unit.ts'
import { messageOf, XMachinesError } from '../errors.ts'
import type { Command, Settlement } from './command.ts'
import type { Identified } from './pending-invocation.ts'

/** Units whose traces are at hand for what they caused: attempts and timers. */
const kept = 256

/** Measures one run in memory. */
export class RunTelemetry {
  readonly #telemetry: Telemetry
  readonly #of: MeasuredRun
  readonly #traces = new Map<number, TraceContext>()

  constructor(telemetry: Telemetry, of: MeasuredRun) {
    this.#telemetry = telemetry
    this.#of = of
    telemetry.residents(of, 1)
  }

  /** The command, measured from now until it is settled. What is measured already stays as it is. */
  command(command: Command): Command {
    if (command instanceof MeasuredCommand) return command
    const { origin, events } = command
    const span = this.#telemetry.unit({
      of: this.#of,
      origin,
      types: events.map(({ type }) => type),
      cause: command.beside?.trace ?? (origin.kind === 'timer' ? this.#traces.get(origin.armed) : undefined),
      ambient: command.ambient === true,
    })
    return new MeasuredCommand(command, span, this)
  }

  attempt({ key, invocation, attempt }: Identified & { readonly attempt: number }): MeasuredAttemptSpan {
    const { path, entered, actor } = invocation
    const cause = this.#traces.get(entered)
    return this.#telemetry.attempt({ of: this.#of, src: String(actor.src), actor: path, key, attempt, cause })
  }

  delivery(mail: readonly Mail[]): MeasuredSpan {
    const causes = mail.flatMap(({ trace }) => (trace === undefined ? [] : [trace]))
    return this.#telemetry.delivery({ of: this.#of, count: mail.length, causes })
  }

  /** Calls what a unit left to be done in the unit's trace. */
  within(trace: TraceContext | undefined, work: () => void): void {
    this.#telemetry.within(trace, work)
  }

  remember(seq: number, trace: TraceContext): void {
    this.#traces.set(seq, trace)
    if (this.#traces.size > kept) for (const oldest of this.#traces.keys()) return void this.#traces.delete(oldest)
  }

  /** The run goes out of memory. */
  end(): void {
    this.#telemetry.residents(this.#of, -1)
  }
}

/** What went wrong, as a span tells it. */
export function toFailure(thrown: unknown): { readonly code?: string; readonly message: string } {
  return XMachinesError.is(thrown) ? thrown : { message: messageOf(thrown) }
}

/** A command within its span. */
class MeasuredCommand implements Command {
  readonly #command: Command
  readonly #span: MeasuredUnitSpan
  readonly #telemetry: RunTelemetry
  readonly beside: Command['beside']

  constructor(command: Command, span: MeasuredUnitSpan, telemetry: RunTelemetry) {
    this.#command = command
    this.#span = span
    this.#telemetry = telemetry
    // Its unit stands in its own span; where nobody records, in its sender's.
    this.beside = span.trace === undefined ? command.beside : { ...command.beside, trace: span.trace }
  }

  get origin(): Command['origin'] {
    return this.#command.origin
  }
  get events(): Command['events'] {
    return this.#command.events
  }
  get at(): Command['at'] {
    return this.#command.at
  }
  get source(): Command['source'] {
    return this.#command.source
  }
  get requestId(): Command['requestId'] {
    return this.#command.requestId
  }
  get signal(): Command['signal'] {
    return this.#command.signal
  }
  get checking(): Command['checking'] {
    return this.#command.checking
  }
  get refused(): Command['refused'] {
    return this.#command.refused
  }
  get mail(): Command['mail'] {
    return this.#command.mail
  }
  get withdrawn(): boolean {
    return this.#command.withdrawn === true
  }
  get refusal(): Command['refusal'] {
    const command = this.#command
    return command.refusal === undefined ? undefined : error => command.refusal!(error)
  }

  decided(): void {
    this.#span.decided()
  }
  settle(settlement: Settlement): void {
    if (settlement.kind === 'applied') {
      const { seq, trace } = settlement.unit
      if (trace !== undefined) this.#telemetry.remember(seq, trace)
      this.#span.durable(seq)
    }
    this.#span.end(
      settlement.kind === 'refused' ? settlement.error : settlement.kind === 'applied' ? settlement.fatal : undefined,
    )
    this.#command.settle(settlement)
  }
  reject(error: XMachinesError): void {
    this.#span.end(error)
    this.#command.reject(error)
  }
}
