import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { defineMachine, forkRun, openRun, replay, type Store, spawnRun, tell, verifyRun } from 'xmachines'
import { fileStore } from 'xmachines/persistence/filesystem'
import { memoryStore } from 'xmachines/persistence/memory'
import { type AnyStateMachine, assign, createActor, enqueueActions, fromPromise, setup } from 'xstate'
import { createHostIn } from '../../../src/actors/host/index.ts'
import { openRunIn } from '../../../src/actors/run/open.ts'
import { residencyOf } from '../../../src/actors/run/residency.ts'
import { faultyStore } from '../../../src/testing/faulty-store.ts'
import { settled, VirtualEnvironment } from '../supervisor/virtual-environment.ts'
import { otherProcess, World } from '../supervisor/world.ts'
import { all } from './collect.ts'
import { foreman, worker } from './families.ts'

const open = (store: Store, key = 'f') => openRun(foreman, { store, key })
const headOf = async (store: Store, key: string, namespace = 'worker') =>
  store.head((await store.find(namespace, key)) ?? 'none')

async function quiet(turns = 8): Promise<void> {
  for (let turn = 0; turn < turns; turn++) await settled()
}

describe('spawnRun', () => {
  test('creates a child run with a history of its own, and its end comes back as a unit', async () => {
    const store = memoryStore()
    const run = await open(store)
    await run.apply({ type: 'HIRE', keys: ['a', 'b'], amount: 3 })
    await quiet()
    const a = (await headOf(store, 'a'))!
    expect(a).toMatchObject({
      namespace: 'worker',
      machineId: 'worker',
      beside: {
        parent: {
          name: { namespace: 'worker', key: 'a' },
          run: run.id,
          seq: 1,
          index: 0,
          policy: 'stop',
          linked: true,
          restarts: 0,
        },
      },
    })
    await run.apply({ type: 'TELL', key: 'a', event: 'FINISH' })
    await run.apply({ type: 'TELL', key: 'b', event: 'FAIL' })
    await quiet()
    expect(run.getSnapshot().context.heard).toEqual([
      { type: 'done', key: 'a', what: 3 },
      { type: 'error', key: 'b', what: 'PAPER' },
    ])
    const units = await all(store.read(run.id))
    expect(units.at(-2)).toMatchObject({
      origin: { kind: 'child', run: a.run },
      events: [{ type: 'xmachines.done.run', run: a.run, namespace: 'worker', key: 'a', output: { made: 3 } }],
    })
    expect(units.at(-1)).toMatchObject({
      origin: { kind: 'child' },
      events: [
        {
          type: 'xmachines.error.run',
          namespace: 'worker',
          key: 'b',
          error: { name: 'Error', message: 'out of paper', code: 'PAPER' },
        },
      ],
    })
    expect(await headOf(store, 'f', 'foreman')).toMatchObject({ due: null, beside: { mailing: [], inbox: [] } })
    const { divergence, error } = await verifyRun(store, foreman, (await store.head(run.id))!)
    expect([divergence, error]).toEqual([undefined, undefined])
  })

  test('is recorded with its unit, and shown by a replay, which creates nothing', async () => {
    const store = memoryStore()
    const run = await open(store)
    await run.apply({ type: 'HIRE', keys: ['a'], amount: 3 })
    await quiet()
    const [, unit] = await all(store.read(run.id))
    const machine = (await headOf(store, 'a'))!.machine
    expect(unit!.mail).toEqual([
      { spawn: { namespace: 'worker', key: 'a' }, machine, input: { amount: 3 }, policy: 'stop', linked: true },
    ])
    const before = (await all(store.list())).length
    for await (const { seq, effects } of replay(foreman, store.read(run.id)))
      expect(effects).toEqual(
        seq === 0
          ? []
          : [
              {
                kind: 'spawn',
                actor: [],
                spawn: { namespace: 'worker', key: 'a' },
                machine: 'worker',
                input: { amount: 3 },
              },
            ],
      )
    expect((await all(store.list())).length).toBe(before)
  })

  test('a child that is done at once, and mail to a child in the same unit', async () => {
    const store = memoryStore()
    const run = await open(store)
    await run.apply([
      { type: 'TELL', key: 'b', event: 'FINISH' },
      { type: 'HIRE', keys: ['a'], amount: 0 },
      { type: 'HIRE', keys: ['b'], amount: 2 },
    ])
    await quiet()
    expect(run.getSnapshot().context.heard).toEqual(
      expect.arrayContaining([
        { type: 'done', key: 'a', what: 0 },
        { type: 'done', key: 'b', what: 2 },
      ]),
    )
  })

  test('a key of another run is told as RUN_EXISTS, and that run is left alone', async () => {
    const store = memoryStore()
    const other = await openRun(worker, { store, key: 'a', input: { amount: 3 } })
    const run = await open(store)
    await run.apply({ type: 'HIRE', keys: ['a'], amount: 3 })
    await run.apply({ type: 'HIRE', keys: ['b'], amount: 3 })
    await run.apply({ type: 'HIRE', keys: ['b'], amount: 3 })
    await quiet()
    expect(run.getSnapshot().context.heard).toEqual([
      { type: 'error', key: 'a', what: 'RUN_EXISTS' },
      { type: 'error', key: 'b', what: 'RUN_EXISTS' },
    ])
    await run.apply({ type: 'END' })
    await quiet()
    expect(other.getSnapshot().status).toBe('active')
    expect(await headOf(store, 'b')).toMatchObject({ status: 'stopped' })
  })

  test('a child whose first step throws is told', async () => {
    const broken = setup({ types: {} as { context: { n: number } } }).createMachine({
      id: 'broken',
      context: () => {
        throw new Error('no context')
      },
    })
    const parent = setup({}).createMachine({
      id: 'parent',
      initial: 'a',
      states: {
        a: { entry: spawnRun(broken, { key: 'x', policy: { restart: 5 } }), on: { 'xmachines.error.run': 'b' } },
        b: {},
      },
    })
    const store = memoryStore()
    const run = await openRun(parent, { store, key: 'p' })
    await quiet()
    expect(run.getSnapshot().value).toBe('b')
    expect((await all(store.read(run.id)))[1]).toMatchObject({
      origin: { kind: 'undelivered', run: run.id, seq: 0, index: 0 },
      events: [{ type: 'xmachines.error.run', key: 'x', error: { code: 'STEP_FAILED' } }],
    })
    expect(await store.find('broken', 'x')).toBeUndefined()
  })

  test('only the runtime writes what a parent hears', async () => {
    const store = memoryStore()
    const run = await open(store)
    for (const type of ['xmachines.done.run', 'xmachines.error.run', 'xmachines.stop'])
      expect(await run.apply({ type } as never)).toMatchObject({ ok: false, error: { code: 'EVENT_RESERVED' } })
  })

  test('is refused where it cannot be', async () => {
    expect(() => spawnRun({} as never, { key: 'a' } as never)).toThrow(
      expect.objectContaining({ code: 'MACHINE_INVALID' }),
    )
    for (const options of [{ policy: 'again' }, { policy: { restart: -1 } }, { linked: 1 }, { namespace: '' }])
      expect(() => spawnRun(worker, { key: 'a', input: { amount: 1 }, ...options } as never)).toThrow(
        expect.objectContaining({ code: 'SPAWN_INVALID' }),
      )
    const store = memoryStore()
    const run = await open(store)
    expect(await run.apply({ type: 'HIRE', keys: [''], amount: 1 })).toMatchObject({
      ok: false,
      seq: 0,
      error: { code: 'SPAWN_INVALID' },
    })
    const odd = setup({}).createMachine({
      id: 'odd',
      on: { GO: { actions: spawnRun(worker, { key: 'o', input: (() => ({ amount: 1n })) as never }) } },
    })
    const other = await openRun(odd, { store, key: 'o' })
    expect(await other.apply({ type: 'GO' })).toMatchObject({ ok: false, error: { code: 'SPAWN_INVALID' } })
    const errors: unknown[] = []
    const bare = createActor(
      setup({}).createMachine({ id: 'bare', entry: spawnRun(worker, { key: 'o', input: { amount: 1 } }) }),
    )
    bare.subscribe({ error: error => errors.push(error) })
    bare.start()
    expect(errors).toMatchObject([{ code: 'SPAWN_OUTSIDE_RUN' }])
  })

  test('a namespace and declarations of its own', async () => {
    const strict = defineMachine(worker.machine, { version: '7', unhandled: 'reject' })
    const parent = setup({}).createMachine({
      id: 'parent',
      entry: spawnRun(strict, { key: 'x', namespace: 'elsewhere', input: { amount: 1 } }),
    })
    const store = memoryStore()
    await openRun(parent, { store, key: 'p' })
    await quiet()
    expect(await headOf(store, 'x', 'elsewhere')).toMatchObject({ version: '7', machineId: 'worker' })
  })
})

describe('a child run that fails', () => {
  test('restart: a fresh run takes its place after a while, and the parent is told when that is given up', async () => {
    const [store, time] = [memoryStore(), new VirtualEnvironment()]
    const run = await openRunIn(time, foreman, { store, key: 'f' })
    await run.apply({ type: 'HIRE_RESTARTED', keys: ['a'], amount: 4 })
    await quiet()
    const restarts = [
      ['a', 0],
      ['a~1', 100],
      ['a~2', 200],
    ] as const
    for (const [key, pause] of restarts) {
      if (pause > 0) {
        await time.advance(pause - 1)
        expect(await headOf(store, key)).toBeUndefined()
        await time.advance(1)
      }
      expect(await headOf(store, key)).toMatchObject({ status: 'active' })
      expect(run.getSnapshot().context.heard).toEqual([])
      await run.apply({ type: 'TELL', key, event: 'FAIL' })
      await quiet()
    }
    expect(run.getSnapshot().context.heard).toEqual([{ type: 'error', key: 'a', what: 'PAPER' }])
    await time.advance(10_000)
    expect(await headOf(store, 'a~3')).toBeUndefined()
    expect(await headOf(store, 'a~2')).toMatchObject({ status: 'error', beside: { parent: { restarts: 2, seq: 1 } } })
    const second = await all(store.read((await store.find('worker', 'a~1'))!))
    expect(second[0]!.creation).toMatchObject({ input: { amount: 4 } })
  })

  test('restart: what comes after it is told as the child that was spawned', async () => {
    const [store, time] = [memoryStore(), new VirtualEnvironment()]
    const run = await openRunIn(time, foreman, { store, key: 'f' })
    await run.apply({ type: 'HIRE_RESTARTED', keys: ['a'], amount: 4 })
    await run.apply({ type: 'TELL', key: 'a', event: 'FAIL' })
    await time.advance(100)
    await run.apply({ type: 'TELL', key: 'a~1', event: 'FINISH' })
    await quiet()
    expect(run.getSnapshot().context.heard).toEqual([{ type: 'done', key: 'a', what: 4 }])
  })

  test('restart: a process that dies before leaves it to the next, which waits no longer', async () => {
    const [store, time] = [memoryStore(), new VirtualEnvironment()]
    const run = await openRunIn(time, foreman, { store, key: 'f' })
    await run.apply({ type: 'HIRE_RESTARTED', keys: ['a'], amount: 4 })
    await run.apply({ type: 'TELL', key: 'a', event: 'FAIL' })
    await quiet()
    const next = new VirtualEnvironment('process-2', time.now() + 5000)
    const host = createHostIn(next, { machine: [foreman, worker], store: otherProcess(store) })
    await quiet()
    expect(await headOf(store, 'a~1')).toMatchObject({ status: 'active' })
    const closing = host.close()
    await next.advance(5000)
    await closing
  })

  test('escalate: the parent ends with it, and a replay comes to the same', async () => {
    const store = memoryStore()
    const run = await open(store)
    const done = run.done.catch(error => error)
    await run.apply({ type: 'HIRE_CRITICAL', keys: ['a'], amount: 4 })
    await run.apply({ type: 'TELL', key: 'a', event: 'FAIL' })
    expect(await done).toMatchObject({
      code: 'CHILD_FAILED',
      details: { namespace: 'worker', key: 'a', code: 'PAPER' },
    })
    const head = (await store.head(run.id))!
    expect(head.status).toBe('error')
    const { divergence, error } = await verifyRun(store, foreman, head)
    expect([divergence, error]).toEqual([undefined, undefined])
  })

  test('one that is stopped is told, whatever the policy', async () => {
    const store = memoryStore()
    const run = await open(store)
    await run.apply({ type: 'HIRE_CRITICAL', keys: ['a'], amount: 4 })
    await run.apply({ type: 'HIRE_RESTARTED', keys: ['b'], amount: 4 })
    await quiet()
    for (const key of ['a', 'b']) {
      const child = await openRun(worker, { store, key })
      await child.stop('enough')
      await child.close()
    }
    await quiet()
    expect(run.getSnapshot().context.heard).toEqual([
      { type: 'error', key: 'a', what: 'RUN_STOPPED' },
      { type: 'error', key: 'b', what: 'RUN_STOPPED' },
    ])
  })
})

test('what a child threw, or a receiver refused with, is recorded whole, though its text is cut within a character', async () => {
  const cut = 'no \u{1f600}'.slice(0, 4)
  const fails = (): never => {
    throw new Error(cut)
  }
  const refusing = setup({}).createMachine({ id: 'refusing', context: {}, on: { FAIL: { actions: assign(fails) } } })
  const failing = setup({}).createMachine({ id: 'failing', context: {}, on: { FAIL: { actions: assign(fails) } } })
  const parent = setup({}).createMachine({
    id: 'parent',
    entry: [spawnRun(defineMachine(failing, { errors: 'fatal' }), { key: 'c' }), spawnRun(refusing, { key: 'c' })],
    on: {
      GO: {
        actions: [
          tell({ machine: failing, key: 'c' }, { type: 'FAIL' }),
          tell({ machine: refusing, key: 'c' }, { type: 'FAIL' }),
        ],
      },
    },
  })
  const store = memoryStore()
  const run = await openRun(parent, { store, key: 'p' })
  await run.apply({ type: 'GO' })
  for await (const { seq } of run.subscribe('snapshot')) if (seq === 3) break
  const told = (await all(store.read(run.id))).map(({ id, events }) => ({ id, event: events[0] })).slice(2)
  expect(told.map(({ event }) => event!.type).sort()).toEqual(['xmachines.error.run', 'xmachines.undelivered'])
  for (const { id, event } of told) {
    expect(id).toMatch(/^[0-9a-f]{40}$/)
    expect(JSON.stringify(event)).toContain('no \ufffd')
  }
  await run.close()
})

describe('a parent that ends', () => {
  test.each(['END', 'stop'])('by %s stops its linked children, restarted ones too, and no others', async how => {
    const [store, time] = [memoryStore(), new VirtualEnvironment()]
    const run = await openRunIn(time, foreman, { store, key: 'f' })
    await run.apply({ type: 'HIRE', keys: ['a', 'done'], amount: 4 })
    await run.apply({ type: 'HIRE_FREE', keys: ['free'], amount: 4 })
    await run.apply({ type: 'HIRE_RESTARTED', keys: ['r'], amount: 4 })
    await run.apply({ type: 'TELL', key: 'r', event: 'FAIL' })
    await run.apply({ type: 'TELL', key: 'done', event: 'FINISH' })
    await time.advance(100)
    if (how === 'END') await run.apply({ type: 'END' })
    else await run.stop('enough')
    await quiet()
    const statuses = Object.fromEntries(
      await Promise.all(
        ['a', 'done', 'free', 'r', 'r~1'].map(async key => [key, (await headOf(store, key))!.status] as const),
      ),
    )
    expect(statuses).toEqual({ a: 'stopped', done: 'done', free: 'active', r: 'error', 'r~1': 'stopped' })
    expect((await all(store.read((await store.find('worker', 'a'))!))).at(-1)).toMatchObject({
      origin: { kind: 'stop', reason: `its parent ${run.id} has ended` },
    })
    expect(await headOf(store, 'f', 'foreman')).toMatchObject({ due: null, beside: { mailing: [] } })
    expect(await headOf(store, 'a')).toMatchObject({ due: null, beside: { mailing: [], inbox: [] } })
  })

  test('looks for those that there are, not for all that a restart may make', async () => {
    const [store, time] = [memoryStore(), new VirtualEnvironment()]
    const policy = { restart: Number.MAX_SAFE_INTEGER }
    const keeper = setup({ types: {} as { events: { type: 'FAIL'; key: string } | { type: 'END' } } }).createMachine({
      id: 'keeper',
      initial: 'open',
      states: {
        open: {
          entry: [
            spawnRun(worker, { key: 'free~1', input: { amount: 4 }, linked: false }),
            spawnRun(worker, { key: 'r', input: { amount: 4 }, policy }),
            spawnRun(worker, { key: 'free', input: { amount: 4 }, policy }),
          ],
          on: {
            FAIL: { actions: tell(({ event }) => ({ machine: 'worker', key: event.key }), { type: 'FAIL' }) },
            END: 'closed',
          },
        },
        closed: { type: 'final' },
      },
    })
    const run = await openRunIn(time, keeper, { store, key: 'k' })
    for (const key of ['r', 'r~1', 'free']) {
      await run.apply({ type: 'FAIL', key })
      await time.advance(200)
    }
    await run.apply({ type: 'END' })
    await quiet()
    const keys = ['r', 'r~1', 'r~2', 'free', 'free~1']
    expect(await Promise.all(keys.map(async key => (await headOf(store, key))!.status))).toEqual([
      'error',
      'error',
      'stopped',
      'error',
      'active', // not in the place of `free`, whose name it has
    ])
  })
})

describe('who runs a child', () => {
  test('its parent’s process, as long as the parent is in memory there', async () => {
    const store = memoryStore()
    const time = new VirtualEnvironment()
    const run = await openRunIn(time, foreman, { store, key: 'f' })
    await run.apply({ type: 'HIRE', keys: ['a', 'b'], amount: 4 })
    await quiet()
    expect(residencyOf(store).size).toBe(3)
    await run.apply({ type: 'TELL', key: 'b', event: 'FINISH' })
    await quiet()
    expect(residencyOf(store).size).toBe(2)
    await time.advance(1000)
    await quiet()
    expect(run.getSnapshot().context.heard.map(({ key }) => key)).toEqual(['b', 'a'])
    expect(residencyOf(store).size).toBe(1)
    await run.apply({ type: 'HIRE', keys: ['c'], amount: 4 })
    await quiet()
    await run.close()
    expect(residencyOf(store).size).toBe(0)
  })

  test('its parent’s process, also once the store has failed it, or was gone when it ended', async () => {
    const kept = memoryStore()
    const store = faultyStore(kept)
    const time = new VirtualEnvironment()
    const run = await openRunIn(time, foreman, { store, key: 'f' })
    await run.apply({ type: 'HIRE', keys: ['a'], amount: 4 })
    await run.apply({ type: 'HIRE_RESTARTED', keys: ['r'], amount: 5 })
    await quiet()
    const { run: a } = (await headOf(kept, 'a'))!
    // Its timer's unit fails, and so it does when it is opened again, and again.
    store.faults.plan('append.before', { times: 3, when: items => JSON.stringify(items).includes(a) })
    await time.advance(1000)
    expect(await headOf(kept, 'a')).toMatchObject({ status: 'active' })
    await run.apply({ type: 'TELL', key: 'r', event: 'FAIL' })
    await time.advance(4000)
    expect(run.getSnapshot().context.heard).toContainEqual({ type: 'done', key: 'a', what: 4 })
    // For longer than a child that has ended stays in memory.
    await run.apply({ type: 'HIRE', keys: ['b'], amount: 6 })
    await run.apply({ type: 'HIRE_RESTARTED', keys: ['s'], amount: 7 })
    await quiet()
    store.faults.plan('append.before', { times: 12, when: items => JSON.stringify(items).includes('s~1') })
    await run.apply({ type: 'TELL', key: 's', event: 'FAIL' })
    await quiet()
    store.faults.plan('deliver.before', { times: 12 })
    for (let n = 0; n < 10; n++) await time.advance(10_000)
    const { heard } = run.getSnapshot().context
    expect(heard.map(({ key }) => key).sort()).toEqual(['a', 'b', 'r', 's'])
    await run.close()
    expect([residencyOf(store).size, time.timers]).toEqual([0, 0])
  })

  test('a host that knows its machine, also after a restart', async () => {
    const store = memoryStore()
    const first = new VirtualEnvironment('process-1')
    const before = createHostIn(first, { machine: [foreman, worker], store })
    const run = await before.open({ key: 'f' })
    await run.apply({ type: 'HIRE', keys: ['a', 'b'], amount: 4 })
    await quiet()
    expect(await headOf(store, 'a')).toMatchObject({ status: 'active' })
    // The process dies: nothing of it is closed.
    const second = new VirtualEnvironment('process-2', first.now() + 500)
    const other = otherProcess(store)
    const after = createHostIn(second, { machine: [foreman, worker], store: other })
    await second.advance(1000)
    await quiet()
    const again = await after.open({ key: 'f' })
    await quiet()
    expect(
      again
        .getSnapshot()
        .context.heard.map(({ key }) => key)
        .sort(),
    ).toEqual(['a', 'b'])
    const closing = after.close()
    await second.advance(5000)
    await closing
  })

  test('nobody, where no process knows its machine: it waits, and a host does not try again and again', async () => {
    const store = memoryStore()
    const first = new VirtualEnvironment('process-1')
    const run = await openRunIn(first, foreman, { store, key: 'f' })
    await run.apply({ type: 'HIRE', keys: ['a'], amount: 4 })
    await quiet()
    await run.close()
    const asked: string[] = []
    const other = new Proxy(otherProcess(store), {
      get(target, name) {
        const value = Reflect.get(target, name, target) as unknown
        if (typeof value !== 'function') return value
        return (...args: unknown[]) => {
          asked.push(String(name))
          return Reflect.apply(value, target, args) as unknown
        }
      },
    })
    const second = new VirtualEnvironment('process-2', first.now() + 5000)
    const newer = defineMachine(worker.machine, { version: '2' })
    const hosts = [
      createHostIn(second, { machine: foreman, store: other }),
      createHostIn(second, { machine: newer, store: other }),
    ]
    for (let i = 0; i < 60; i++) await second.advance(1000)
    expect(asked.length).toBeLessThan(40)
    expect(await headOf(store, 'a')).toMatchObject({ status: 'active', seq: 0 })
    for (const host of hosts) await host.close()
  })

  test('a process that opens the parent after a crash creates what was not created', async () => {
    for (const closes of [true, false]) {
      const store = memoryStore()
      const run = await openRun(foreman, { store: otherProcess(store), key: 'f' })
      await run.apply({ type: 'HIRE', keys: ['a'], amount: 4 })
      if (closes) await run.close({ timeout: 0 })
      const again = await openRun(foreman, { store: otherProcess(store), key: 'f' })
      await quiet()
      const child = (await headOf(store, 'a'))!
      expect(child.beside.parent).toMatchObject({ run: again.id, seq: 1 })
      const units = await all(store.read(again.id))
      expect(units).toHaveLength(2)
    }
  })
})

describe('a process that did not take the step itself', () => {
  // Another copy of the machine: nothing is known of its children.
  const copy = defineMachine(foreman, { version: '1' })
  const later = defineMachine(foreman, { version: '2', migrations: [{ from: '1', event: event => event }] })
  test.each([
    ['with a snapshot of after it', copy],
    ['without a snapshot', copy],
    ['gone over by its events since, when the old machine is not known', later],
  ])('finds the machine that the action names: %s', async (how, machine) => {
    const store = memoryStore()
    const broken = faultyStore(store)
    broken.faults.plan('find.before', {
      times: Number.POSITIVE_INFINITY,
      when: call => JSON.stringify(call).includes('worker'),
    })
    const time = new VirtualEnvironment('first')
    const run = await openRunIn(time, defineMachine(foreman, { version: '1' }), { store: broken, key: 'f' })
    await run.apply({ type: 'HIRE', keys: ['a', 'b'], amount: 4 })
    await run.apply({ type: 'TELL', key: 'b', event: 'FINISH' })
    await quiet()
    // Its snapshot spares the next process the step.
    if (how.startsWith('with ')) {
      const closing = run.close({ timeout: 0 })
      await time.advance(0)
      await closing
      expect(await store.loadSnapshot(run.id)).toMatchObject({ seq: 2 })
    }
    const again = await openRun(machine, { store: otherProcess(store), key: 'f' })
    await quiet()
    expect(await headOf(store, 'a')).toMatchObject({ status: 'active', beside: { parent: { seq: 1, index: 0 } } })
    expect(again.getSnapshot().context.heard).toEqual([{ type: 'done', key: 'b', what: 4 }])
  })
})

test('a close takes no longer than its timeout, however many generations wait for a promise', async () => {
  const endless = fromPromise(() => new Promise<void>(() => {}))
  const waiting = { initial: 'waiting', states: { waiting: { invoke: { src: 'endless' } } } } as const
  const actors = setup({ actors: { endless } })
  const grandchild = defineMachine(actors.createMachine({ id: 'grandchild', ...waiting }))
  const child = defineMachine(
    actors.createMachine({ id: 'child', ...waiting, entry: spawnRun(grandchild, { key: 'g' }) }),
  )
  const parent = defineMachine(actors.createMachine({ id: 'parent', ...waiting, entry: spawnRun(child, { key: 'c' }) }))
  const store = memoryStore()
  const time = new VirtualEnvironment()
  const run = await openRunIn(time, parent, { store, key: 'p' })
  await quiet()
  expect(residencyOf(store).size).toBe(3)
  let isClosed = false
  const closing = run.close({ timeout: 1000 }).then(() => (isClosed = true))
  await time.advance(999)
  await quiet()
  expect(isClosed).toBe(false)
  await time.advance(1)
  await time.advance(0)
  await quiet()
  expect(isClosed).toBe(true)
  await closing
  expect(residencyOf(store).size).toBe(0)
})

describe('forks', () => {
  test('of a parent start nothing and stop nobody; of a child tell nobody', async () => {
    const store = memoryStore()
    const run = await open(store)
    await run.apply({ type: 'HIRE', keys: ['a'], amount: 4 })
    await quiet()
    const fork = await forkRun(run, { at: 1 })
    await fork.apply({ type: 'HIRE', keys: ['b'], amount: 4 })
    await fork.apply({ type: 'END' })
    const child = await openRun(worker, { store, key: 'a' })
    const childFork = await forkRun(child, { at: 0, effects: 'run' })
    await childFork.apply({ type: 'FINISH' })
    await quiet()
    expect(await headOf(store, 'b')).toBeUndefined()
    expect(await headOf(store, 'a')).toMatchObject({ status: 'active' })
    expect(run.getSnapshot().context.heard).toEqual([])
  })
})

test('a parent under a supervisor hears of its children, which belong to no partition', async () => {
  const world = new World()
  const { supervisor } = world.supervise({ machine: foreman, namespace: 'foreman' })
  await world.send(['f', { type: 'HIRE', keys: ['a'], amount: 4 }])
  await supervisor.caughtUp()
  await quiet()
  const child = (await headOf(world.store, 'a'))!
  expect(child).toMatchObject({ status: 'active' })
  expect(child.lease).toBeUndefined()
  await world.send(['f', { type: 'TELL', key: 'a', event: 'FINISH' }])
  await supervisor.caughtUp()
  await quiet()
  const run = (await world.store.find('foreman', 'f'))!
  expect((await all(world.store.read(run))).at(-1)).toMatchObject({ origin: { kind: 'child', run: child.run } })
})

describe('a supervisor', () => {
  const hire = ['f', { type: 'HIRE', keys: ['a'], amount: 4 }] as const

  test('looks after the children of the machines in its list, also once their parent has gone, and after a restart', async () => {
    const world = new World()
    const options = { machine: [foreman, worker], namespace: 'foreman', idle: 100 } as const
    const { supervisor, happened } = world.supervise({ ...options, machine: [foreman, worker] as never })
    await world.send(hire)
    await supervisor.caughtUp()
    await world.environment.advance(500)
    expect(supervisor.status().residents).toBe(0)
    await world.environment.advance(600)
    expect(await headOf(world.store, 'a')).toMatchObject({ status: 'done' })
    await world.send(['f', { type: 'HIRE', keys: ['b'], amount: 5 }])
    await supervisor.caughtUp()
    const closing = supervisor.close()
    await world.environment.advance(10_000)
    await closing
    expect(world.environment.timers).toBe(0)
    // Whoever comes next fires what fell due meanwhile.
    const next = world.supervise({
      ...options,
      machine: [foreman, worker] as never,
      store: otherProcess(world.store),
      environment: world.environment.fork('process-2'),
    })
    await next.supervisor.caughtUp()
    await world.environment.advance(2000)
    const ends = (await world.store.find('foreman', 'f').then(run => all(world.store.read(run!)))).flatMap(
      ({ events }) => events.filter(({ type }) => type === 'xmachines.done.run').map(({ key }) => key),
    )
    expect(ends).toEqual(['a', 'b'])
    expect([...happened, ...next.happened].map(({ type }) => type)).not.toContain('unattended')
  })

  test('says so, once, of children that nobody looks after', async () => {
    const world = new World()
    const { supervisor, event, happened } = world.supervise({ machine: foreman, namespace: 'foreman' })
    await world.send(
      hire,
      ['f', { type: 'HIRE', keys: ['b'], amount: 4 }],
      ['g', { type: 'HIRE', keys: ['c'], amount: 4 }],
    )
    expect(await event('unattended')).toMatchObject({
      key: 'f',
      child: { namespace: 'worker', key: 'a', machine: expect.stringMatching(/^[0-9a-f]{40}$/) },
    })
    await supervisor.caughtUp()
    expect(happened.filter(({ type }) => type === 'unattended')).toHaveLength(1)
  })

  test('says so of a child that cannot be opened', async () => {
    const world = new World()
    const store = faultyStore(world.store)
    const { event, supervisor } = world.supervise({ machine: [foreman, worker] as never, namespace: 'foreman', store })
    await world.send(hire)
    await supervisor.caughtUp()
    await quiet()
    const child = (await headOf(world.store, 'a'))!
    await supervisor.close()
    const other = faultyStore(otherProcess(world.store))
    other.faults.plan('loadSnapshot.before', { times: 100, when: run => run === child.run })
    const next = world.supervise({ machine: [foreman, worker] as never, namespace: 'foreman', store: other })
    await world.environment.advance(5000)
    expect(await next.event('child-failed')).toMatchObject({ error: { code: 'STORE_UNAVAILABLE' } })
    expect(await event('released')).toBeDefined()
  })
})

test('the ids of children are the same on every store', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'xmachines-children-'))
  const stores = [memoryStore(), fileStore(dir, { fsync: false })]
  onTestFinished(async () => {
    for (const store of stores) await store.close()
    rmSync(dir, { recursive: true })
  })
  const seen = await Promise.all(
    stores.map(async store => {
      const time = new VirtualEnvironment()
      const run = await openRunIn(time, foreman, { store, key: 'f' })
      await run.apply({ type: 'HIRE', keys: ['a', 'b'], amount: 3 })
      await run.apply({ type: 'HIRE_RESTARTED', keys: ['c'], amount: 3 })
      await run.apply({ type: 'TELL', key: 'c', event: 'FAIL' })
      for (let i = 0; i < 50; i++) await settled()
      for (let i = 0; i < 50 && run.getSnapshot().context.heard.length < 3; i++) await time.advance(1000)
      await run.close()
      const runs: object[] = []
      for (const [namespace, key] of [
        ['foreman', 'f'],
        ['worker', 'a'],
        ['worker', 'b'],
        ['worker', 'c'],
        ['worker', 'c~1'],
      ] as const) {
        const head = (await headOf(store, key, namespace))!
        runs.push({ key, run: head.run, link: head.beside.parent, mail: (await all(store.read(head.run)))[0]!.id })
      }
      return JSON.parse(JSON.stringify(runs)) as unknown
    }),
  )
  expect(seen[1]).toEqual(seen[0])
})

test('a migration that ends a child tells its parent, and what it sends is delivered', async () => {
  const store = memoryStore()
  const run = await open(store)
  await run.apply({ type: 'HIRE', keys: ['a'], amount: 4 })
  await quiet()
  const id = (await headOf(store, 'a'))!.run
  await run.close()
  // In the new version, what the old one works on is done at once.
  const ended = defineMachine(
    setup({
      types: {} as { context: { amount: number }; input: { amount: number }; output: { made: number } },
    }).createMachine({
      id: 'worker',
      context: ({ input }) => input,
      initial: 'working',
      states: { working: {}, done: { type: 'final' } },
      output: ({ context }) => ({ made: context.amount }),
    }),
    {
      version: '2',
      migrations: [
        { from: worker, state: state => ({ ...state, value: 'done', status: 'done', output: { made: 7 } }) },
      ],
    },
  )
  const child = await openRun(ended, { store: otherProcess(store), id })
  await quiet()
  expect(child.getSnapshot().status).toBe('done')
  const again = await open(store)
  await quiet()
  expect(again.getSnapshot().context.heard).toEqual([{ type: 'done', key: 'a', what: expect.any(Number) }])
})

test('runs that each spawn the next one for ever leave timers and I/O of their process a turn', async () => {
  const longest = 300 // so that this fails, and does not hang
  let last = 0
  const link: AnyStateMachine = setup({
    types: {} as { context: { n: number }; input: { n: number } },
  }).createMachine({
    id: 'link',
    context: ({ input }) => input,
    entry: enqueueActions(({ context: { n }, enqueue }) => {
      last = n
      if (n < longest) enqueue(spawnRun(link, { key: `${n + 1}`, input: { n: n + 1 } }))
    }),
  })
  const run = await openRun(link, { store: memoryStore(), key: '0', input: { n: 0 } })
  await new Promise(resolve => setTimeout(resolve))
  expect(last).toBeLessThan(longest)
  await run.close()
})
