import { expect, test } from 'vitest'
import { createRun, defineMachine, openRun, verifyRun } from 'xmachines'
import { memoryStore } from 'xmachines/persistence/memory'
import {
  type ActorRef,
  type AnyStateMachine,
  assign,
  createMachine,
  fromCallback,
  raise,
  sendParent,
  sendTo,
  setup,
  spawnChild,
} from 'xstate'

/** Which actors and states a run that goes over to another machine is still the same in. */

const bell = createMachine({
  initial: 'set',
  states: { set: { after: { 100: 'rung' } }, rung: { entry: sendParent({ type: 'RANG' }) } },
})

/** Two machines that differ by their version alone, and a run of the first that is closed at 50 under source time. */
async function closed(...events: readonly string[]) {
  const machine = setup({
    types: {} as { context: { rang: number } },
    actors: { bell },
  }).createMachine({
    id: 'belfry',
    context: { rang: 0 },
    on: {
      HANG: { actions: spawnChild('bell', { id: 'b' }) },
      RANG: { actions: assign({ rang: ({ context }) => context.rang + 1 }) },
    },
  }) as unknown as AnyStateMachine
  const old = defineMachine(machine, { version: '1' })
  const next = defineMachine(machine, { version: '2', migrations: [{ from: old }] })
  const store = memoryStore()
  const run = createRun(old, { store, key: 'k', time: 'source' })
  for (const [i, type] of events.entries()) await run.apply({ type }, { at: i * 50 })
  await run.close()
  return { store, next, id: run.id, machines: [next, old] as const }
}

test('an actor whose id was given to another ends with the migration: its timer does not become the other one’s', async () => {
  const { store, next, machines, id } = await closed('HANG', 'HANG')
  const run = await openRun(next, { store, key: 'k' })
  await run.advance(149)
  expect(run.getSnapshot()).toMatchObject({ context: { rang: 0 }, children: { b: { id: 'b' } } })
  await run.advance(150)
  expect(run.getSnapshot().context).toEqual({ rang: 1 })
  expect((await verifyRun(store, machines, (await store.head(id))!)).divergence).toBeUndefined()
})

test('history is remembered, also under another machine’s id and where a state of it is gone', async () => {
  const pages = (id: string, rooms: object) =>
    createMachine({
      id,
      type: 'parallel',
      states: {
        reader: {
          initial: 'book',
          states: {
            book: {
              initial: 'first',
              states: { first: { on: { TURN: 'second' } }, second: {}, left: { type: 'history' } },
              on: { CLOSE: 'shelf' },
            },
            shelf: { on: { OPEN: 'book.left' } },
          },
        },
        shop: {
          initial: 'open',
          states: {
            open: { initial: 'front', states: { ...rooms, was: { type: 'history' } } },
            shut: { on: { OPEN: 'open.was' } },
          },
          on: { CLOSE: '.shut' },
        },
      },
    } as never) as unknown as AnyStateMachine
  const old = defineMachine(pages('library', { front: { on: { TURN: 'back' } }, back: {} }), { version: '1' })
  const next = defineMachine(pages('mediatheque', { front: {} }), {
    version: '2',
    migrations: [{ from: old }],
  })
  const store = memoryStore()
  const before = createRun(old, { store, key: 'k', namespace: 'readers' })
  for (const type of ['TURN', 'CLOSE']) await before.apply({ type })
  await before.close()
  const run = await openRun(next, { store, key: 'k', namespace: 'readers' })
  await run.apply({ type: 'OPEN' })
  expect(run.getSnapshot().value).toEqual({ reader: { book: 'second' }, shop: { open: 'front' } })
})

test('references go over, wherever they stand: a parent that a child or logic was given, itself, and what a delayed event holds', async () => {
  type Ref = ActorRef<never, { type: 'ANSWER'; by: string }>
  const heard: string[] = []
  const kid = setup({
    types: {} as { context: { parent: Ref; self: unknown }; input: Ref; events: { type: 'ASK' } },
  }).createMachine({
    id: 'kid',
    context: ({ input, self }) => ({ parent: input, self }),
    on: { ASK: { actions: sendTo(({ context }) => context.parent, { type: 'ANSWER', by: 'kid' }) } },
  })
  const machine = (id: string) =>
    setup({
      types: {} as {
        context: { answers: readonly string[]; me: unknown }
        events: { type: 'ASK' | 'LATER' | 'NOTE' } | { type: 'ANSWER'; by: string } | { type: 'DUE'; to: Ref }
      },
      actors: {
        kid,
        watch: fromCallback(({ input }: { input: { of: Ref } }) => {
          heard.push(String(input.of.id))
        }),
      },
    }).createMachine({
      id,
      context: { answers: [], me: null },
      invoke: [
        { src: 'kid', id: 'kid', input: ({ self }) => self as never },
        { src: 'watch', id: 'watch', input: ({ self }) => ({ of: self as never }) },
      ],
      on: {
        NOTE: { actions: assign({ me: ({ self }) => self }) },
        ASK: { actions: sendTo('kid', { type: 'ASK' }) },
        LATER: { actions: raise(({ self }) => ({ type: 'DUE', to: self as never }), { delay: 10 }) },
        DUE: { actions: sendTo(({ event }) => event.to, { type: 'ANSWER', by: 'timer' }) },
        ANSWER: { actions: assign({ answers: ({ context, event }) => [...context.answers, event.by] }) },
      },
    })
  const old = defineMachine(machine('old'), { version: '1' })
  const next = defineMachine(machine('new'), { version: '2', migrations: [{ from: old }] })
  const store = memoryStore()
  const options = { store, key: 'k', namespace: 'n', time: 'source' } as const
  const before = createRun(old, options)
  for (const type of ['NOTE', 'LATER'] as const) await before.apply({ type })
  await before.close()
  for (const reopened of [false, true]) {
    const run = await openRun(next, options)
    if (reopened) await run.advance(10)
    await run.apply({ type: 'ASK' })
    const { context, children } = run.getSnapshot()
    expect(context.answers).toEqual(reopened ? ['kid', 'timer', 'kid'] : ['kid'])
    expect([context.me, children.kid!.getSnapshot().context]).toEqual([
      expect.objectContaining({ id: 'new' }),
      { parent: context.me, self: children.kid },
    ])
    await run.close()
  }
  expect(heard).toEqual(['old', 'new', 'new'])
  expect((await verifyRun(store, [next, old], (await store.head(before.id))!)).divergence).toBeUndefined()
})
