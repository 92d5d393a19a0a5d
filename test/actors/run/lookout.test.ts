import { describe, expect, test, vi } from 'vitest'
import type { Store } from 'xmachines'
import { memoryStore } from 'xmachines/persistence/memory'
import { createHostIn } from '../../../src/actors/host/index.ts'
import { openRunIn } from '../../../src/actors/run/open.ts'
import { faultyStore } from '../../../src/testing/faulty-store.ts'
import { override } from '../../persistence/store-door.ts'
import { VirtualEnvironment } from '../supervisor/virtual-environment.ts'
import { account } from './accounts.ts'
import { charging } from './charging.ts'

/** A process with a store of its own, over what all of them share. */
function start(process: string, shared: Store) {
  const time = new VirtualEnvironment(process)
  const store = override(shared, {})
  const open = (key: string, balance = 0) => openRunIn(time, account, { store, key, input: { balance } })
  return { time, store, open }
}

function processes({ isShared = true } = {}) {
  const shared = isShared ? override(memoryStore(), { shared: true }) : memoryStore()
  return [start('one', shared), start('two', shared)] as const
}

describe('a run that is open without a host', () => {
  test('takes mail of another process within ten seconds', async () => {
    const [one, two] = processes()
    const receiver = await two.open('b')
    const sender = await one.open('a', 10)
    await sender.apply({ type: 'PAY', to: 'b', amounts: [3, 4] })
    await one.time.settled()
    expect(receiver.getSnapshot().context.balance).toBe(0)
    await two.time.advance(10_000)
    expect(receiver.getSnapshot().context).toEqual({ balance: 7, seen: ['3', '4'] })
    // And again, later.
    await sender.apply({ type: 'PAY', to: 'b', amounts: [1] })
    await one.time.settled()
    await two.time.advance(10_000)
    expect(receiver.getSnapshot().context.balance).toBe(8)
  })

  test('shows what another process has written', async () => {
    const [one, two] = processes()
    const [here, there] = [await one.open('a', 10), await two.open('a')]
    await there.apply({ type: 'DEPOSIT', amount: 4, note: '4' })
    expect(here.getSnapshot().context.balance).toBe(10)
    await one.time.advance(10_000)
    expect(here.getSnapshot().context.balance).toBe(14)
    // It goes on from there without a conflict.
    const append = vi.spyOn(one.store, 'append')
    expect(await here.apply({ type: 'DEPOSIT', amount: 1, note: '1' })).toMatchObject({ ok: true, seq: 2 })
    expect(append).toHaveBeenCalledTimes(1)
  })

  test('is looked at as long as it is open, and where nothing has happened nothing more is read', async () => {
    const [one] = processes()
    const run = await one.open('a')
    const [head, read] = [vi.spyOn(one.store, 'head'), vi.spyOn(one.store, 'read')]
    await one.time.advance(60_000)
    expect(head).toHaveBeenCalledTimes(6)
    expect(read).not.toHaveBeenCalled()
    await run.close()
    head.mockClear()
    await one.time.advance(60_000)
    expect(head).not.toHaveBeenCalled()
    expect(one.time.timers).toBe(0)
  })

  test('survives a store that does not answer for a while', async () => {
    const [one, two] = processes()
    const run = await one.open('a', 5)
    vi.spyOn(one.store, 'head').mockRejectedValueOnce(new Error('no answer'))
    const sender = await two.open('b', 5)
    await sender.apply({ type: 'PAY', to: 'a', amounts: [5] })
    await two.time.settled()
    await one.time.advance(10_000)
    expect(run.getSnapshot().context.balance).toBe(5)
    await one.time.advance(10_000)
    expect(run.getSnapshot().context.balance).toBe(10)
  })
})

test('one that could not be opened is not looked at', async () => {
  const [one, two] = processes()
  const { machine } = charging()
  const run = await openRunIn(one.time, machine, { store: one.store, key: 'a' })
  await run.apply({ type: 'CHARGE' })
  const store = faultyStore(two.store)
  store.faults.plan('livesUntil.before')
  const opened = openRunIn(two.time, machine, { store, key: 'a' })
  await expect(opened).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
  expect(two.time.timers).toBe(0)
})

test.each([
  ['where no other process may write', false, false],
  ['where a host does', true, true],
])('a run is not looked at %s', async (_, isShared, isHosted) => {
  const [one] = processes({ isShared })
  const host = isHosted ? createHostIn(one.time, { machine: account, store: one.store }) : undefined
  const run = await one.open('a')
  const head = vi.spyOn(one.store, 'head')
  await one.time.advance(60_000)
  expect(head).not.toHaveBeenCalled()
  await run.close()
  await host?.close()
})
