import { expect, test } from 'vitest'
import { createRun } from 'xmachines'
import { memoryStore } from 'xmachines/persistence/memory'
import { fromCallback, fromPromise, sendTo, setup } from 'xstate'
import { firstDisagreement } from '../../../src/actors/replay/bisect.ts'

/** What differs here is in no value and in no context. */
const machineOf = (sent: number, asked: number) =>
  setup({
    actors: {
      ask: fromPromise<unknown, number>(() => new Promise(() => {})),
      bell: fromCallback(() => {}),
    },
  }).createMachine({
    id: 'm',
    initial: 'idle',
    invoke: { src: 'bell', id: 'bell' },
    on: { RING: { actions: sendTo('bell', () => ({ type: 'RING', times: sent })) }, ASK: '.asking' },
    states: { idle: {}, asking: { invoke: { src: 'ask', id: 'ask', input: () => asked } } },
  })

test.each([
  [machineOf(2, 1), 1, '$.effects[0].event.times', { effects: [{ receiver: 'bell', event: { times: 2 } }] }],
  [machineOf(1, 2), 2, '$.children.ask.input', { children: { ask: { input: 2 } } }],
] as const)('shows what differs beside value and context: %#', async (bad, seq, path, shown) => {
  const store = memoryStore()
  await using run = createRun(machineOf(1, 1), { store })
  await run.apply({ type: 'RING' })
  await run.apply({ type: 'ASK' })
  const { machine } = (await store.head(run.id))!
  const found = await firstDisagreement(store.read(run.id), machine, machineOf(1, 1), bad)
  expect(found).toMatchObject({ seq, path, bad: shown })
  await run.close({ timeout: 0 })
})
