import { expect, test } from 'vitest'
import { type AppendItem, defineMachine, invocation, type Store } from 'xmachines'
import { memoryStore } from 'xmachines/persistence/memory'
import { type SimulatedWorld, type SimulationOptions, simulate } from 'xmachines/testing'
import { assign, fromPromise, setup } from 'xstate'
import { invocationKey } from '../../src/actors/run/attempts.ts'
import { ownerOf } from '../../src/actors/run/owners.ts'

/** A share of all seeds: 300, or what FC_RUNS says. */
const share = (part: number): number => Math.max(1, Math.round(part * Number(process.env.FC_RUNS ?? 300)))

/** The world of the seed that is running. */
let world: SimulatedWorld
/** How often each invocation was started, by its key. */
let started: Map<string, number>
/** What was taken from a process that lived, by its row. */
let robbed: string[]

/** What was gone on with late after the row of its process had run out. */
let forgotten: string[]
/** Until then there may have been no process at all: it takes up to 100 s until one starts in the place of a dead one. */
const bound = 120_000

const names = ['A', 'B', 'C'] as const

/** Three parts, each with a promise that takes from no time to more than a process's row holds. */
const part = (name: (typeof names)[number]) => {
  const tell = (text: string) => ({ type: 'tell' as const, params: { text } })
  return {
    initial: 'idle' as const,
    states: {
      idle: { on: { [name]: 'working' as const } },
      working: {
        invoke: {
          src: name === 'A' ? ('once' as const) : ('again' as const),
          id: name,
          onDone: { target: 'idle' as const, actions: tell('done') },
          onError: { target: 'idle' as const, actions: tell('interrupted') },
        },
      },
    },
  }
}

async function work(): Promise<void> {
  const { key } = invocation()
  started.set(key, (started.get(key) ?? 0) + 1)
  await world.sleep(world.random.pick([0, 100, 20_000, 50_000, 300_000]))
}

const machine = defineMachine(
  setup({
    types: {} as { context: { told: readonly string[] }; events: { type: (typeof names)[number] | 'PING' } },
    actors: { once: fromPromise(work), again: fromPromise(work) },
    actions: { tell: assign({ told: ({ context }, { text }: { text: string }) => [...context.told, text] }) },
  }).createMachine({
    id: 'sharing',
    context: { told: [] },
    type: 'parallel',
    on: { PING: {} },
    states: { A: part('A'), B: part('B'), C: part('C') },
  }),
  { invocations: { once: 'at-most-once', again: 'retry' } },
)

/** A memory store that sees who takes what from whom. */
function watchful(): Store {
  const store = memoryStore()
  const append: Store['append'] = async items => {
    const before = await Promise.all(items.map(({ run }) => store.head(run)))
    const outcomes = await store.append(items)
    for (const [at, item] of items.entries()) {
      if (outcomes[at]!.status !== 'appended' || before[at] === undefined) continue
      const after = (await store.head(item.run))!.beside
      for (const { key, by } of endings(item)) {
        const owner = ownerOf(before[at].beside, key)
        if (owner === null || (by === 'attempt' && owner === ownerOf(after, key))) continue
        const [until] = await store.livesUntil([owner])
        const since = world.now() - until!
        if (since < 0) robbed.push(`${key} of ${owner}, by an ${by}`)
        if (until! > 0 && since > bound) forgotten.push(`${key} of ${owner}, for ${since} ms`)
      }
    }
    return outcomes
  }
  return new Proxy(store, {
    get(target, name) {
      if (name === 'append') return append
      const member = target[name as keyof Store]
      return typeof member === 'function' ? (member as (...args: unknown[]) => unknown).bind(target) : member
    },
  })
}

/** Which attempts an item ends: by the next one of the same invocation, or because they were interrupted. */
function* endings({ run, units, beside }: AppendItem): Generator<{ key: string; by: 'attempt' | 'interruption' }> {
  for (const [key, count] of Object.entries(beside?.attempts ?? {}))
    if (count !== null && count > 1) yield { key, by: 'attempt' }
  for (const { origin, events } of units)
    if (origin.kind === 'effect' && JSON.stringify(events).includes('INVOCATION_INTERRUPTED'))
      yield { key: invocationKey(run, { entered: origin.entered, path: origin.actor }), by: 'interruption' }
}

/** Lets several processes work on one run, and holds them to what is each one's own. */
async function check({ faults = 0, ...options }: SimulationOptions): Promise<void> {
  let shared = 0
  const report = await simulate({
    faults,
    patience: 450_000,
    strict: false,
    ...options,
    store: watchful,
    scenario: seen => {
      world = seen
      started = new Map()
      robbed = []
      forgotten = []
      return {
        machine,
        events: random =>
          Array.from({ length: 12 }, () => ({ type: random.pick([...names, ...names, 'PING' as const]) })),
        atEnd: ({ runs }) => {
          // A run that ended with its store is opened again, perhaps by the same process, which lives.
          expect([faults > 0 ? [] : robbed, forgotten]).toEqual([[], []])
          const { told } = runs.run!.context
          for (const [key, times] of started) if (key.endsWith('/A')) expect(times).toBe(1)
          expect(told.length).toBeGreaterThanOrEqual(started.size)
          shared += started.size
        },
      }
    },
  })
  console.log(JSON.stringify({ ...report, trace: undefined, shared }))
}

test(
  'several processes on one run: nobody’s attempts are ended by another one',
  () => check({ seeds: share(0.4), processes: 3, crashes: 0 }),
  600_000,
)

test(
  'also while processes die and are closed: only what the dead had is gone on with, and all of it',
  () => check({ seeds: share(0.6), from: 1_000, processes: 3, crashes: 3 }),
  600_000,
)

test(
  'also while writes fail',
  () => check({ seeds: share(0.4), from: 10_000, processes: 3, crashes: 2, faults: 4 }),
  600_000,
)
