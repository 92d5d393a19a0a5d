import { describe, expect, test } from 'vitest'
import { defineMachine, forkRun, openRun, type RecordedEvent, type Run, replay, type Store, type Unit } from 'xmachines'
import { memoryStore } from 'xmachines/persistence/memory'
import { assign, emit, enqueueActions, fromTransition, raise, sendTo, setup } from 'xstate'

/** A machine whose functions can be changed under an unchanged config: its identity stays. */
interface Code {
  readonly add?: (n: number, by: number) => number
  readonly isMany?: (n: number) => boolean
  readonly said?: (n: number) => unknown
  readonly warns?: (n: number) => boolean
  readonly tallied?: (count: number) => number
  readonly patience?: number
}

function machineOf({
  add = (n, by) => n + by,
  isMany = n => n >= 3,
  said = n => n,
  warns = () => false,
  tallied = count => count + 1,
  patience = 50,
}: Code = {}) {
  return setup({
    types: {} as {
      context: { n: number }
      events: { type: 'ADD'; by: number } | { type: 'WAIT' }
      emitted: { type: 'SUM'; details: { n: unknown }[] }
    },
    actors: { tally: fromTransition(tallied, 0) },
    actions: { warn: () => {} },
  }).createMachine({
    id: 'sum',
    context: { n: 0 },
    invoke: { src: 'tally', id: 'tally' },
    initial: 'few',
    on: {
      ADD: {
        actions: [
          assign({ n: ({ context, event }) => add(context.n, event.by) }),
          sendTo('tally', { type: 'UP' }),
          emit(({ context }) => ({ type: 'SUM' as const, details: [{ n: said(context.n) }] })),
          enqueueActions(({ context, enqueue }) => {
            if (warns(context.n)) enqueue('warn')
          }),
        ],
      },
      WAIT: { actions: raise({ type: 'ADD', by: 1 }, { delay: () => patience }) },
    },
    states: {
      few: { always: { guard: ({ context }) => isMany(context.n), target: 'many' } },
      many: {},
    },
  })
}

async function recorded(): Promise<{ readonly store: Store; readonly run: string }> {
  const store = memoryStore()
  const run = await openRun(machineOf(), { store, key: 'k', time: 'source' })
  for (const by of [1, 1, 1, 1]) await run.apply({ type: 'ADD', by })
  await run.apply({ type: 'WAIT' })
  return { store, run: run.id }
}

async function found(code: Code, change: (unit: Unit) => Unit = unit => unit) {
  const { store, run } = await recorded()
  const units = store.read(run).pipeThrough(new TransformStream({ transform: (unit, to) => to.enqueue(change(unit)) }))
  for await (const step of replay(machineOf(code), units, { verify: true })) if (step.divergence) return step.divergence
  return undefined
}

describe('verify names the first unit that comes out otherwise', () => {
  test('nothing, where nothing changed', async () => {
    expect(await found({})).toBeUndefined()
  })

  test('a context', async () => {
    const changed = await found({ add: (n, by) => (n === 1 ? 2.5 : n + by), said: n => (n === 2.5 ? 2 : n) })
    expect(changed).toMatchObject({ seq: 2, kind: 'state', path: '$.context' })
    expect(changed!.expected).not.toBe(changed!.actual)
  })

  test('a value', async () => {
    expect(await found({ isMany: n => n >= 4 })).toMatchObject({ seq: 3, kind: 'state', path: '$.value' })
  })

  test('a child, and a timer', async () => {
    expect(await found({ tallied: count => count + 2 })).toMatchObject({ seq: 1, kind: 'state', path: '$.system' })
    expect(await found({ patience: 51 })).toMatchObject({ seq: 5, kind: 'state', path: '$.system' })
  })

  test('an output, with the place in it', async () => {
    expect(await found({ said: n => (n === 4 ? null : n) })).toMatchObject({
      seq: 4,
      kind: 'outputs',
      path: '$[0].details[0].n',
    })
  })

  test('what the actors of the run are, as decided now', async () => {
    const changed = await found({ tallied: count => count + 2 })
    expect(changed!.actual).toMatchObject({ status: 'active', children: { tally: { context: expect.anything() } } })
  })

  test('an effect: an action that is left to be done', async () => {
    expect(await found({ warns: n => n === 2 })).toMatchObject({ seq: 2, kind: 'effects', path: '$.effects' })
  })

  test('a hash that was taken away', async () => {
    const without = ({ state, ...unit }: Unit) => ({ ...unit }) as Unit
    expect(await found({}, unit => (unit.seq === 3 ? without(unit) : unit))).toMatchObject({ seq: 3, kind: 'missing' })
    // A history of a version without hashes has none at all: its outputs are compared.
    expect(await found({}, without)).toBeUndefined()
    expect(await found({ said: n => -n }, without)).toMatchObject({ seq: 1, kind: 'outputs' })
  })
})

describe('a run that diverges is not opened', () => {
  test('nothing is appended, and the error says where, and the ways out', async () => {
    const { store, run } = await recorded()
    const head = await store.head(run)
    const opening = openRun(machineOf({ isMany: n => n >= 4 }), { store: unsnapped(store), key: 'k' })
    await expect(opening).rejects.toMatchObject({
      code: 'REPLAY_DIVERGED',
      details: { run, seq: 3, kind: 'state', path: '$.value' },
      message: expect.stringMatching(
        /Unit 3 .*machine as it was; .*`from` is the machine as it was or, with `event`, its version as text; or fork it at 2/s,
      ),
    })
    expect(await store.head(run)).toEqual(head)
  })

  test('the ways out lead out: the machine as it was, a migration, a fork before the unit', async () => {
    const changed = machineOf({ isMany: n => n >= 4 })
    const ways: readonly ((store: Store, id: string) => Promise<Run<never, never>>)[] = [
      (store, id) => openRun(machineOf(), { store, id }) as never,
      (store, id) => {
        const migrations = [{ from: '1', event: (event: RecordedEvent) => event }]
        return openRun(defineMachine(changed, { version: '2', migrations }), { store, id }) as never
      },
      (store, id) => forkRun({ store, id, machine: changed }, { at: 2 }) as never,
    ]
    for (const way of ways) {
      const { store, run: id } = await recorded()
      const run = await way(unsnapped(store), id)
      expect(await run.apply({ type: 'ADD', by: 1 } as never, { at: 0 })).toMatchObject({ ok: true })
      await run.close()
    }
  })

  test('one that another process wrote with other code is not gone on with', async () => {
    const store = memoryStore()
    const here = await openRun(machineOf(), { store, key: 'k' })
    const there = await openRun(machineOf({ add: (n, by) => n + 2 * by }), { store: unsnapped(store), key: 'k' })
    await there.apply({ type: 'ADD', by: 1 })
    await expect(here.apply({ type: 'ADD', by: 1 })).rejects.toMatchObject({ code: 'REPLAY_DIVERGED' })
    expect(await store.head(here.id)).toMatchObject({ seq: 1 })
  })
})

/** The same store under another identity, without its cache of states. */
function unsnapped(store: Store): Store {
  return new Proxy(store, {
    get(target, key) {
      if (key === 'loadSnapshot') return async () => undefined
      const value = Reflect.get(target, key) as unknown
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}
