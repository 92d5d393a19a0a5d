import { describe, expect, test, vi } from 'vitest'
import { createRun, defineMachine, forkRun, now, openRun, type Run, random, uuid } from 'xmachines'
import { memoryStore } from 'xmachines/persistence/memory'
import { assign, cancel, createActor, emit, fromCallback, raise, setup } from 'xstate'
import { otherProcess } from '../supervisor/world.ts'
import { all } from './collect.ts'
import { worker } from './machines.ts'

/** Resolves when the run has reached `seq`. */
async function reached(run: Run<never, never>, seq: number): Promise<void> {
  const reader = run.subscribe('snapshot').getReader()
  for (;;) {
    const { value, done } = await reader.read()
    if (done || value.seq >= seq) break
  }
  reader.releaseLock()
}

describe('invocations', () => {
  test('a promise starts after the append and its result is a recorded unit with an origin', async () => {
    const { machine, started, taps } = worker()
    const store = memoryStore()
    const run = await openRun(machine, { store, key: 'a' })
    await run.apply({ type: 'JOB' })
    expect(started).toEqual(['job'])
    taps.finish({ answer: 42 })
    await reached(run as never, 2)
    expect(run.getSnapshot().context.result).toEqual({ answer: 42 })
    const units = await all(store.read(run.id))
    expect(units[2]).toMatchObject({
      seq: 2,
      origin: { kind: 'effect', entered: 1, actor: ['0.worker.working'] },
      events: [{ type: 'xmachines.resolve', value: { answer: 42 } }],
    })
  })

  test('a rejection reaches onError as an Error, recorded as plain data', async () => {
    const { machine, taps } = worker()
    const store = memoryStore()
    const run = await openRun(machine, { store, key: 'a' })
    await run.apply({ type: 'JOB' })
    taps.fail(Object.assign(new TypeError('no funds'), { code: 'E_FUNDS' }))
    await reached(run as never, 2)
    expect(run.getSnapshot().context.result).toEqual({ failed: 'no funds' })
    expect((await all(store.read(run.id)))[2]!.events).toEqual([
      { type: 'xmachines.reject', error: { name: 'TypeError', message: 'no funds', code: 'E_FUNDS' } },
    ])
  })

  test('a result that is not JSON becomes the error that says so', async () => {
    const { machine, taps } = worker()
    const run = createRun(machine)
    await run.apply({ type: 'JOB' })
    taps.finish(new Map())
    await reached(run as never, 2)
    expect(JSON.stringify(run.getSnapshot().context.result)).toContain('Map')
  })

  test('leaving the state aborts it; its late result is dropped, never applied to its successor', async () => {
    const { machine, started, stopped, taps } = worker()
    const run = createRun(machine)
    await run.apply({ type: 'JOB' })
    const { finish } = taps
    await run.apply({ type: 'LEAVE' })
    expect(stopped).toEqual(['job'])
    await run.apply({ type: 'JOB' })
    expect(started).toEqual(['job', 'job'])
    finish('stale')
    await run.apply({ type: 'PING' })
    expect(run.getSnapshot().value).toBe('working')
    taps.finish('fresh')
    await reached(run as never, 5)
    expect(run.getSnapshot().context.result).toBe('fresh')
  })

  test('what was entered and left within one unit never starts', async () => {
    const { machine, started } = worker()
    const run = createRun(machine)
    await run.apply([{ type: 'JOB' }, { type: 'LEAVE' }])
    expect(started).toEqual([])
  })

  test('callbacks: sendBack is a unit, receive gets what the machine sends, leaving disposes', async () => {
    const { machine, started, stopped, taps } = worker()
    const store = memoryStore()
    const run = await openRun(machine, { store, key: 'a' })
    await run.apply({ type: 'LISTEN' })
    taps.send({ type: 'PING' })
    await reached(run as never, 2)
    expect(run.getSnapshot().context.pings).toBe(1)
    expect((await all(store.read(run.id)))[2]).toMatchObject({
      origin: { kind: 'effect', actor: ['listener'] },
      events: [{ type: 'xmachines.send', event: { type: 'PING' } }],
    })
    await run.apply({ type: 'LEAVE' })
    expect([started, stopped]).toEqual([['listener'], ['listener']])
  })

  test('what a callback sends back while it starts is a later unit, and what logic emits goes nowhere', async () => {
    const machine = setup({
      types: {} as { context: { heard: string[] }; events: { type: 'GO' } | { type: 'NEXT' } | { type: 'BACK' } },
      actors: {
        hasty: fromCallback(({ sendBack, emit }) => {
          emit({ type: 'SAID' })
          sendBack({ type: 'BACK' })
        }),
      },
      actions: { hear: assign({ heard: ({ context, event }) => [...context.heard, event.type] }) },
    }).createMachine({
      id: 'm',
      context: { heard: [] },
      on: { BACK: { actions: 'hear' }, NEXT: { actions: 'hear' } },
      initial: 'off',
      states: { off: { on: { GO: 'on' } }, on: { invoke: { src: 'hasty', id: 'hasty' } } },
    })
    // A real actor has handled it before `send` returns.
    const actor = createActor(machine).start()
    actor.send({ type: 'GO' })
    actor.send({ type: 'NEXT' })
    expect(actor.getSnapshot().context.heard).toEqual(['BACK', 'NEXT'])
    const store = memoryStore()
    const run = await openRun(machine, { store, key: 'a' })
    const receipt = await run.apply([{ type: 'GO' }, { type: 'NEXT' }])
    expect(receipt).toMatchObject({ ok: true, seq: 1, outputs: [], snapshot: { context: { heard: ['NEXT'] } } })
    await reached(run as never, 2)
    expect(run.getSnapshot().context.heard).toEqual(['NEXT', 'BACK'])
    await run.close()
    expect((await all(store.read(run.id))).flatMap(({ outputs }) => outputs)).toEqual([])
  })

  test('observables: every value and the completion are units', async () => {
    const { machine, taps, stopped } = worker()
    const run = createRun(machine)
    await run.apply({ type: 'WATCH' })
    taps.next({ price: 1 })
    await reached(run as never, 2)
    taps.next({ price: 2 })
    await reached(run as never, 3)
    expect(run.getSnapshot().context.seen).toEqual({ price: 2 })
    taps.complete()
    await reached(run as never, 4)
    expect(run.getSnapshot().value).toBe('idle')
    expect(stopped).toEqual([])
  })

  test('close awaits promises in flight and records their result; callbacks are stopped and stay pending', async () => {
    const { machine, started, stopped, taps } = worker()
    const store = memoryStore()
    const run = await openRun(machine, { store, key: 'a' })
    await run.apply({ type: 'JOB' })
    const closing = run.close()
    taps.finish('done')
    await closing
    const second = await openRun(machine, { store, key: 'a' })
    expect(second.getSnapshot().context.result).toBe('done')
    await second.apply({ type: 'LISTEN' })
    await second.close()
    expect(stopped).toEqual(['listener'])
    await using third = await openRun(machine, { store, key: 'a' })
    expect(third.getSnapshot().value).toBe('listening')
    expect(started).toEqual(['job', 'listener', 'listener'])
  })

  test('a promise that outlasts the close is aborted, stays pending, and starts again at the next open', async () => {
    const { machine, started, stopped, taps } = worker()
    const store = memoryStore()
    const run = await openRun(machine, { store, key: 'a' })
    await run.apply({ type: 'JOB' })
    await run.close({ timeout: 0 })
    expect(stopped).toEqual(['job'])
    const again = await openRun(machine, { store, key: 'a' })
    expect(started).toEqual(['job', 'job'])
    taps.finish('second try')
    await reached(again as never, 2)
    expect(again.getSnapshot().context.result).toBe('second try')
  })
})

describe('custom actions', () => {
  test('run once, in order, after the append; what they throw is told on err and changes nothing', async () => {
    const log: string[] = []
    const store = memoryStore()
    const machine = setup({}).createMachine({
      id: 'm',
      entry: () => log.push('entry'),
      on: {
        GO: {
          actions: [
            () => log.push('first'),
            () => {
              throw new Error('boom')
            },
            () => log.push('third'),
          ],
        },
      },
    })
    const run = await openRun(machine, { store, key: 'a' })
    const { err } = run
    expect(log).toEqual(['entry'])
    expect(await run.apply({ type: 'GO' })).toMatchObject({ ok: true, seq: 1 })
    expect(log).toEqual(['entry', 'first', 'third'])
    expect((await err.getReader().read()).value).toMatchObject({
      seq: 1,
      fatal: false,
      error: { code: 'EFFECT_FAILED' },
    })
    await run.close()
    await openRun(machine, { store, key: 'a' })
    expect(log).toEqual(['entry', 'first', 'third'])
  })

  test('what they throw may be anything: what has no text is told too, and no fault of the store', async () => {
    const blank: unknown = Object.create(null)
    const throws = (): never => {
      throw blank
    }
    const machine = setup({}).createMachine({
      id: 'm',
      context: {},
      on: { ACT: { actions: throws }, STEP: { actions: assign(throws) } },
    })
    await using run = createRun(machine)
    const { err } = run
    expect(await run.apply({ type: 'ACT' })).toMatchObject({ ok: true, seq: 1 })
    expect((await err.getReader().read()).value).toMatchObject({
      seq: 1,
      fatal: false,
      error: { code: 'EFFECT_FAILED' },
    })
    expect(await run.apply({ type: 'STEP' })).toMatchObject({ ok: false, error: { code: 'STEP_FAILED' } })
    expect(await run.apply({ type: 'ACT' })).toMatchObject({ ok: true, seq: 2 })
  })
})

const alarm = setup({
  types: {} as {
    context: { rings: number[] }
    events: { type: 'ARM'; delay: number } | { type: 'DISARM' } | { type: 'RING' } | { type: 'LEAVE' }
  },
}).createMachine({
  id: 'alarm',
  context: { rings: [] },
  initial: 'on',
  states: {
    on: {
      on: {
        ARM: {
          actions: raise({ type: 'RING' }, { delay: ({ event }) => (event as { delay: number }).delay, id: 'ring' }),
        },
        DISARM: { actions: cancel('ring') },
        RING: { actions: assign({ rings: ({ context }) => [...context.rings, now()] }) },
        LEAVE: 'waiting',
      },
    },
    waiting: { after: { 100: 'on' } },
  },
})

describe('timers', () => {
  test('under source time they fall due between units, by due time, as units of their own', async () => {
    const store = memoryStore()
    const run = await openRun(alarm, { store, key: 'a', time: 'source', at: 1000 })
    await run.apply({ type: 'ARM', delay: 50 }, { at: 1010 })
    await run.apply({ type: 'LEAVE' }, { at: 1020 })
    await run.apply({ type: 'RING' }, { at: 2000 })
    expect((await all(store.read(run.id))).map(({ seq, at, origin }) => [seq, at, origin.kind])).toEqual([
      [0, 1000, 'outside'],
      [1, 1010, 'outside'],
      [2, 1020, 'outside'],
      [3, 1060, 'timer'],
      [4, 1120, 'timer'],
      [5, 2000, 'outside'],
    ])
    expect(run.getSnapshot().context.rings).toEqual([2000]) // at 1060 the machine was in `waiting`, which takes no RING
  })

  test('a repetition changes nothing, also where it comes with a later time', async () => {
    const run = createRun(alarm, { time: 'source' })
    const source = { id: 'log', position: 1 }
    await run.apply({ type: 'ARM', delay: 50 }, { at: 10, source })
    await run.apply({ type: 'DISARM' }, { at: 10, source: { id: 'log', position: 2 } })
    await run.apply({ type: 'ARM', delay: 50 }, { at: 10, id: 'once' })
    for (const options of [{ source }, { id: 'once' }]) {
      const receipt = await run.apply({ type: 'ARM', delay: 50 }, { at: 100, ...options })
      expect(receipt).toMatchObject({ ok: true, duplicate: true, seq: 3, snapshot: { seq: 3, context: { rings: [] } } })
    }
    await run.advance(100)
    expect(run.getSnapshot().context.rings).toEqual([60])
    await run.close()
  })

  test('an event that is refused has told the time: it is judged by the state after what was due before it', async () => {
    const store = memoryStore()
    const strict = defineMachine(alarm, { unhandled: 'reject' })
    const run = await openRun(strict, { store, key: 'a', time: 'source', at: 0 })
    await run.apply({ type: 'ARM', delay: 50 }, { at: 10 })
    const receipt = await run.apply({ type: 'NOBODY_KNOWS' } as never, { at: 100 })
    expect(receipt).toMatchObject({ ok: false, seq: 2, error: { code: 'EVENT_UNHANDLED' } })
    expect(run.getSnapshot().context.rings).toEqual([60])
    expect(await store.head(run.id)).toMatchObject({ seq: 2, at: 60 })
    await run.close()
  })

  test('advance fires what is due until then, and changes nothing where none is', async () => {
    const store = memoryStore()
    const run = await openRun(alarm, { store, key: 'a', time: 'source', at: 0 })
    await run.apply({ type: 'ARM', delay: 50 }, { at: 10 })
    await run.advance(59)
    expect((await store.head(run.id))!.seq).toBe(1)
    await run.advance(60)
    expect(run.getSnapshot().context.rings).toEqual([60])
    await run.advance(9_999)
    expect(await store.head(run.id)).toMatchObject({ seq: 2, at: 60 })
  })

  test('a cancelled timer does not fire', async () => {
    const run = createRun(alarm, { time: 'source' })
    await run.apply([{ type: 'ARM', delay: 5 }, { type: 'DISARM' }], { at: 1 })
    await run.advance(100)
    expect(run.getSnapshot().context.rings).toEqual([])
  })

  const beating = (delay: number) =>
    setup({ types: {} as { context: { beats: number } } }).createMachine({
      id: 'beating',
      context: { beats: 0 },
      initial: 'idle',
      on: { START: '.on', PAUSE: '.idle' },
      states: {
        idle: {},
        on: {
          after: {
            [delay]: { target: 'on', reenter: true, actions: assign({ beats: ({ context }) => context.beats + 1 }) },
          },
        },
      },
    })

  test('under source time timers that arm one another at one instant are refused, not fired for ever: TIMERS_ENDLESS', async () => {
    const store = memoryStore()
    const run = await openRun(beating(0), { store, key: 'a', time: 'source', strict: false })
    await run.apply({ type: 'START' }, { at: 5 })
    const pause = run.apply({ type: 'PAUSE' }, { at: 6 })
    await expect(pause).rejects.toMatchObject({ code: 'TIMERS_ENDLESS', details: { run: run.id, at: 5 } })
    expect((await store.head(run.id))!.seq).toBe(1)
    await run.stop('it beats without end')
    expect(await store.head(run.id)).toMatchObject({ seq: 2, status: 'stopped' })
    await run.close()
  })

  test('where a long time passes at once its timers become durable meanwhile, and the caller may give up', async () => {
    const store = memoryStore()
    const run = await openRun(beating(1), { store, key: 'a', time: 'source', strict: false })
    await run.apply({ type: 'START' }, { at: 0 })
    const caller = new AbortController()
    const pause = run.apply({ type: 'PAUSE' }, { at: 9000, signal: caller.signal })
    caller.abort()
    await expect(pause).rejects.toMatchObject({ code: 'ABORTED' })
    await run.advance(9000)
    expect(run.getSnapshot().context.beats).toBe(9000)
    await run.close()
  })

  test('under arrival time they fire by the clock, late after a restart, never twice', async () => {
    vi.useFakeTimers({ now: 10_000 })
    try {
      const store = memoryStore()
      const run = await openRun(alarm, { store, key: 'a' })
      await run.apply({ type: 'ARM', delay: 1000 })
      await vi.advanceTimersByTimeAsync(999)
      expect(run.getSnapshot().context.rings).toEqual([])
      await vi.advanceTimersByTimeAsync(1)
      expect(run.getSnapshot().context.rings).toEqual([11_000])
      await run.apply({ type: 'ARM', delay: 1000 })
      await run.close()
      await vi.advanceTimersByTimeAsync(60_000)
      const again = await openRun(alarm, { store, key: 'a' })
      await vi.advanceTimersByTimeAsync(1)
      expect(again.getSnapshot().context.rings).toEqual([11_000, 71_000])
      await vi.advanceTimersByTimeAsync(60_000)
      expect(again.getSnapshot().context.rings).toHaveLength(2)
      await again.close()
    } finally {
      vi.useRealTimers()
    }
  })

  test('a delay beyond what the platform takes works', async () => {
    vi.useFakeTimers({ now: 0 })
    try {
      const run = createRun(alarm)
      const month = 30 * 24 * 3600 * 1000
      await run.apply({ type: 'ARM', delay: month })
      await vi.advanceTimersByTimeAsync(month - 1)
      expect(run.getSnapshot().context.rings).toEqual([])
      await vi.advanceTimersByTimeAsync(1)
      expect(run.getSnapshot().context.rings).toEqual([month])
      await run.close()
    } finally {
      vi.useRealTimers()
    }
  })
})

describe('randomness (semantics 6)', () => {
  const dice = setup({
    types: {} as {
      context: { rolls: (number | string)[] }
      events: { type: 'ROLL' } | { type: 'NAME' } | { type: 'SKIP' }
    },
  }).createMachine({
    id: 'dice',
    context: { rolls: [] },
    on: {
      ROLL: { actions: assign({ rolls: ({ context }) => [...context.rolls, random(), random()] }) },
      NAME: {
        actions: [
          assign({ rolls: ({ context }) => [...context.rolls, uuid()] }),
          emit(({ context }) => ({ type: 'NAMED', as: context.rolls.at(-1)! })),
        ],
      },
    },
  })

  test('derives from the history: the same after a restart, in a replay and on another store', async () => {
    const play = async (restart: boolean) => {
      const store = memoryStore()
      let run = await openRun(dice, { store, key: 'd', time: 'source' })
      for (const type of ['SKIP', 'ROLL', 'NAME', 'SKIP', 'ROLL'] as const) {
        await run.apply({ type }, { at: 5 })
        if (restart) {
          await run.close()
          run = await openRun(dice, { store, key: 'd' })
        }
      }
      return run.getSnapshot().context.rolls
    }
    const rolls = await play(false)
    expect(rolls).toHaveLength(5)
    expect(new Set(rolls).size).toBe(5)
    expect(rolls[2]).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    expect(await play(true)).toEqual(rolls)
  })

  test('overlapped events draw the same as awaited ones', async () => {
    const overlapped = createRun(dice, { store: memoryStore(), key: 'd', time: 'source' })
    await Promise.all([1, 2, 3].map(() => overlapped.apply({ type: 'ROLL' })))
    const awaited = createRun(dice, { store: memoryStore(), key: 'd', time: 'source' })
    for (let i = 0; i < 3; i++) await awaited.apply({ type: 'ROLL' })
    expect(overlapped.getSnapshot().context.rolls).toEqual(awaited.getSnapshot().context.rolls)
  })

  test('two processes that take each other over draw what one would have drawn', async () => {
    const store = memoryStore()
    const processes = [store, otherProcess(store)]
    const runs = await Promise.all(processes.map(store => openRun(dice, { store, key: 'd', time: 'source' })))
    for (let i = 0; i < 6; i++) await runs[i % 2]!.apply({ type: 'ROLL' })
    const alone = createRun(dice, { store: memoryStore(), key: 'd', time: 'source' })
    for (let i = 0; i < 6; i++) await alone.apply({ type: 'ROLL' })
    expect(runs[1]!.getSnapshot().context.rolls).toEqual(alone.getSnapshot().context.rolls)
  })
})

describe('forks (semantics 5)', () => {
  test('share the history, replace a unit at its time, go on by themselves, and hold effects', async () => {
    const { machine, started } = worker()
    const store = memoryStore()
    const run = await openRun(machine, { store, key: 'a', time: 'source' })
    await run.apply({ type: 'PING' }, { at: 10 })
    await run.apply({ type: 'PING' }, { at: 20 })
    const fork = await forkRun(run, { at: 1, key: 'b', replace: { type: 'JOB' } })
    expect(fork.id).not.toBe(run.id)
    expect(started).toEqual([])
    const units = await all(store.read(fork.id))
    expect(units.map(({ run: of, seq, at }) => [of === run.id, seq, at])).toEqual([
      [true, 0, 0],
      [true, 1, 10],
      [false, 2, 20],
    ])
    expect(units[1]!.id).toBe((await all(store.read(run.id)))[1]!.id)
    await fork.close()
    const held = await openRun(machine, { store, key: 'b', namespace: 'worker' })
    expect(started).toEqual([])
    await held.close()
    const released = await openRun(machine, { store, key: 'b', effects: 'run' })
    expect(started).toEqual(['job'])
    await released.close({ timeout: 0 })
    expect(run.getSnapshot().context.pings).toBe(2)
  })

  test('a fork of a fork, by store and id', async () => {
    const { machine } = worker()
    const store = memoryStore()
    const run = await openRun(machine, { store, key: 'a' })
    for (let i = 0; i < 5; i++) await run.apply({ type: 'PING' })
    const fork = await forkRun({ store, id: run.id, machine }, { at: 3 })
    await fork.apply({ type: 'PING' })
    const second = await forkRun(fork, { at: 4 })
    await second.apply({ type: 'PING' })
    expect(second.getSnapshot().context.pings).toBe(5)
    expect((await all(store.read(second.id))).map(unit => unit.run === run.id)).toEqual([
      true,
      true,
      true,
      true,
      false,
      false,
    ])
  })
  test('that reject are told on err, and end nothing', async () => {
    const machine = setup({}).createMachine({
      on: {
        GO: {
          actions: async () => {
            throw new Error('later')
          },
        },
      },
    })
    const run = createRun(machine)
    const errors = run.err.getReader()
    expect(await run.apply({ type: 'GO' })).toMatchObject({ ok: true, seq: 1 })
    expect((await errors.read()).value).toMatchObject({ seq: 1, fatal: false, error: { code: 'EFFECT_FAILED' } })
    expect(await run.apply({ type: 'GO' })).toMatchObject({ ok: true, seq: 2 })
  })
})
