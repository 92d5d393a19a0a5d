import { expect, test } from 'vitest'
import { createRun, openRun, replay } from 'xmachines'
import { memoryStore } from 'xmachines/persistence/memory'
import { assign, fromTransition, raise, sendTo, setup } from 'xstate'

/** A property that a step leaves `undefined` is absent (semantics 15): a later step finds the same keys, restored or not. */

type Bag = Readonly<Record<string, unknown>>
type Held = { bag: Bag; deep: readonly { inner: Bag }[]; keys?: string | undefined; gone?: number | undefined }
const keysOf = (...bags: readonly object[]): string => bags.map(bag => Object.keys(bag).join('+')).join(' ')

const held = setup({
  types: {} as {
    context: Held
    events: { type: 'CLEAR' } | { type: 'LIST' } | { type: 'LATE'; left?: number | undefined }
  },
  actors: {
    tally: fromTransition(
      (state: { seen: Bag; keys: string }, event) =>
        event.type === 'CLEAR'
          ? { ...state, seen: { cleared: undefined } }
          : { ...state, keys: keysOf(state, state.seen) },
      { seen: {}, keys: '' },
    ),
  },
}).createMachine({
  id: 'held',
  context: { bag: { a: 1 }, deep: [{ inner: { b: 1 } }], gone: undefined },
  invoke: { src: 'tally', id: 'tally' },
  on: {
    CLEAR: {
      actions: [
        assign({ bag: { a: undefined }, deep: [{ inner: { b: undefined } }], gone: undefined }),
        sendTo('tally', { type: 'CLEAR' }),
        raise({ type: 'LATE', left: undefined }, { delay: 5 }),
      ],
    },
    LIST: {
      actions: [
        assign({ keys: ({ context }) => keysOf(context, context.bag, context.deep[0]!.inner) }),
        sendTo('tally', { type: 'LIST' }),
      ],
    },
    LATE: { actions: assign({ keys: ({ context, event }) => `${context.keys} ${keysOf(event)}` }) },
  },
})

test('what is undefined is absent in the next unit, in a run that stayed in memory as in one that was restored', async () => {
  const seen: unknown[] = []
  for (const reopens of [false, true]) {
    const store = memoryStore()
    let run = createRun(held, { store, key: 'k', time: 'source', at: 0 })
    await run.apply({ type: 'CLEAR' })
    if (reopens) {
      await run.close()
      run = await openRun(held, { store, key: 'k' })
    }
    await run.apply({ type: 'LIST' })
    await run.advance(5)
    seen.push([run.getSnapshot().context, run.getSnapshot().children.tally!.getSnapshot()])
    await run.close()
    for await (const { seq, divergence } of replay(held, store.read(run.id), { verify: true }))
      expect(divergence, `unit ${seq}`).toBeUndefined()
  }
  expect(seen[1]).toEqual(seen[0])
  expect(seen[0]).toMatchObject([
    { keys: 'bag+deep   type', bag: {}, deep: [{ inner: {} }] },
    { context: { keys: 'seen+keys ' } },
  ])
})
