import { type Attributes, context, diag, type Meter, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics'
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import {
  createHost,
  createRun,
  defineMachine,
  openRun,
  spawnRun,
  supervise,
  type Telemetry,
  type TraceContext,
  tell,
  type Unit,
} from 'xmachines'
import { createTelemetry } from 'xmachines/otel'
import { memoryStore } from 'xmachines/persistence/memory'
import { memoryBroker } from 'xmachines/transports/memory'
import { fromPromise, setup } from 'xstate'
import { faultyStore } from '../src/testing/faulty-store.ts'
import { all } from './actors/run/collect.ts'
import { settled } from './actors/supervisor/virtual-environment.ts'
import { World } from './actors/supervisor/world.ts'
import { endings } from './endings.ts'

const spans = new InMemorySpanExporter()
const tracerProvider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(spans)] })
const tracer = tracerProvider.getTracer('test')
const metrics = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
const reader = new PeriodicExportingMetricReader({ exporter: metrics, exportIntervalMillis: 3_600_000 })
const meterProvider = new MeterProvider({ readers: [reader] })
let telemetry: Telemetry
const ends = endings()

beforeAll(async () => {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
  telemetry = await createTelemetry({ tracerProvider, meterProvider })
})
afterEach(() => spans.reset())
afterAll(() => meterProvider.shutdown())

/** Charges with a promise that fails at first, tells the account, and waits. */
const order = defineMachine(
  setup({
    types: { events: {} as { type: 'PLACE' | 'FAIL' } },
    actors: {
      charge: fromPromise(async () => {
        tracer.startSpan('HTTP POST').end()
        if (attempts++ === 0) throw new Error('busy')
      }),
    },
  }).createMachine({
    id: 'order',
    initial: 'open',
    on: {
      FAIL: {
        actions: () => {},
        guard: () => {
          throw new Error('no')
        },
      },
    },
    states: {
      open: { on: { PLACE: 'charging' } },
      charging: { invoke: { src: 'charge', onDone: 'charged' } },
      charged: { entry: tell({ machine: 'account', key: 'a-1' }, { type: 'CHARGED' }), after: { 1: 'late' } },
      late: {},
    },
  }),
  { invocations: { charge: { attempts: 2, crash: 'retry', backoff: { initial: 1 } } } },
)
let attempts = 0
const account = setup({ types: { events: {} as { type: 'CHARGED' } } }).createMachine({ id: 'account' })

/** Drives an order within a span of the caller. */
async function placed(measured: Telemetry | undefined) {
  attempts = 0
  const store = memoryStore()
  const receiver = await openRun(account, { store, key: 'a-1', ...(measured && { telemetry: measured }) })
  const caller = tracer.startSpan('POST /orders')
  const run = await openRun(order, { store, key: 'o-1', telemetry: measured })
  await context.with(trace.setSpan(context.active(), caller), () => run.apply({ type: 'PLACE' }))
  caller.end()
  for await (const { value } of run.snapshot) if (value === 'late') break
  for await (const { seq } of receiver.snapshot) if (seq === 1) break
  const units = { order: await all(store.read(run.id)), account: await all(store.read(receiver.id)) }
  await run.close()
  await receiver.close()
  return { run, caller, units }
}

function named(name: string): readonly ReadableSpan[] {
  return spans.getFinishedSpans().filter(span => span.name === name)
}

function kept(span: ReadableSpan): TraceContext {
  const { traceId, spanId } = span.spanContext()
  return { traceparent: `00-${traceId}-${spanId}-01` }
}

function linked(span: ReadableSpan): readonly string[] {
  return span.links.map(({ context }) => context.spanId)
}

async function metric(name: string): Promise<readonly { readonly attributes: Attributes; readonly value: unknown }[]> {
  await reader.forceFlush()
  const found = metrics
    .getMetrics()
    .at(-1)!
    .scopeMetrics.flatMap(scope => scope.metrics)
  return found.find(({ descriptor }) => descriptor.name === name)?.dataPoints ?? []
}

describe('spans', () => {
  test('a unit is the child of the span that sent it, and stands in its own', async () => {
    const { run, caller, units } = await placed(telemetry)
    const [apply] = named('apply order').filter(span => span.attributes['xmachines.unit.seq'] === 1)
    expect(apply!.parentSpanContext?.spanId).toBe(caller.spanContext().spanId)
    expect(apply!.spanContext().traceId).toBe(caller.spanContext().traceId)
    expect(apply!.attributes).toEqual({
      'xmachines.run.id': run.id,
      'xmachines.run.namespace': 'order',
      'xmachines.run.key': 'o-1',
      'xmachines.machine.id': 'order',
      'xmachines.machine.version': '1',
      'xmachines.unit.origin': 'outside',
      'xmachines.unit.seq': 1,
      'xmachines.event.types': ['PLACE'],
    })
    expect(apply!.events.map(({ name }) => name)).toEqual(['xmachines.decided'])
    expect(units.order[1]!.trace).toEqual(kept(apply!))
    expect(units.order.every(({ trace }) => trace !== undefined)).toBe(true)
  })

  test('attempts are children of the unit that entered them, their outcome of the attempt; the logic runs within', async () => {
    const { run } = await placed(telemetry)
    const [apply] = named('apply order').filter(span => span.attributes['xmachines.unit.seq'] === 1)
    const tries = named('invoke charge')
    expect(tries.map(({ attributes }) => attributes['xmachines.invocation.attempt'])).toEqual([1, 2])
    expect(tries.map(({ status }) => status.code)).toEqual([SpanStatusCode.ERROR, SpanStatusCode.UNSET])
    expect(tries[0]!.status.message).toBe('busy')
    expect(tries[0]!.attributes['xmachines.invocation.key']).toMatch(new RegExp(`^${run.id}/1/`))
    for (const one of tries) expect(one.parentSpanContext?.spanId).toBe(apply!.spanContext().spanId)
    const calls = named('HTTP POST').map(span => span.parentSpanContext?.spanId)
    expect(calls).toEqual(tries.map(span => span.spanContext().spanId))
    const [outcome] = named('outcome order')
    expect(outcome!.parentSpanContext?.spanId).toBe(tries[1]!.spanContext().spanId)
  })

  test('mail is linked to the unit that sent it, a timer to the one that armed it', async () => {
    const { run, units } = await placed(telemetry)
    const [sender] = named('outcome order')
    const [taken] = named('process account')
    expect(taken!.kind).toBe(SpanKind.CONSUMER)
    expect(taken!.parentSpanContext).toBeUndefined()
    expect(linked(taken!)).toEqual([sender!.spanContext().spanId])
    expect(taken!.attributes).toMatchObject({
      'messaging.system': 'xmachines',
      'messaging.operation.type': 'process',
      'messaging.operation.name': 'process',
      'messaging.destination.name': 'account',
      'messaging.message.id': `${run.id}/2/0`,
    })
    expect(units.account[1]!.trace).toEqual(kept(taken!))
    const [delivery] = named('deliver')
    expect(delivery!.kind).toBe(SpanKind.PRODUCER)
    expect(linked(delivery!)).toEqual([sender!.spanContext().spanId])
    const [timer] = named('timer order')
    expect(linked(timer!)).toEqual([sender!.spanContext().spanId])
  })

  test('what a unit left to be done stands in its trace, and so does the child that it spawned', async () => {
    const child = setup({}).createMachine({ id: 'child' })
    const parent = setup({
      types: { events: {} as { type: 'SPAWN' | 'ACT' | 'TOLD' } },
      actions: {
        act: ({ self }) => {
          tracer.startSpan('HTTP GET').end()
          self.send({ type: 'TOLD' })
        },
      },
    }).createMachine({
      id: 'parent',
      on: { ACT: { actions: 'act' }, SPAWN: { actions: spawnRun(child, { key: 'c' }) } },
    })
    const store = memoryStore()
    const options = { machine: [parent, child], store, telemetry } as const
    await using host = createHost(options)
    const [one, two] = [await host.open({ key: 'p-1' }), await host.open({ key: 'p-2' })]
    // Both are written at once, in what the first one's sender began.
    const sent = (
      [
        [one, 'ACT'],
        [two, 'ACT'],
        [two, 'SPAWN'],
      ] as const
    ).map(([run, type]) => {
      return tracer.startActiveSpan(type, span => run.apply({ type }).finally(() => span.end()))
    })
    await Promise.all(sent)
    await one.close()
    await two.close()
    const applied = (run: { id: string }, type: string) =>
      named('apply parent').find(
        ({ attributes }) =>
          attributes['xmachines.run.id'] === run.id && String(attributes['xmachines.event.types']) === type,
      )!
    const parents = (spans: readonly ReadableSpan[]) => spans.map(span => span.parentSpanContext?.spanId)
    const acts = [applied(one, 'ACT'), applied(two, 'ACT')].map(span => span.spanContext().spanId)
    expect(parents(named('HTTP GET'))).toEqual(acts)
    expect(parents([applied(one, 'TOLD'), applied(two, 'TOLD')])).toEqual(acts)
    expect(parents(named('apply child'))).toEqual([applied(two, 'SPAWN').spanContext().spanId])
  })

  test('a refusal is an error with its code', async () => {
    const run = createRun(order, { telemetry })
    expect(await run.apply({ type: 'FAIL' })).toMatchObject({ ok: false })
    await run.close()
    const refused = named('apply order').at(-1)!
    expect(refused.status.code).toBe(SpanStatusCode.ERROR)
    expect(refused.attributes['error.type']).toBe('STEP_FAILED')
    expect(refused.attributes).not.toHaveProperty('xmachines.unit.seq')
  })

  test('ids are what they are without telemetry', async () => {
    const key = 'same'
    const ids = async (measured: Telemetry | undefined) => {
      const run = createRun(account, { key, time: 'source', telemetry: measured, store })
      await run.apply({ type: 'CHARGED' }, { at: 5 })
      const units: readonly Unit[] = await all(store.read(run.id))
      await run.close()
      return units.map(({ id, trace }) => ({ id, traced: trace !== undefined }))
    }
    let store = memoryStore()
    const measured = await ids(telemetry)
    store = memoryStore()
    const bare = await ids(undefined)
    expect(measured.map(({ id }) => id)).toEqual(bare.map(({ id }) => id))
    expect(measured.every(({ traced }) => traced)).toBe(true)
    expect(bare.some(({ traced }) => traced)).toBe(false)
  })
})

test.each(['onStart', 'onEnd'] as const)('a processor that throws in %s, and a meter, change no run', async hook => {
  const broken = (): never => {
    throw new Error('no exporter')
  }
  const done = async () => {}
  const processor = { onStart: () => {}, onEnd: () => {}, forceFlush: done, shutdown: done, [hook]: broken }
  const instrument = { add: broken, record: broken, addCallback() {}, removeCallback() {} }
  const meter = new Proxy({} as Meter, { get: () => () => instrument })
  const told = vi.fn()
  diag.setLogger({ error: told, warn: told, info() {}, debug() {}, verbose() {} }, { suppressOverrideMessage: true })
  ends.push(() => diag.disable())
  const quiet = await createTelemetry({
    tracerProvider: new BasicTracerProvider({ spanProcessors: [processor] }),
    meterProvider: { getMeter: () => meter },
  })
  const { units } = await placed(quiet)
  expect(units.order.map(({ origin }) => origin.kind)).toEqual(['outside', 'outside', 'effect', 'timer'])
  expect(told).toHaveBeenCalledWith(expect.stringContaining('telemetry provider threw'), expect.any(Error))
})

describe('a trace that the caller names', () => {
  const given = { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', tracestate: 'vendor=1' }

  test('is kept beside the unit, and goes along with its mail, also without telemetry', async () => {
    const sender = setup({ types: { events: {} as { type: 'GO' } } }).createMachine({
      id: 'sender',
      on: { GO: { actions: tell({ machine: 'account', key: 'a-1' }, { type: 'CHARGED' }) } },
    })
    const store = memoryStore()
    const receiver = await openRun(account, { store, key: 'a-1' })
    const run = await openRun(sender, { store, key: 's' })
    await run.apply({ type: 'GO' }, { trace: given })
    for await (const { seq } of receiver.snapshot) if (seq === 1) break
    expect((await all(store.read(run.id))).map(({ trace }) => trace)).toEqual([undefined, given])
    expect((await all(store.read(receiver.id))).map(({ trace }) => trace)).toEqual([undefined, given])
    await run.close()
    await receiver.close()
  })

  test('is the parent of the unit, with its state', async () => {
    const run = createRun(account, { telemetry })
    await run.apply({ type: 'CHARGED' }, { trace: given })
    await run.close()
    const span = named('apply account').at(-1)!
    expect(span.parentSpanContext).toMatchObject({ spanId: 'b7ad6b7169203331', isRemote: true })
    expect(span.spanContext().traceState?.get('vendor')).toBe('1')
  })

  test('is refused where it is none', async () => {
    const run = createRun(account)
    const zeros = [given.traceparent.replace(/[0-9a-f]{32}/, '0'.repeat(32)), given.traceparent.replace(/^00/, 'ff')]
    const none = ['x', 1, ...zeros].map(traceparent => ({ traceparent }))
    for (const trace of [...none, { ...given, tracestate: 1 }])
      await expect(run.apply({ type: 'CHARGED' }, { trace: trace as never })).rejects.toThrow(TypeError)
    await run.close()
  })

  test('stands in the headers of a record', async () => {
    const broker = memoryBroker({ partitions: 1 })
    const store = memoryStore()
    await using supervisor = supervise({
      machine: account,
      store,
      telemetry,
      consumer: broker.consumer({ topic: 't', group: 'g' }),
    })
    const value = JSON.stringify({ type: 'CHARGED' })
    const headers = { traceparent: given.traceparent }
    await broker.producer({ topic: 't' }).send([{ key: 'k', value, timestamp: 1, headers }])
    await supervisor.caughtUp()
    const span = named('apply t').at(-1)!
    expect(span.parentSpanContext?.spanId).toBe('b7ad6b7169203331')
  })
})

describe('metrics', () => {
  const value = async (name: string, attributes: Attributes) => {
    const points = await metric(name)
    const found = points.filter(point => Object.entries(attributes).every(([key, is]) => point.attributes[key] === is))
    return found.reduce((sum, point) => sum + (point.value as number), 0)
  }

  test('count units, refusals, attempts, mail and runs in memory, and measure appends', async () => {
    const machine = { 'xmachines.machine.id': 'order' }
    const before = async () => ({
      units: await value('xmachines.units', machine),
      timers: await value('xmachines.units', { ...machine, 'xmachines.unit.origin': 'timer' }),
      refusals: await value('xmachines.refusals', { ...machine, 'error.type': 'STEP_FAILED' }),
      attempts: await value('xmachines.invocation.attempts', machine),
      mail: await value('messaging.client.sent.messages', machine),
      residents: await value('xmachines.residents', machine),
    })
    const was = await before()
    await placed(telemetry)
    await using host = createHost({ machine: order, store: memoryStore(), telemetry })
    const run = await host.open({ key: 'h' })
    expect(await run.apply({ type: 'FAIL' })).toMatchObject({ ok: false })
    const is = await before()
    const grown = Object.fromEntries(
      Object.entries(is).map(([name, now]) => [name, now - was[name as keyof typeof was]]),
    )
    expect(grown).toEqual({ units: 5, timers: 1, refusals: 1, attempts: 2, mail: 1, residents: 1 })
    await run.close()
    await host.close()
    expect(await value('xmachines.residents', machine)).toBe(was.residents)
    const [appends] = await metric('xmachines.append.duration')
    expect(appends!.value).toMatchObject({ count: expect.any(Number), sum: expect.any(Number) })
  })
})

describe('metrics of leases', () => {
  const ofTopic = { 'messaging.destination.name': 't', 'messaging.consumer.group.name': 'g' }
  const ofPartition = { ...ofTopic, 'messaging.destination.partition.id': '0' }
  const record = ['a', { type: 'ADD', by: 1 }] as const

  /** What is measured of the only lease. */
  async function measured(name: string): Promise<unknown> {
    const points = await metric(`xmachines.lease.${name}`)
    expect(points.map(({ attributes }) => attributes)).toEqual([ofPartition])
    return points[0]!.value
  }

  test('tell how far it is behind, by what the broker says at the time of the reading', async () => {
    const store = faultyStore(memoryStore())
    const world = new World({ store })
    const { supervisor } = world.supervise({ telemetry, window: 3 })
    const held = store.faults.plan('append.late')
    await world.send(...Array.from({ length: 10 }, () => record))
    await held.met
    await world.environment.advance(2500)
    expect(await measured('lag')).toBe(10)
    expect(await measured('fetch_lag')).toBe(7)
    expect(await measured('backlog')).toBe(3)
    expect(await measured('oldest_age')).toBe(2.5)
    expect(await measured('time_lag')).toBe(2.5)
    expect(await measured('paused')).toBe(2.5)
    await world.send(record)
    expect(await measured('lag')).toBe(11)
    held.release()
    await supervisor.caughtUp()
    expect(await measured('lag')).toBe(0)
    expect(await measured('oldest_age')).toBe(0)
    expect(await measured('time_lag')).toBe(0)
  })

  test('of a lease that is gone are 0: it is behind elsewhere', async () => {
    const store = faultyStore(memoryStore())
    const world = new World({ store })
    const { supervisor } = world.supervise({ telemetry, drain: 1000 })
    const held = store.faults.plan('append.late')
    await world.send(record)
    await held.met
    expect(await measured('lag')).toBe(1)
    const closed = supervisor.close()
    await world.environment.advance(1000)
    await closed
    expect(await measured('lag')).toBe(0)
    expect(await measured('oldest_age')).toBe(0)
  })

  test('do not wait for a broker that does not answer', async () => {
    const world = new World()
    const { supervisor, consumer, event } = world.supervise({ telemetry })
    await event('claimed')
    expect(await measured('lag')).toBe(0)
    consumer.endOffsets = () => new Promise(() => {})
    const reading = measured('lag')
    await world.environment.advance(2000)
    expect(await reading).toBe(0)
    await supervisor.close()
  })

  test('count fenced appends and losses, and time drains', async () => {
    const world = new World()
    const { supervisor, event } = world.supervise({ telemetry })
    await world.send(record)
    await supervisor.caughtUp()
    await world.store.release({ namespace: 't', partition: 0, epoch: 1 })
    await world.send(record)
    await event('fenced')
    expect(await measured('fenced_appends')).toBe(1)
    world.broker.faults.lose({ topic: 't' })
    await event('lost')
    expect(await measured('losses')).toBe(1)

    const drains = async () => {
      const [point] = await metric('xmachines.lease.drain.duration')
      return (point?.value ?? { count: 0, sum: 0 }) as { readonly count: number; readonly sum: number }
    }
    await event('claimed', 2)
    const before = await drains()
    const failing = world.broker.faults.failCommits({ times: 1 })
    await world.send(record)
    await settled()
    failing.assertFired()
    const closed = supervisor.close()
    await world.environment.advance(100)
    await closed
    const after = await drains()
    expect(after.count - before.count).toBe(1)
    expect(after.sum - before.sum).toBeCloseTo(0.1)
    expect((await metric('xmachines.lease.drain.duration'))[0]!.attributes).toEqual(ofTopic)
  })
})

test('without the library, the error says how to install it', async () => {
  vi.doMock('@opentelemetry/api', () => {
    throw new Error("Cannot find package '@opentelemetry/api'")
  })
  await expect(createTelemetry()).rejects.toMatchObject({
    code: 'LIBRARY_MISSING',
    message: expect.stringContaining('npm install @opentelemetry/api'),
  })
  vi.doUnmock('@opentelemetry/api')
})
