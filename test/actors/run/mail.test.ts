import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import {
  createRun,
  defineMachine,
  forkRun,
  openRun,
  replay,
  type Store,
  tell,
  verifyRun,
  XMachinesError,
} from 'xmachines'
import { fileStore } from 'xmachines/persistence/filesystem'
import { memoryStore } from 'xmachines/persistence/memory'
import { type AnyStateMachine, assign, createActor, setup } from 'xstate'
import { createHostIn } from '../../../src/actors/host/index.ts'
import { openRunIn } from '../../../src/actors/run/open.ts'
import { faultyStore } from '../../../src/testing/faulty-store.ts'
import { settled, VirtualEnvironment } from '../supervisor/virtual-environment.ts'
import { otherProcess, World } from '../supervisor/world.ts'
import { account } from './accounts.ts'
import { all } from './collect.ts'

const time = new VirtualEnvironment()
let processes = 0

const seqOf = async (store: Store, { id }: { readonly id: string }) => (await store.head(id))?.seq

/** Whether the history of a run gives the same again. */
async function isVerified(store: Store, machine: AnyStateMachine, { id }: { readonly id: string }) {
  const { divergence, error } = await verifyRun(store, machine, (await store.head(id))!)
  return divergence === undefined && error === undefined
}

const openAccount = (store: Store, key: string, balance = 0) => openRun(account, { store, key, input: { balance } })

/** As a process of its own has it: one that knows nothing of those before it, which never closed. */
const restart = (store: Store, key: string) =>
  openRunIn(time.fork(`process-${++processes}`), account, { store: otherProcess(store), key, create: false })

describe('tell', () => {
  test('reaches another run of the store once, in order, and leaves both boxes', async () => {
    const store = memoryStore()
    const a = await openAccount(store, 'a', 10)
    const b = await openAccount(store, 'b')
    await a.apply({ type: 'PAY', to: 'b', amounts: [1, 2, 3] })
    await a.apply({ type: 'PAY', to: 'b', amounts: [4] })
    await settled()
    expect(b.getSnapshot().context).toEqual({ balance: 10, seen: ['1', '2', '3', '4'] })
    expect(a.getSnapshot().context.balance).toBe(0)
    const units = await all(store.read(b.id))
    expect(units.map(({ origin }) => origin)).toEqual([
      { kind: 'outside' },
      { kind: 'mail', run: a.id, seq: 1, index: 0 },
      { kind: 'mail', run: a.id, seq: 1, index: 1 },
      { kind: 'mail', run: a.id, seq: 1, index: 2 },
      { kind: 'mail', run: a.id, seq: 2, index: 0 },
    ])
    expect(await store.head(a.id)).toMatchObject({ due: null, beside: { mailing: [], returns: [] } })
    expect(await store.head(b.id)).toMatchObject({ due: null, beside: { inbox: [] } })
  })

  test('there and back, and back again', async () => {
    const store = memoryStore()
    const [a, b] = [await openRun(player, { store, key: 'a' }), await openRun(player, { store, key: 'b' })]
    await a.apply({ type: 'SERVE', from: 'a', to: 'b', left: 50 })
    for (let i = 0; i < 30; i++) await settled()
    expect([a.getSnapshot().context.hits, b.getSnapshot().context.hits]).toEqual([25, 25])
    for (const run of [a, b]) expect(await isVerified(store, player, run)).toBe(true)
  })

  test('is recorded with its unit, shown by a replay, and verified', async () => {
    const store = memoryStore()
    const a = await openAccount(store, 'a', 10)
    await a.apply({ type: 'PAY', to: 'b', amounts: [1] })
    const sent = { to: { namespace: 'account', key: 'b' }, event: { type: 'DEPOSIT', amount: 1, note: '1' } }
    expect((await all(store.read(a.id)))[1]!.mail).toEqual([sent])
    const steps = []
    for await (const step of replay(account, store.read(a.id), { verify: true })) steps.push(step)
    expect(steps[1]!.effects).toEqual([{ kind: 'mail', actor: [], ...sent }])
    expect(steps.some(step => step.divergence !== undefined)).toBe(false)
  })

  test('from entry actions, with functions, from a child, in the step that ends the run', async () => {
    const store = memoryStore()
    const b = await openAccount(store, 'b')
    const pays = (amount: number) =>
      tell(
        () => ({ namespace: 'account', key: 'b' }),
        () => ({ type: 'DEPOSIT', amount, note: `${amount}` }),
      )
    const child = setup({}).createMachine({ id: 'child', entry: pays(2) })
    const machine = setup({ actors: { child } }).createMachine({
      id: 'm',
      entry: pays(1),
      invoke: { src: 'child' },
      initial: 'on',
      states: { on: { on: { END: 'off' }, exit: pays(3) }, off: { type: 'final', entry: pays(4) } },
    })
    const run = await openRun(machine, { store, key: 'm' })
    await run.apply({ type: 'END' })
    await settled()
    expect(b.getSnapshot().context.seen.toSorted()).toEqual(['1', '2', '3', '4'])
  })

  test('an address or an event that is none refuses the unit', async () => {
    const machine = setup({ types: {} as { events: { type: 'TO'; to: never; event: never } } }).createMachine({
      id: 'm',
      on: {
        TO: {
          actions: tell(
            ({ event }) => event.to,
            ({ event }) => event.event,
          ),
        },
      },
    })
    const run = createRun(defineMachine(machine, { errors: 'reject' }))
    for (const [to, event] of [
      [null, { type: 'E' }],
      [{ machine: 'm' }, { type: 'E' }],
      [{ machine: 'm', key: 'k' }, { type: 'xstate.stop' }],
      [{ machine: 'm', key: 'k' }, null],
    ])
      expect(await run.apply({ type: 'TO', to: to as never, event: event as never })).toMatchObject({
        ok: false,
        error: { code: 'TELL_INVALID' },
      })
    expect(run.getSnapshot().value).toEqual({})
  })

  test('nor can a name that is cut within a character be told, which an answer would hold', async () => {
    const cut = '\u{1f600}'.slice(0, 1)
    const machine = setup({}).createMachine({
      id: 'm',
      on: {
        KEY: { actions: tell({ machine: 'm', key: cut }, { type: 'E' }) },
        SPACE: { actions: tell({ namespace: cut, key: 'k' }, { type: 'E' }) },
      },
    })
    const run = createRun(machine)
    for (const type of ['KEY', 'SPACE'])
      expect(await run.apply({ type })).toMatchObject({ ok: false, seq: 0, error: { code: 'TELL_INVALID' } })
  })

  test('outside a run it says so', () => {
    const machine = setup({}).createMachine({ entry: tell({ machine: 'm', key: 'k' }, { type: 'E' }) })
    const actor = createActor(machine)
    const errors: unknown[] = []
    actor.subscribe({ error: error => errors.push(error) })
    actor.start()
    expect(errors).toMatchObject([{ code: 'TELL_OUTSIDE_RUN' }])
  })
})

describe('mail that cannot be taken', () => {
  test('comes back: unknown, finished, refused', async () => {
    const store = memoryStore()
    const picky = defineMachine(account, { unhandled: 'reject' })
    const a = await openAccount(store, 'a', 10)
    const b = await openAccount(store, 'b')
    const c = await openRun(setup({}).createMachine({ id: 'c' }), { store, key: 'c', namespace: 'account' })
    const d = await openRun(picky, { store, key: 'd' })
    await b.apply({ type: 'CLOSE' })
    await c.stop('no more')
    await a.apply({ type: 'PAY', to: 'nobody', amounts: [1, 2] })
    await a.apply({ type: 'PAY', to: 'b', amounts: [3] })
    await a.apply({ type: 'PAY', to: 'c', amounts: [4] })
    for (let i = 0; i < 5; i++) await settled()
    expect(a.getSnapshot().context).toEqual({
      balance: 10,
      seen: ['RUN_UNKNOWN', 'RUN_UNKNOWN', 'RUN_FINISHED', 'RUN_FINISHED'],
    })
    const [, , , answer] = await all(store.read(a.id))
    expect(answer).toBeDefined()
    const answers = (await all(store.read(a.id))).filter(({ origin }) => origin.kind === 'undelivered')
    expect(answers[0]).toMatchObject({
      origin: { kind: 'undelivered', run: a.id, seq: 1, index: 0 },
      events: [{ type: 'xmachines.undelivered', to: { namespace: 'account', key: 'nobody' }, event: { amount: 1 } }],
    })
    expect(await store.head(a.id)).toMatchObject({ due: null, beside: { mailing: [], returns: [], inbox: [] } })
    await d.close()
  })

  test('a receiver that refuses: policy, schema; it takes the mail without a unit', async () => {
    const store = memoryStore()
    const note = setup({}).createMachine({ id: 'account' })
    const schema = { '~standard': { version: 1, vendor: 't', validate: async () => ({ issues: [{ message: 'no' }] }) } }
    const a = await openAccount(store, 'a', 10)
    const b = await openRun(defineMachine(note, { unhandled: 'reject' }), { store, key: 'b' })
    const c = await openRun(defineMachine(note, { events: schema as never }), { store, key: 'c' })
    await a.apply({ type: 'PAY', to: 'b', amounts: [1] })
    await a.apply({ type: 'PAY', to: 'c', amounts: [2] })
    for (let i = 0; i < 5; i++) await settled()
    expect(a.getSnapshot().context.seen.sort()).toEqual(['EVENT_REJECTED_BY_SCHEMA', 'EVENT_UNHANDLED'])
    expect(a.getSnapshot().context.balance).toBe(10)
    for (const run of [b, c])
      expect(await store.head(run.id)).toMatchObject({ seq: 0, due: null, beside: { inbox: [], returns: [] } })
  })

  test('an answer is ignored by a run without a transition for it, and never answered', async () => {
    const store = memoryStore()
    const machine = setup({}).createMachine({ id: 'm', entry: tell({ machine: 'm', key: 'none' }, { type: 'E' }) })
    const run = await openRun(defineMachine(machine, { unhandled: 'reject' }), { store, key: 'a' })
    for (let i = 0; i < 5; i++) await settled()
    expect(await store.head(run.id)).toMatchObject({ seq: 1, status: 'active' })
    expect(await store.head(run.id)).toMatchObject({ beside: { inbox: [], returns: [], mailing: [] } })
  })

  test('an answer to a run that has ended is dropped', async () => {
    const store = memoryStore()
    const machine = setup({}).createMachine({
      id: 'm',
      initial: 'end',
      states: { end: { type: 'final', entry: tell({ machine: 'm', key: 'none' }, { type: 'E' }) } },
    })
    const run = await openRun(machine, { store, key: 'a' })
    for (let i = 0; i < 5; i++) await settled()
    expect(await store.head(run.id)).toMatchObject({
      seq: 0,
      due: null,
      beside: { inbox: [], returns: [], mailing: [] },
    })
  })
})

describe('mail across processes and crashes', () => {
  test('a host wakes a receiver that is not in memory', async () => {
    const [store, environment] = [memoryStore(), new VirtualEnvironment()]
    const b = await openAccount(store, 'b')
    await b.close()
    const a = await openAccount(store, 'a', 10)
    await a.apply({ type: 'PAY', to: 'b', amounts: [1] })
    await settled()
    expect(await store.head(b.id)).toMatchObject({ seq: 0, due: 0, beside: { inbox: [{ sender: a.id }] } })
    const host = createHostIn(environment, { machine: account, store: otherProcess(store) })
    onTestFinished(() => host.close())
    await environment.advance(20_000)
    expect(await store.head(b.id)).toMatchObject({ seq: 1, due: null, beside: { inbox: [] } })
  })

  test('a host in the process of the sender wakes the receiver at once', async () => {
    const [store, environment] = [memoryStore(), new VirtualEnvironment()]
    const host = createHostIn(environment, { machine: account, store, idle: 1000 })
    onTestFinished(() => host.close())
    const b = await host.open({ key: 'b' })
    await b.close()
    await environment.advance(2000)
    const a = await host.open({ key: 'a', input: { balance: 10 } })
    await a.apply({ type: 'PAY', to: 'b', amounts: [1] })
    await environment.advance(0)
    expect(await store.head(b.id)).toMatchObject({ seq: 1, due: null })
  })

  test('a host tells a run that is in memory of mail from another process', async () => {
    const [store, environment] = [memoryStore(), new VirtualEnvironment()]
    const host = createHostIn(environment, { machine: account, store: otherProcess(store), idle: 1e6 })
    onTestFinished(() => host.close())
    const b = await host.open({ key: 'b' })
    const a = await openAccount(store, 'a', 10)
    await a.apply({ type: 'PAY', to: 'b', amounts: [1] })
    await environment.advance(20_000)
    expect(b.getSnapshot().context.balance).toBe(1)
  })

  test('under a supervisor, in a partition of its own', async () => {
    const world = new World()
    const { supervisor } = world.supervise({ machine: account, namespace: 'account' })
    await world.broker.producer({ topic: 't' }).send([
      { key: 'b', value: JSON.stringify({ type: 'DEPOSIT', amount: 5, note: 'x' }) },
      { key: 'a', value: JSON.stringify({ type: 'DEPOSIT', amount: 9, note: 'y' }) },
      { key: 'a', value: JSON.stringify({ type: 'PAY', to: 'b', amounts: [4, 2] }) },
      { key: 'a', value: JSON.stringify({ type: 'PAY', to: 'nobody', amounts: [3] }) },
    ])
    await supervisor.caughtUp()
    await world.environment.advance(1000)
    expect((await world.head('b', 'account')).seq).toBe(3)
    expect(await world.head('a', 'account')).toMatchObject({ seq: 4, due: null, beside: { mailing: [], inbox: [] } })
  })

  test('a host wakes a sender that crashed before it delivered', async () => {
    const [memory, environment] = [memoryStore(), new VirtualEnvironment()]
    const store = faultyStore(memory)
    const b = await openAccount(memory, 'b')
    const a = await openAccount(store, 'a', 10)
    store.faults.plan('find.delay')
    await a.apply({ type: 'PAY', to: 'b', amounts: [1, 2] })
    expect(await memory.head(a.id)).toMatchObject({ due: 0, beside: { mailing: [1] } })
    const host = createHostIn(environment, { machine: account, store: otherProcess(memory) })
    onTestFinished(() => host.close())
    await environment.advance(20_000)
    expect(await memory.head(a.id)).toMatchObject({ due: null, beside: { mailing: [] } })
    await b.close()
    await environment.advance(20_000)
    expect((await all(memory.read(b.id))).length).toBe(3)
  })

  for (const point of ['deliver.before', 'deliver.after', 'deliver.torn', 'deliver.duplicate', 'find.before'] as const)
    test(`${point}: is tried again, and taken once`, async () => {
      const environment = new VirtualEnvironment()
      const store = faultyStore(memoryStore())
      const a = await openRunIn(environment, account, { store, key: 'a', input: { balance: 10 } })
      const b = await openRunIn(environment, account, { store, key: 'b' })
      store.faults.plan(point, { times: point === 'deliver.duplicate' ? 1 : 3 })
      await a.apply({ type: 'PAY', to: 'b', amounts: [1, 2, 3] })
      await environment.advance(60_000)
      store.faults.assertAllFired()
      expect(b.getSnapshot().context).toEqual({ balance: 6, seen: ['1', '2', '3'] })
      expect(await seqOf(store, a)).toBe(1)
    })

  test('a receiver that crashed before it took the mail takes it once', async () => {
    const memory = memoryStore()
    const a = await openAccount(memory, 'a', 10)
    const b = await openAccount(otherProcess(memory), 'b')
    await a.apply({ type: 'PAY', to: 'b', amounts: [1] })
    await settled()
    expect(await seqOf(memory, b)).toBe(0)
    const again = await restart(memory, 'b')
    await settled()
    expect(again.getSnapshot().context.balance).toBe(1)
    // The first process wakes up from its coma, and sends something: it sees that the mail is taken.
    await b.apply({ type: 'DEPOSIT', amount: 5, note: 'late' })
    expect(b.getSnapshot().context.seen).toEqual(['1', 'late'])
    expect((await memory.head(b.id))?.seq).toBe(2)
  })

  test('a close waits for what is on its way', async () => {
    const store = memoryStore()
    const b = await openAccount(store, 'b')
    await b.close()
    const a = await openAccount(store, 'a', 10)
    await a.apply({ type: 'PAY', to: 'b', amounts: [1] })
    await a.close()
    expect(await store.head(a.id)).toMatchObject({ due: null, beside: { mailing: [] } })
    const again = await openAccount(store, 'b')
    await settled()
    expect(again.getSnapshot().context.balance).toBe(1)
  })

  test('a fork sends nothing, and takes nothing before it is released', async () => {
    const store = memoryStore()
    const a = await openAccount(store, 'a', 10)
    const b = await openAccount(store, 'b')
    const fork = await forkRun(a, { at: 0, key: 'f' })
    await fork.apply({ type: 'PAY', to: 'b', amounts: [1] })
    await a.apply({ type: 'PAY', to: 'f', amounts: [2] })
    await settled()
    expect(await seqOf(store, b)).toBe(0)
    expect(fork.getSnapshot().context.balance).toBe(9)
    expect(await store.head(fork.id)).toMatchObject({ due: null, beside: { held: true, inbox: [{ sender: a.id }] } })
    const released = await openRun(account, { store, key: 'f', effects: 'run' })
    for (let i = 0; i < 3; i++) await settled()
    expect(released.getSnapshot().context.balance).toBe(11)
    expect(await seqOf(store, b)).toBe(0)
  })

  test('file store: what a crash left in both boxes survives a restart', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'xmachines-mail-'))
    onTestFinished(() => rmSync(dir, { recursive: true, force: true }))
    const first = fileStore(dir)
    const b = await openAccount(first, 'b')
    const faulty = faultyStore(first)
    const a = await openAccount(faulty, 'a', 10)
    faulty.faults.plan('find.delay')
    await a.apply({ type: 'PAY', to: 'b', amounts: [1, 2] })
    await b.close()
    await first.close()
    const store = fileStore(dir)
    onTestFinished(() => store.close())
    expect((await store.head(a.id))?.beside.mailing).toEqual([1])
    const again = await openRun(account, { store, key: 'a' })
    await again.close()
    expect((await store.head(b.id))?.beside.inbox).toHaveLength(2)
    await store.close()
    const third = fileStore(dir)
    onTestFinished(() => third.close())
    const taken = await openRun(account, { store: third, key: 'b' })
    await expect.poll(() => taken.getSnapshot().context.seen).toEqual(['1', '2'])
    for (const run of [a, b]) expect(await isVerified(third, account, run)).toBe(true)
  })

  test('whoever may only read opens a run with full boxes, and leaves them alone', async () => {
    const memory = memoryStore()
    const store = faultyStore(memory)
    const a = await openAccount(store, 'a', 10)
    store.faults.plan('find.delay')
    await a.apply({ type: 'PAY', to: 'b', amounts: [1] })
    const c = await openAccount(memory, 'c', 10)
    await c.apply({ type: 'PAY', to: 'a', amounts: [1] })
    await settled()
    const refuse = () => Promise.reject(new XMachinesError('STORE_READ_ONLY', 'Read only.'))
    const reader: Store = new Proxy(otherProcess(memory), {
      get: (target, key) => (key === 'append' || key === 'deliver' ? refuse : target[key as keyof Store]),
    })
    const run = await openRun(account, { store: reader, key: 'a' })
    await settled()
    expect(run.getSnapshot().context).toEqual({ balance: 9, seen: [] })
    await run.close()
    expect(await memory.head(a.id)).toMatchObject({ seq: 1, beside: { mailing: [1], inbox: [{ sender: c.id }] } })
  })

  test('a long inbox and a long outbox', async () => {
    const store = memoryStore()
    const a = await openAccount(store, 'a', 1e9)
    const b = await openAccount(store, 'b')
    const amounts = Array.from({ length: 1000 }, (_, i) => i)
    for (let i = 0; i < 3; i++) await a.apply({ type: 'PAY', to: 'b', amounts })
    await expect.poll(() => seqOf(store, b), { timeout: 20_000 }).toBe(3000)
    expect(b.getSnapshot().context.seen).toEqual([...amounts, ...amounts, ...amounts].map(String))
  })
})

/** Plays a ball back. */
const player = setup({
  types: {} as {
    context: { hits: number }
    events: { type: 'SERVE'; from: string; to: string; left: number }
  },
}).createMachine({
  id: 'player',
  context: { hits: 0 },
  on: {
    SERVE: {
      guard: ({ event }) => event.left > 0,
      actions: [
        assign({ hits: ({ context }) => context.hits + 1 }),
        tell(
          ({ event }) => ({ machine: 'player', key: event.to }),
          ({ event: { from, to, left } }) => ({ type: 'SERVE', from: to, to: from, left: left - 1 }),
        ),
      ],
    },
  },
})

test('mail that comes while a run is closed is not forgotten by what the close writes', async () => {
  const store = faultyStore(memoryStore())
  const run = await openAccount(store, 'a', 10)
  const delivery = store.faults.plan('deliver.delay')
  await run.apply({ type: 'PAY', to: 'a', amounts: [3] })
  await delivery.met
  const closing = run.close()
  await settled()
  delivery.release()
  await closing
  const head = await store.head(run.id)
  expect(head!.beside).toMatchObject({ mailing: [], inbox: [{ event: { type: 'DEPOSIT' } }] })
  expect(head!.due).toBe(0)
})

test('runs that answer each other for ever leave timers and I/O of their process a turn', async () => {
  const rallies = 1000
  const player = setup({
    types: {} as { context: { hits: number }; events: { type: 'BALL'; to: string } },
  }).createMachine({
    id: 'player',
    context: { hits: 0 },
    on: {
      BALL: {
        guard: ({ context }) => context.hits < rallies, // so that this fails, and does not hang
        actions: [
          assign({ hits: ({ context }) => context.hits + 1 }),
          tell(
            ({ event }) => ({ machine: 'player', key: event.to }),
            ({ event }) => ({ type: 'BALL', to: event.to === 'a' ? 'b' : 'a' }),
          ),
        ],
      },
    },
  })
  const store = memoryStore()
  const [a, b] = [
    await openRun(player, { store, key: 'a', strict: false }),
    await openRun(player, { store, key: 'b', strict: false }),
  ]
  await a.apply({ type: 'BALL', to: 'b' })
  await new Promise(resolve => setTimeout(resolve))
  expect(a.getSnapshot().context.hits).toBeLessThan(rallies)
  await Promise.all([a.close(), b.close()])
})
