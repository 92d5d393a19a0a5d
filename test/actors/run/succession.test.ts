import { expect, onTestFinished, test } from 'vitest'
import { type Store, XMachinesError } from 'xmachines'
import { memoryStore } from 'xmachines/persistence/memory'
import { createHostIn } from '../../../src/actors/host/index.ts'
import { openRunIn } from '../../../src/actors/run/open.ts'
import { faultyStore } from '../../../src/testing/faulty-store.ts'
import { TestRun } from '../../../src/testing/store-conformance/test-run.ts'
import { settled, VirtualEnvironment } from '../supervisor/virtual-environment.ts'
import { charging } from './charging.ts'

/** Two processes that have one run open. Time passes for each alone: where it stands still, the process is dead. */
async function shared() {
  const memory = memoryStore()
  const { machine, calls } = charging('retry')
  const times = [new VirtualEnvironment('one'), new VirtualEnvironment('two')] as const
  const one = await openRunIn(times[0], machine, { store: faultyStore(memory), key: 'a' })
  return { memory, machine, calls, times, one }
}

function closedAtTheEnd(host: { close(): Promise<void> }, time: VirtualEnvironment): void {
  onTestFinished(async () => {
    const closing = host.close()
    await time.advance(5_000)
    await closing
  })
}

test('what a process leaves behind is taken over by another that has the run open', async () => {
  const { memory, machine, calls, times, one } = await shared()
  const two = await openRunIn(times[1], machine, { store: faultyStore(memory), key: 'a' })
  await one.apply({ type: 'CHARGE' })
  await two.apply({ type: 'PING' }) // learns what the other one has started
  await times[1].advance(25_000)
  expect(calls.map(({ attempt }) => attempt)).toEqual([1])
  await times[1].advance(20_000) // 30 s after it was last heard of, the first one is dead
  expect(calls.map(({ attempt }) => attempt)).toEqual([1, 2])
  calls[1]!.finish('paid')
  await settled()
  expect(two.getSnapshot().context.outcome).toBe('paid')
  expect(times[1].timers).toBe(0)
})

test('also where very many other runs are overdue, and nobody serves them', async () => {
  const { memory, machine, calls, times, one } = await shared()
  const two = await openRunIn(times[1], machine, { store: faultyStore(memory), key: 'a' })
  const { namespace } = (await memory.head(one.id))!
  const neglected = Array.from({ length: 1_500 }, (_, n) => new TestRun('sha1', { key: `${n}`, namespace }))
  await memory.append(neglected.map(run => run.creates({ due: 1 })))
  await one.apply({ type: 'CHARGE' })
  await two.apply({ type: 'PING' })
  await times[1].advance(45_000)
  expect(calls.map(({ attempt }) => attempt)).toEqual([1, 2])
})

test('what becomes durable only when the run is open again is gone on with', async () => {
  const memory = memoryStore()
  const { machine, calls } = charging('retry')
  const time = new VirtualEnvironment('one')
  const store = unanswering(memory)
  const options = { store, key: 'a' }
  const run = await openRunIn(time, machine, options)
  const land = store.loseNext()
  await expect(run.apply({ type: 'CHARGE' })).rejects.toMatchObject({ code: 'STORE_OUTCOME_UNKNOWN' })
  const again = await openRunIn(time, machine, options)
  await land()
  await again.apply({ type: 'PING' })
  await settled()
  expect(calls.map(({ attempt }) => attempt)).toEqual([2])
  calls[0]!.finish('paid')
  await settled()
  expect(again.getSnapshot().context.outcome).toBe('paid')
  await again.close()
})

/** A store whose next append may be answered with nothing, and reach it later. */
function unanswering(store: Store): Store & { loseNext(): () => Promise<unknown> } {
  let lost: { land?: () => Promise<unknown> } | undefined
  const append: Store['append'] = (...asked) => {
    if (lost === undefined) return store.append(...asked)
    lost.land = () => store.append(...asked)
    lost = undefined
    return Promise.reject(new XMachinesError('STORE_OUTCOME_UNKNOWN', 'Nobody knows.'))
  }
  const loseNext = () => {
    const losing: { land?: () => Promise<unknown> } = {}
    lost = losing
    return () => losing.land!()
  }
  return new Proxy(store, {
    get(target, name) {
      if (name === 'append') return append
      if (name === 'loseNext') return loseNext
      const value: unknown = Reflect.get(target, name)
      return typeof value === 'function' ? value.bind(target) : value
    },
  }) as Store & { loseNext(): () => Promise<unknown> }
}

test('a process that lives keeps what it has in flight', async () => {
  const { memory, machine, calls, times, one } = await shared()
  const two = await openRunIn(times[1], machine, { store: faultyStore(memory), key: 'a' })
  await one.apply({ type: 'CHARGE' })
  await two.apply({ type: 'PING' })
  for (let turn = 0; turn < 12; turn++) for (const time of times) await time.advance(10_000)
  expect(calls.map(({ attempt }) => attempt)).toEqual([1])
  const closing = two.close({ timeout: 0 })
  await times[1].advance(0)
  await closing
  expect(times[1].timers).toBe(0)
})

test('a host takes over what was left behind, also of a run that it has open and nobody sends to', async () => {
  const { memory, machine, calls, times, one } = await shared()
  const host = createHostIn(times[1], { machine, store: faultyStore(memory) })
  closedAtTheEnd(host, times[1])
  const two = await host.open({ key: 'a' })
  await one.apply({ type: 'CHARGE' })
  await times[1].advance(60_000)
  expect(calls.map(({ attempt }) => attempt)).toEqual([1, 2])
  calls[1]!.finish('paid')
  await settled()
  expect(two.getSnapshot().context.outcome).toBe('paid')
})

test('a host takes over what another process handed over, while it has the run open', async () => {
  const { memory, machine, calls, times, one } = await shared()
  const host = createHostIn(times[1], { machine, store: faultyStore(memory) })
  closedAtTheEnd(host, times[1])
  await host.open({ key: 'a' })
  await one.apply({ type: 'CHARGE' })
  const closing = one.close({ timeout: 0 })
  await times[0].advance(1)
  await closing
  await times[1].advance(20_000)
  expect(calls.map(({ attempt }) => attempt)).toEqual([1, 2])
})

test('a host takes over what was left behind of a run that somebody has open, and that it has no room to keep', async () => {
  const { memory, machine, calls, times, one } = await shared()
  const store = faultyStore(memory)
  const host = createHostIn(times[1], { machine, store, residents: 1 })
  closedAtTheEnd(host, times[1])
  await openRunIn(times[1], machine, { store, key: 'a' })
  await host.open({ key: 'b' })
  await one.apply({ type: 'CHARGE' })
  const closing = one.close({ timeout: 0 })
  await times[0].advance(1)
  await closing
  await times[1].advance(20_000)
  expect(calls.map(({ attempt }) => attempt)).toEqual([1, 2])
})
