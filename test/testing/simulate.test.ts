import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type AppendItem, type ChildDoneEvent, invocation, type Store, spawnRun, type XMachinesError } from 'xmachines'
import { memoryStore } from 'xmachines/persistence/memory'
import {
  type Random,
  type Scenario,
  type SimulatedWorld,
  type SimulationEnd,
  type SimulationOptions,
  simulate,
} from 'xmachines/testing'
import { assign, fromCallback, fromPromise, setup } from 'xstate'
import { programOf, wrongCounters } from '../faults/counters.ts'
import { type Counters, type Effect, type Instruction, programMachine } from '../faults/program.ts'

const runs = ['a', 'b'] as const
/** A share of all seeds: 2,000, or what FC_RUNS says. */
const share = (part: number): number => Math.max(1, Math.round(part * Number(process.env.FC_RUNS ?? 2_000)))

/** The world of the seed that is running: one machine serves all seeds, so that it is prepared once. */
let world: SimulatedWorld
let effects: Effect[] = []
const machine = programMachine(async effect => {
  const { sleep, random } = world
  effects.push(effect)
  await sleep(random.pick([0, 1, 40, 3_000]))
  if (effect.name === 'thrown') throw new Error('declined')
})

/** Programs for two runs that call one another, in a world that sees every effect. */
function programs(seen: SimulatedWorld): Scenario<typeof machine> {
  world = seen
  effects = []
  const program = programOf(world.random, 5, runs)
  return {
    machine,
    runs: [{ key: 'a' }, { key: 'b' }],
    events: program,
    atEnd: ({ runs, sent }) => {
      const told = sent.map(({ run, events }) => ({ run, event: events as Instruction }))
      const counters = Object.fromEntries(Object.entries(runs).map(([key, { context }]) => [key, context as Counters]))
      expect(wrongCounters(told, counters, effects)).toEqual([])
    },
  }
}

/** A run adds up what it is told. */
const sum = setup({
  types: {} as { context: { sum: number }; events: { type: 'ADD'; n: number } },
}).createMachine({
  id: 'sum',
  context: { sum: 0 },
  on: { ADD: { actions: assign({ sum: ({ context, event }) => context.sum + event.n }) } },
})

const adding = {
  machine: sum,
  events: (random: Random) => Array.from({ length: 6 }, () => ({ type: 'ADD' as const, n: 1 + random.below(9) })),
}

async function failureOf(simulation: Promise<unknown>): Promise<XMachinesError> {
  const thrown = await simulation.then(
    () => undefined,
    error => error,
  )
  expect(thrown).toMatchObject({ code: 'SIMULATION_FAILED' })
  return thrown as XMachinesError
}

/** What the message says to add to the call. */
function callIn({ message }: XMachinesError): SimulationOptions {
  const [, call] = /Run it alone: simulate\(\{ …, (.*) \}\)/.exec(message)!
  return JSON.parse(`{${call!.replace(/(\w+):/g, '"$1":')}}`)
}

/** A memory store that does something else with appends. */
function storeWith(append: (store: Store, items: readonly AppendItem[]) => ReturnType<Store['append']>): () => Store {
  return () => {
    const store = memoryStore()
    return new Proxy(store, {
      get: (target, key) => {
        if (key === 'append') return (items: readonly AppendItem[]) => append(target, items)
        const member = target[key as keyof Store]
        return typeof member === 'function' ? (member as (...args: unknown[]) => unknown).bind(target) : member
      },
    })
  }
}

describe('over our own machines', () => {
  const check = async (options: SimulationOptions): Promise<void> => {
    const began = performance.now()
    const report = await simulate({ scenario: programs, ...options })
    console.log(`${JSON.stringify({ ...report, trace: undefined })} in ${Math.round(performance.now() - began)} ms`)
    if (report.seeds < 40) return
    expect(report.crashes).toBeGreaterThan(report.seeds / 4)
    expect(report.faults).toBeGreaterThan(report.seeds / 4)
  }

  test(
    'counters are exact, at-most-once is at most once, and every run comes to rest',
    () => check({ seeds: share(0.68), strict: false }),
    600_000,
  )

  test(
    'also with two processes at a time',
    () => check({ seeds: share(0.3), from: 100_000, processes: 2, strict: false }),
    600_000,
  )

  test('also while steps are watched', () => check({ seeds: share(0.02), from: 200_000, strict: true }), 600_000)
})

describe('a seed', () => {
  test('gives the same trace each time, byte for byte', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(), fc.integer({ min: 1, max: 3 }), async (seed, processes) => {
        const one = await simulate({ scenario: programs, seed, processes })
        const other = await simulate({ scenario: programs, seed, processes })
        expect(one.trace.length).toBeGreaterThan(0)
        expect(other).toEqual(one)
      }),
      { numRuns: Number(process.env.FC_RUNS) || 15 },
    )
  })

  test('is another schedule than the next', async () => {
    const traces = await Promise.all([1, 2, 3].map(seed => simulate({ ...adding, seed })))
    expect(new Set(traces.map(({ trace }) => trace.join('\n'))).size).toBe(3)
  })
})

describe('a failure', () => {
  test('of an invariant has the seed, is shortened, and happens again alone', async () => {
    const simulation = { ...adding, invariant: ({ context }: { context: { sum: number } }) => context.sum < 15 }
    const failure = await failureOf(simulate(simulation))
    expect(failure.details).toMatchObject({ kind: 'invariant', seed: expect.any(Number) })
    const call = callIn(failure)
    expect(call).toMatchObject({ crashes: 0, faults: 0 })
    expect(call.keep!.length).toBeLessThan(6)
    const again = await failureOf(simulate({ ...simulation, ...call }))
    expect(again.details).toEqual(failure.details)
  })

  test('of an effect that is not made to be tried again is found', async () => {
    // Lost with a process: what the machine knows only outside of its state.
    const scenario = () => {
      const started = new Set<string>()
      const machine = setup({
        actors: {
          work: fromPromise(async () => {
            const { key } = invocation()
            if (started.has(key)) throw new Error('done before')
            started.add(key)
            await world.sleep(100)
          }),
        },
      }).createMachine({
        id: 'working',
        initial: 'idle',
        states: {
          idle: { on: { GO: 'working' } },
          working: { invoke: { src: 'work', onDone: 'done', onError: 'broken' } },
          done: {},
          broken: {},
        },
      })
      return { machine, events: [{ type: 'GO' }], invariant: ({ value }: { value: unknown }) => value !== 'broken' }
    }
    const simulation = {
      faults: 0,
      scenario: (seen: SimulatedWorld) => {
        world = seen
        return scenario() as never
      },
    }
    const failure = await failureOf(simulate(simulation))
    expect((await failureOf(simulate({ ...simulation, ...callIn(failure) }))).details).toEqual(failure.details)
  })

  test('of a store that forgets its condition is found', async () => {
    const forgetful = storeWith(async (store, items) => {
      const heads = await Promise.all(items.map(({ run }) => store.head(run)))
      const anyhow = items.map((item, at) => {
        const head = heads[at]
        if (item.expected === null || head === undefined) return item
        const { seq, revision } = head
        return {
          ...item,
          expected: { seq, revision },
          units: item.units.map((unit, i) => ({ ...unit, seq: seq + 1 + i })),
        }
      })
      return store.append(anyhow)
    })
    const failure = await failureOf(simulate({ scenario: programs, processes: 2, store: forgetful, seeds: 300 }))
    expect(
      (await failureOf(simulate({ scenario: programs, processes: 2, store: forgetful, ...callIn(failure) }))).details,
    ).toEqual(failure.details)
  })

  test('of a store that loses what it acknowledged is found', async () => {
    const lossy = () => {
      let appends = 0
      return storeWith((store, items) => {
        if (++appends !== 3) return store.append(items)
        return Promise.resolve(
          items.map(({ expected, units }) => ({
            status: 'appended' as const,
            seq: (expected?.seq ?? -1) + units.length,
            revision: (expected?.revision ?? 0) + 1,
          })),
        )
      })()
    }
    const failure = await failureOf(simulate({ ...adding, store: lossy }))
    expect((await failureOf(simulate({ ...adding, store: lossy, ...callIn(failure) }))).details).toEqual(
      failure.details,
    )
  })

  test('of a run that waits for something outside is told at once, with what is still to be done', async () => {
    const machine = setup({ actors: { never: fromPromise(() => new Promise(() => {})) } }).createMachine({
      id: 'waiting',
      invoke: { src: 'never', id: 'silence' },
    })
    const failure = await failureOf(simulate({ machine, events: [], crashes: 0, faults: 0, seeds: 1 }))
    expect(failure.details).toMatchObject({ kind: 'stuck' })
    expect(failure.message).toContain('the promise silence of unit 0')
  })

  test('at the end is found, and what was sent is shown with its answers', async () => {
    const ends: unknown[] = []
    const atEnd = (end: { sent: readonly { receipt: { ok: boolean } }[] }) => {
      ends.push(end)
      return end.sent.every(({ receipt }) => receipt.ok) && false
    }
    expect((await failureOf(simulate({ ...adding, atEnd, seeds: 1 }))).details).toMatchObject({ kind: 'end' })
    expect(ends[0]).toMatchObject({ runs: { run: { status: 'active' } }, sent: { length: 6 } })
  })

  test('of a step that strict mode refuses, or whose state is not JSON, is found', async () => {
    const using = (value: () => unknown) =>
      setup({ types: {} as { context: { value: unknown } } }).createMachine({
        id: 'using',
        context: { value: 0 },
        on: { GO: { actions: assign({ value }) } },
      })
    let calls = 0
    for (const [code, value] of [
      ['STEP_IMPURE', () => Date.now()],
      ['STEP_NOT_DETERMINISTIC', () => ++calls],
      ['STATE_NOT_JSON', () => new Map()],
    ] as const) {
      const failure = await failureOf(simulate({ machine: using(value), events: [{ type: 'GO' }], seeds: 1 }))
      expect([failure.details, failure.message]).toMatchObject([{ kind: 'error' }, expect.stringContaining(code)])
    }
    const failure = await failureOf(simulate({ machine: using(Math.random), events: [{ type: 'GO' }, { type: 'GO' }] }))
    expect(callIn(failure)).toMatchObject({ crashes: 0, faults: 0, keep: [expect.any(Number)] })
  })

  test('that the seed does not determine says so', async () => {
    let calls = 0
    const invariant = (): boolean => ++calls > 1
    expect((await failureOf(simulate({ ...adding, invariant, seeds: 1 }))).message).toContain('not the seed’s')
  })
})

test('what listens for ever does not keep a run from its rest', async () => {
  const machine = setup({ actors: { listen: fromCallback(() => {}) } }).createMachine({
    id: 'listening',
    invoke: { src: 'listen' },
  })
  expect((await simulate({ machine, events: [], seeds: 5 })).units).toBe(0)
})

test('timers fire as far as `duration` goes', async () => {
  const machine = setup({
    types: {} as { context: { ticks: number } },
    delays: { day: 86_400_000 },
    actions: { count: assign({ ticks: ({ context }) => context.ticks + 1 }) },
  }).createMachine({
    id: 'ticking',
    context: { ticks: 0 },
    initial: 'on',
    states: { on: { after: { day: { target: 'on', reenter: true, actions: 'count' } } } },
  })
  const ticks = new Set<number>()
  const atEnd = ({ runs }: SimulationEnd<typeof machine>) => void ticks.add(runs.run!.context.ticks)
  await simulate({ machine, events: [], seeds: 5, duration: 86_400_000 * 3.5, atEnd })
  expect(ticks).toEqual(new Set([3]))
})

describe('child runs', () => {
  const child = setup({
    delays: { minute: 60_000 },
  }).createMachine({
    id: 'child',
    initial: 'on',
    states: { on: { after: { minute: 'off' } }, off: { type: 'final' } },
  })
  const parent = setup({
    types: {} as { context: { ended: number }; events: { type: 'SPAWN'; key: string } | ChildDoneEvent },
    actions: { count: assign({ ended: ({ context }) => context.ended + 1 }) },
  }).createMachine({
    id: 'parent',
    context: { ended: 0 },
    on: {
      SPAWN: { actions: spawnRun(child, { key: ({ event }) => event.key }) },
      'xmachines.done.run': { actions: 'count' },
    },
  })
  // The first child is called as its parent is.
  const events = ['run', 'b'].map(key => ({ type: 'SPAWN', key }) as const)

  test('have come to their rest at the end', async () => {
    const seen = new Set<number>()
    const atEnd = ({ runs }: SimulationEnd) => void seen.add((runs.run!.context as { ended: number }).ended)
    const machine = [parent, child] as const
    const invariant = ({ context }: { context: object }) => 'ended' in context
    await simulate({ machine, events, seeds: 5, processes: 2, invariant, atEnd })
    expect(seen).toEqual(new Set([2]))
  })

  test('that no process knows the machine of are told', async () => {
    const error = await failureOf(simulate({ machine: parent, events, seeds: 20 }))
    expect(error.details).toMatchObject({ kind: 'stuck' })
    expect(error.message).toContain('the child run run')
  })
})

test('options that are none are refused', async () => {
  await expect(simulate({} as never)).rejects.toThrow(TypeError)
  await expect(simulate({ ...adding, seeds: 0 })).rejects.toThrow(TypeError)
  await expect(simulate({ ...adding, crashes: -1 })).rejects.toThrow(TypeError)
  // A seed that one cannot be added to: nothing was simulated, and passed.
  await expect(simulate({ ...adding, seed: 2 ** 60 })).rejects.toThrow('`seed`')
  await expect(simulate({ ...adding, patience: Number.NaN })).rejects.toThrow('`patience`')
  await expect(simulate({ ...adding, duration: '5s' as never })).rejects.toThrow('`duration`')
  await expect(simulate({ ...adding, keep: 3 as never })).rejects.toThrow('`keep`')
  await expect(simulate({ ...adding, runs: [] as never })).rejects.toThrow('`runs`')
  await expect(simulate({ ...adding, runs: [{ key: 'a' }, { key: 'a' }] })).rejects.toThrow('`key` of its own')
  await expect(simulate({ scenario: () => undefined as never })).rejects.toThrow('`events`')
  await expect(simulate({ ...adding, seed: 1.5 })).rejects.toThrow('`seed`')
  await expect(simulate({ ...adding, events: undefined as never })).rejects.toThrow('`events`')
  await expect(simulate({ ...adding, events: ['ADD' as never] })).rejects.toThrow('"ADD"')
  await expect(simulate({ ...adding, events: [{ run: 'nobody', event: { type: 'ADD' } }] })).rejects.toThrow(TypeError)
  await expect(simulate({ ...adding, seed: 1, keep: [99] })).rejects.toThrow('got 99')
})
