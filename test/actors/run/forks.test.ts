import { describe, expect, test } from 'vitest'
import { createRun, defineMachine, forkRun, openRun } from 'xmachines'
import { memoryStore } from 'xmachines/persistence/memory'
import { assign, createMachine } from 'xstate'
import { z } from 'zod'
import { all } from './collect.ts'
import { worker } from './machines.ts'

describe('a replacement in a fork (semantics 5)', () => {
  test('takes the place of a timer, too: it is the next unit', async () => {
    const machine = createMachine({
      id: 'waiting',
      initial: 'waiting',
      states: { waiting: { after: { 50: 'late' }, on: { COME: 'come', PING: {} } }, late: {}, come: {} },
    })
    const store = memoryStore()
    await using run = await openRun(machine, { store, key: 'a', time: 'source', at: 0 })
    await run.advance(50)
    await using come = await forkRun(run, { at: 0, replace: { type: 'COME' } })
    expect((await all(store.read(come.id))).map(({ seq, at, events }) => [seq, at, events[0]?.type])).toEqual([
      [0, 0, undefined],
      [1, 50, 'COME'],
    ])
    await using pinged = await forkRun(run, { at: 0, replace: { type: 'PING' } })
    expect(pinged.getSnapshot().value).toBe('waiting')
    await pinged.apply({ type: 'PING' }, { at: 60 })
    expect(pinged.getSnapshot().value).toBe('late')
  })

  test('that is refused makes no fork', async () => {
    const store = memoryStore()
    const machine = defineMachine(
      createMachine({
        on: {
          FAIL: {
            actions: assign(() => {
              throw new Error('no')
            }),
          },
        },
      }),
      { events: z.object({ type: z.enum(['FAIL', 'GO']) }), unhandled: 'reject' },
    )
    await using run = await openRun(machine, { store, key: 'a' })
    for (const [replace, code] of [
      [{ type: 'FAIL' }, 'STEP_FAILED'],
      [{ type: 'GO' }, 'EVENT_UNHANDLED'],
      [{ type: 'NEVER' }, 'EVENT_REJECTED_BY_SCHEMA'],
      [{ type: 'xstate.stop' }, 'EVENT_RESERVED'],
    ] as const)
      await expect(forkRun(run, { at: 0, key: 'b', replace })).rejects.toMatchObject({ code })
    expect((await all(store.list())).map(({ key }) => key)).toEqual(['a'])
  })
})

test('a key that a fork has is not given to another one, and that fork stays as it is', async () => {
  const { machine } = worker()
  const store = memoryStore()
  const run = await openRun(machine, { store, key: 'a' })
  const fork = await forkRun(run, { at: 0, key: 'b', replace: { type: 'PING' } })
  for (const replace of [{ type: 'PING' }, undefined])
    await expect(forkRun(run, { at: 0, key: 'b', replace })).rejects.toMatchObject({ code: 'RUN_EXISTS' })
  await fork.close()
  await expect(forkRun(run, { at: 0, key: 'b', replace: { type: 'PING' } })).rejects.toMatchObject({
    code: 'RUN_EXISTS',
  })
  expect((await store.head(fork.id))!.seq).toBe(1)
})

test('a run whose creation is still on its way to the store is forked once it is there', async () => {
  const { machine } = worker()
  await using run = createRun(machine)
  await using fork = await forkRun(run, { at: 0 })
  expect(fork.getSnapshot().value).toEqual(run.getSnapshot().value)
})

test('a run that could not be created is not forked, and the fork says why', async () => {
  const { machine } = worker()
  const store = memoryStore()
  await using _first = await openRun(machine, { store, key: 'a' })
  const second = createRun(defineMachine(machine, { version: '2' }), { store, key: 'a' })
  await expect(forkRun(second, { at: 0 })).rejects.toMatchObject({ code: 'RUN_EXISTS' })
})
