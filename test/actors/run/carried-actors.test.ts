import { expect, test } from 'vitest'
import { createRun, defineMachine, openRun, verifyRun } from 'xmachines'
import { memoryStore } from 'xmachines/persistence/memory'
import { type AnyStateMachine, assign, createMachine, sendParent, setup, spawnChild } from 'xstate'

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
