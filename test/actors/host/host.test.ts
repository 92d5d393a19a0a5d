import { describe, expect, onTestFinished, test } from 'vitest'
import { createHost, type Host, openRun, type Store, XMachinesError } from 'xmachines'
import { memoryStore } from 'xmachines/persistence/memory'
import { assign, fromPromise, setup } from 'xstate'
import { createHostIn } from '../../../src/actors/host/index.ts'
import { residencyOf } from '../../../src/actors/run/residency.ts'
import { faultyStore } from '../../../src/testing/faulty-store.ts'
import { override } from '../../persistence/store-door.ts'
import { settled, VirtualEnvironment } from '../supervisor/virtual-environment.ts'
import { otherProcess } from '../supervisor/world.ts'

const hour = 3_600_000

/** A reminder that rings, and asks for something to be done. */
function reminderOf(work: (key: string) => Promise<unknown> = async () => 'done') {
  return setup({
    types: {} as {
      context: { name: string; rung: number; result?: unknown }
      input: { name: string } | undefined
      events: { type: 'SET' } | { type: 'WORK' } | { type: 'TOUCH' }
    },
    actors: { work: fromPromise(({ input }: { input: string }) => work(input)) },
  }).createMachine({
    id: 'reminder',
    context: ({ input }) => ({ name: input?.name ?? '', rung: 0 }),
    initial: 'idle',
    on: { SET: '.set', WORK: '.working', TOUCH: {} },
    states: {
      idle: {},
      set: { after: { [hour]: { target: 'idle', actions: assign({ rung: ({ context }) => context.rung + 1 }) } } },
      working: {
        invoke: {
          src: 'work',
          input: ({ context }) => context.name,
          onDone: { target: 'idle', actions: assign({ result: ({ event }) => event.output }) },
        },
      },
    },
  })
}

const reminder = reminderOf()

function hosted(
  store: Store,
  environment: VirtualEnvironment,
  options: { machine?: ReturnType<typeof reminderOf>; residents?: number; idle?: number } = {},
) {
  const host = createHostIn(environment, { machine: reminder, store, idle: 1000, ...options })
  onTestFinished(async () => {
    const closing = host.close()
    await environment.advance(5000) // as long as it waits for promises
    await closing
  })
  return host
}

async function rungOf(host: Host<typeof reminder>, key: string): Promise<number> {
  const run = await host.open({ key, create: false })
  try {
    return run.getSnapshot().context.rung
  } finally {
    await run.close()
  }
}

describe('createHost', () => {
  test('a run that is opened with an option that is `undefined` has the host’s', async () => {
    const impure = setup({}).createMachine({ id: 'impure', on: { X: { guard: () => Date.now() > 0 } } })
    for (const strict of [true, false]) {
      await using host = createHost({ machine: impure, store: memoryStore(), strict })
      const run = await host.open({ key: 'a', strict: undefined })
      expect((await run.apply({ type: 'X' })).ok).toBe(!strict)
      await run.close()
    }
  })

  test('a run stays for a while after its last close, then goes; a timer that falls due wakes it', async () => {
    const [store, environment] = [memoryStore(), new VirtualEnvironment()]
    const host = hosted(store, environment)
    const run = await host.open({ key: 'a' })
    await run.apply({ type: 'SET' })
    await run.close()
    expect(residencyOf(store).size).toBe(1)
    await environment.advance(1001)
    expect(residencyOf(store).size).toBe(0)
    await environment.advance(hour - 2000)
    expect(residencyOf(store).size).toBe(0)
    await environment.advance(1000)
    expect(residencyOf(store).size).toBe(1)
    expect(await rungOf(host, 'a')).toBe(1)
    expect(await store.head(run.id)).toMatchObject({ seq: 2, due: null })
  })

  test('after a restart, what fell due meanwhile fires once, and what was invoked is started again', async () => {
    const store = memoryStore()
    const began: string[] = []
    const first = new VirtualEnvironment('process-1')
    const never = reminderOf(() => new Promise(() => {}))
    const before = hosted(store, first, { machine: never })
    for (const key of ['t', 'w']) {
      const run = await before.open({ key, input: { name: key } })
      await run.apply({ type: key === 't' ? 'SET' : 'WORK' })
    }
    // The process dies: nothing of it is closed.
    const second = new VirtualEnvironment('process-2', first.now() + 2 * hour)
    const machine = reminderOf(async name => {
      began.push(name)
      return 'done at last'
    })
    const after = hosted(otherProcess(store), second, { machine })
    await settled()
    await second.advance(10_000)
    expect(await rungOf(after, 't')).toBe(1)
    expect(began).toEqual(['w'])
    const worked = await after.open({ key: 'w' })
    expect(worked.getSnapshot()).toMatchObject({ value: 'idle', context: { result: 'done at last' } })
  })

  test('at most `residents` runs stay that nobody has open', async () => {
    const [store, environment] = [memoryStore(), new VirtualEnvironment()]
    const host = hosted(store, environment, { residents: 3, idle: Number.POSITIVE_INFINITY })
    for (let i = 0; i < 10; i++) {
      const run = await host.open({ key: `k${i}` })
      await run.apply({ type: 'SET' })
      await run.close()
      await settled()
      expect(residencyOf(store).size).toBeLessThanOrEqual(3)
    }
    await environment.advance(hour)
    await settled()
    for (let i = 0; i < 10; i++) expect(await rungOf(host, `k${i}`)).toBe(1)
  })

  test('`idle: 0`: a run goes at once, and one that works is not asked all the time whether it may', async () => {
    const store = memoryStore()
    let timers = 0
    const environment = new (class extends VirtualEnvironment {
      override setTimeout(work: () => void, ms: number) {
        // Time would not pass, where one timer of 0 ms sets the next.
        return ++timers > 500 ? super.setTimeout(() => {}, hour) : super.setTimeout(work, ms)
      }
    })()
    let finish = (_: string): void => {}
    const host = hosted(store, environment, {
      machine: reminderOf(() => new Promise(resolve => (finish = resolve))),
      idle: 0,
    })
    const run = await host.open({ key: 'w' })
    await run.apply({ type: 'WORK' })
    void run.close()
    await environment.advance(3000)
    expect(residencyOf(store).size).toBe(1)
    expect(timers).toBeLessThan(60)
    finish('done')
    await environment.advance(200)
    expect(residencyOf(store).size).toBe(0)
    const again = await host.open({ key: 't' })
    await again.close()
    await environment.advance(0)
    expect(residencyOf(store).size).toBe(0)
  })

  test('a run that cannot be opened is told, and holds up no other', async () => {
    const [store, environment] = [memoryStore(), new VirtualEnvironment()]
    const old = setup({}).createMachine({ id: 'reminder', after: { [hour]: {} } })
    const unknown = createHostIn(environment, { machine: old, store })
    const stranger = await unknown.open({ key: 'old' })
    await stranger.close()
    await unknown.close()
    const host = hosted(store, environment)
    const events = host.events.getReader()
    const run = await host.open({ key: 'new' })
    await run.apply({ type: 'SET' })
    await run.close()
    await environment.advance(2 * hour)
    expect(await rungOf(host, 'new')).toBe(1)
    const told = [(await events.read()).value!, (await events.read()).value!]
    expect(told).toContainEqual({
      at: expect.any(Number),
      type: 'failed',
      run: stranger.id,
      error: expect.objectContaining({ code: 'MACHINE_MISMATCH' }),
    })
    expect(told).toContainEqual({ at: expect.any(Number), type: 'woken', run: run.id })
  })

  test('a closed host wakes nothing, opens nothing, and leaves no timer behind', async () => {
    const [store, environment] = [memoryStore(), new VirtualEnvironment()]
    const host = hosted(store, environment)
    const run = await host.open({ key: 'a' })
    await run.apply({ type: 'SET' })
    await run.close()
    await host.close()
    await host.close()
    expect(environment.timers).toBe(0)
    expect(residencyOf(store).size).toBe(0)
    await environment.advance(2 * hour)
    expect(await store.head(run.id)).toMatchObject({ seq: 1 })
    await expect(host.open({ key: 'a' })).rejects.toMatchObject({ code: 'HOST_CLOSED' })
    await expect(host.events.getReader().read()).resolves.toEqual({ done: true, value: undefined })
  })

  test('many hosts, one store: every timer fires once', async () => {
    const store = memoryStore()
    const environments = [1, 2, 3].map(n => new VirtualEnvironment(`process-${n}`))
    const hosts = environments.map((environment, i) => hosted(i === 0 ? store : otherProcess(store), environment))
    const keys = Array.from({ length: 30 }, (_, i) => `k${i}`)
    for (const [i, key] of keys.entries()) {
      const run = await hosts[i % 3]!.open({ key })
      await run.apply({ type: 'SET' })
      await run.close()
    }
    for (let step = 0; step < 4; step++) for (const environment of environments) await environment.advance(hour / 2)
    await settled()
    for (const key of keys) expect(await rungOf(hosts[0]!, key), key).toBe(1)
  })

  test('what a living process has in flight is its own, however long it takes; once it is dead, another one goes on', async () => {
    const store = memoryStore()
    const began: string[] = []
    const machineOf = (name: string) =>
      reminderOf(() => {
        began.push(name)
        return new Promise(() => {})
      })
    const [one, two] = [new VirtualEnvironment('one'), new VirtualEnvironment('two')]
    const first = hosted(store, one, { machine: machineOf('one') })
    hosted(otherProcess(store), two, { machine: machineOf('two') })
    const run = await first.open({ key: 'a' })
    await run.apply({ type: 'WORK' })
    for (let i = 0; i < 20; i++) {
      await one.advance(10_000)
      await two.advance(10_000)
    }
    expect(began).toEqual(['one'])
    expect(await store.head(run.id)).toMatchObject({ due: null, beside: { process: 'one' } })
    // The first process stops in the middle: its time passes no more.
    for (let i = 0; i < 4; i++) await two.advance(10_000)
    expect(began).toEqual(['one', 'two'])
    expect(await store.head(run.id)).toMatchObject({ beside: { process: 'two' } })
  })

  test('what a close leaves pending is handed over at once, though its process lives on', async () => {
    const [store, environment] = [memoryStore(), new VirtualEnvironment('one')]
    const never = reminderOf(() => new Promise(() => {}))
    const first = hosted(store, environment, { machine: never })
    const [left, kept] = await Promise.all([first.open({ key: 'left' }), first.open({ key: 'kept' })])
    await Promise.all([left, kept].map(run => run.apply({ type: 'WORK' })))
    const closing = [first.close(), left.close()]
    await environment.advance(5000)
    await Promise.all(closing)
    expect(await store.head(left.id)).toMatchObject({ due: environment.now(), beside: { process: null } })
    expect(await store.head(kept.id)).toMatchObject({ due: null, beside: { process: 'one' } })
    const began: string[] = []
    const machine = reminderOf(async name => void began.push(name))
    hosted(otherProcess(store), new VirtualEnvironment('two', environment.now()), { machine })
    await settled()
    expect(began).toHaveLength(1)
  })

  test('options that mean nothing are refused', () => {
    const store = memoryStore()
    expect(() => createHost({ machine: reminder, store, residents: 0 })).toThrow(TypeError)
    expect(() => createHost({ machine: reminder, store, idle: Number.NaN })).toThrow(TypeError)
  })
})

test('a run that ends while the host makes room for it does not keep the host from going on', async () => {
  const environment = new VirtualEnvironment()
  const store = faultyStore(memoryStore())
  const host = hosted(store, environment, { residents: 1 })
  const a = await host.open({ key: 'a' })
  await a.apply({ type: 'TOUCH' })
  await a.close()
  const leaving = store.faults.plan('saveSnapshot.late')
  const opening = host.open({ key: 'b' })
  await leaving.met
  const b = await openRun(reminder, { store, key: 'b' })
  store.faults.plan('append.after')
  await expect(b.apply({ type: 'TOUCH' })).rejects.toMatchObject({ code: 'STORE_OUTCOME_UNKNOWN' })
  leaving.release()
  await expect((await opening).apply({ type: 'TOUCH' })).rejects.toMatchObject({ code: 'STORE_OUTCOME_UNKNOWN' })
  expect(await (await host.open({ key: 'b' })).apply({ type: 'TOUCH' })).toMatchObject({ ok: true, seq: 2 })
  store.faults.assertAllFired()
})

test.each([[0], [1000]])(
  'a store that takes nothing for a while is asked with growing pauses, where runs stay %i ms; then all is done, once',
  async idle => {
    const environment = new VirtualEnvironment()
    const memory = memoryStore()
    let fails = false
    let tries = 0
    const append: Store['append'] = async (items, options) => {
      if (!fails) return memory.append(items, options)
      // Without pauses time would never pass.
      if (++tries > 500) return new Promise(() => {})
      throw new XMachinesError('STORE_UNAVAILABLE', 'The disk takes nothing.')
    }
    const store = override(memory, { append })
    const host = hosted(store, environment, { idle })
    for (const key of ['a', 'b']) {
      const run = await host.open({ key })
      await run.apply({ type: 'SET' })
      await run.close()
    }
    await environment.advance(hour - 1000)
    fails = true
    await environment.advance(600_000)
    expect(tries).toBeGreaterThan(2)
    expect(tries).toBeLessThan(200)
    fails = false
    await environment.advance(300_000)
    for (const key of ['a', 'b']) expect(await rungOf(host, key)).toBe(1)
  },
)
