import type * as Otel from '@opentelemetry/api'
import type {
  MeasuredAttempt,
  MeasuredAttemptSpan,
  MeasuredDelivery,
  MeasuredRun,
  MeasuredSpan,
  MeasuredUnit,
  MeasuredUnitSpan,
} from '../actors/contracts/telemetry.ts'
import type { Origin, TraceContext } from '../actors/contracts/unit.ts'
import type { Quietly } from './quietly.ts'
import { fromKept, type OtelApi, toKept } from './trace-context.ts'

/** A span that says whether this `end` was the first. */
type Once<T extends MeasuredSpan> = Omit<T, 'end'> & { end(...failure: Parameters<T['end']>): boolean }

/** What a unit of each origin is called, and whether it is the processing of a message. */
const names: Readonly<Record<Origin['kind'], string>> = {
  outside: 'apply',
  effect: 'outcome',
  timer: 'timer',
  mail: 'process',
  undelivered: 'process',
  child: 'process',
  stop: 'stop',
  migration: 'migrate',
}

/** What attributes call mail between runs. */
const system = 'xmachines'

/** Spans of runs. */
export class Spans {
  readonly #api: OtelApi
  readonly #tracer: Otel.Tracer
  readonly #quietly: Quietly

  constructor(api: OtelApi, tracer: Otel.Tracer, quietly: Quietly) {
    this.#api = api
    this.#tracer = tracer
    this.#quietly = quietly
  }

  /**
   * From when it is sent to when it is durable. The child of what sent it, or of the attempt that told it. Mail is linked to the unit
   * that sent it, a timer to the one that armed it: they may be long past.
   */
  unit({ of, origin, types, cause, ambient }: MeasuredUnit): Once<MeasuredUnitSpan> {
    const { SpanKind, ROOT_CONTEXT, context } = this.#api
    const later = origin.kind !== 'outside' && origin.kind !== 'effect'
    const parent = cause !== undefined && !later ? this.#contextOf(cause) : ambient ? context.active() : ROOT_CONTEXT
    const attributes = { ...attributesOf(of), ...originAttributes(of, origin), 'xmachines.event.types': [...types] }
    const options: Otel.SpanOptions = {
      kind: names[origin.kind] === 'process' ? SpanKind.CONSUMER : SpanKind.INTERNAL,
      attributes,
      links: cause !== undefined && later ? [this.#linkTo(cause)] : [],
    }
    const span = this.#start(`${names[origin.kind]} ${of.namespace}`, options, parent)
    return {
      ...this.#once(span),
      decided: () => void this.#quietly(() => span.addEvent('xmachines.decided')),
      durable: seq => void this.#quietly(() => span.setAttribute('xmachines.unit.seq', seq)),
    }
  }

  /** From its start to its end, or until it is stopped. The child of the unit that entered it. */
  attempt({ of, src, actor, key, attempt, cause }: MeasuredAttempt): Once<MeasuredAttemptSpan> {
    const { context, trace } = this.#api
    const attributes = {
      ...attributesOf(of),
      'xmachines.invocation.src': src,
      'xmachines.invocation.path': actor.join('/'),
      'xmachines.invocation.key': key,
      'xmachines.invocation.attempt': attempt,
    }
    const parent = this.#contextOf(cause)
    const span = this.#start(`invoke ${src}`, { attributes }, parent)
    return { ...this.#once(span), within: work => context.with(trace.setSpan(parent, span), work) }
  }

  /** Mail on its way into inboxes, linked to the units that sent it. */
  delivery({ of, count, causes }: MeasuredDelivery): Once<MeasuredSpan> {
    const attributes = {
      ...attributesOf(of),
      'messaging.system': system,
      'messaging.operation.type': 'send',
      'messaging.operation.name': 'deliver',
      'messaging.batch.message_count': count,
    }
    const links = causes.map(cause => this.#linkTo(cause))
    const options: Otel.SpanOptions = { kind: this.#api.SpanKind.PRODUCER, attributes, links }
    return this.#once(this.#start('deliver', options, this.#api.ROOT_CONTEXT))
  }

  /** Calls `work` in that trace, whatever is active now: units of many senders share an append. */
  within<T>(trace: TraceContext | undefined, work: () => T): T {
    return this.#api.context.with(this.#contextOf(trace), work)
  }

  /** A span; of a tracer that throws, one that nobody records. */
  #start(...given: Parameters<Otel.Tracer['startSpan']>): Otel.Span {
    const { trace, INVALID_SPAN_CONTEXT } = this.#api
    return this.#quietly(() => this.#tracer.startSpan(...given)) ?? trace.wrapSpanContext(INVALID_SPAN_CONTEXT)
  }

  #contextOf(cause: TraceContext | undefined): Otel.Context {
    const { trace, ROOT_CONTEXT } = this.#api
    return cause === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, fromKept(this.#api, cause))
  }

  #linkTo(cause: TraceContext): Otel.Link {
    return { context: fromKept(this.#api, cause) }
  }

  #once(span: Otel.Span): Once<MeasuredSpan> {
    let over = false
    return {
      trace: toKept(this.#api, span.spanContext()),
      end: error => {
        if (over) return false
        over = true
        this.#quietly(() => {
          if (error !== undefined) {
            span.setAttribute('error.type', error.code ?? '_OTHER')
            span.setStatus({ code: this.#api.SpanStatusCode.ERROR, message: error.message })
          }
          span.end()
        })
        return true
      },
    }
  }
}

function attributesOf({ run, namespace, key, machine, version }: MeasuredRun): Otel.Attributes {
  return {
    'xmachines.run.id': run,
    'xmachines.run.namespace': namespace,
    ...(key !== '' && { 'xmachines.run.key': key }),
    'xmachines.machine.id': machine,
    'xmachines.machine.version': version,
  }
}

function originAttributes({ namespace }: MeasuredRun, origin: Origin): Otel.Attributes {
  const kind = { 'xmachines.unit.origin': origin.kind }
  if (origin.kind !== 'mail' && origin.kind !== 'undelivered') return kind
  return {
    ...kind,
    'messaging.system': system,
    'messaging.operation.type': 'process',
    'messaging.operation.name': 'process',
    'messaging.destination.name': namespace,
    'messaging.message.id': `${origin.run}/${origin.seq}/${origin.index}`,
  }
}
