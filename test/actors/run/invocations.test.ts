import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createRun, defineMachine, forkRun, invocation, openRun, type Store, XMachinesError } from 'xmachines'
import { fileStore } from 'xmachines/persistence/filesystem'
import { memoryStore } from 'xmachines/persistence/memory'
import { assign, createActor, fromCallback, fromPromise, setup, spawnChild } from 'xstate'
import { openRunIn } from '../../../src/actors/run/open.ts'
import { faultyStore } from '../../../src/testing/faulty-store.ts'
import { settled, VirtualEnvironment } from '../supervisor/virtual-environment.ts'
import { otherProcess } from '../supervisor/world.ts'
import { charging } from './charging.ts'
import { all } from './collect.ts'

const time = new VirtualEnvironment()
let processes = 0

/** The process of the last {@link restart} is not heard of any more. */
function crash(store: Store): Promise<void> {
  return store.renew(`process-${processes}`, 0)
}

/** Opens the run of a key as a process of its own does: one that knows nothing of those before it, which are dead and never closed. */
async function restart(machine: ReturnType<typeof charging>['machine'], store: Store) {
  await crash(store)
  return openRunIn(time.fork(`process-${++processes}`), machine, { store: otherProcess(store), key: 'a' })
}

describe('an attempt', () => {
  test('is durable before it starts, in the very append of the unit that entered it', async () => {
    const store = faultyStore(memoryStore())
    const { machine, calls } = charging()
    const run = await openRun(machine, { store, key: 'a' })
    const fault = store.faults.plan('append.delay')
    const applied = run.apply({ type: 'CHARGE' })
    await fault.met
    expect(calls).toEqual([])
    fault.release()
    await applied
    expect(calls).toMatchObject([{ key: `${run.id}/1/payment`, attempt: 1 }])
    expect(await store.head(run.id)).toMatchObject({ revision: 2, beside: { attempts: { [calls[0]!.key]: 1 } } })
    calls[0]!.finish('paid')
    await settled()
    expect(await store.head(run.id)).toMatchObject({ seq: 2, revision: 3, beside: { attempts: {}, process: null } })
  })

  test('is named by run, entering unit and path; the same name is not given twice', async () => {
    const { machine, calls } = charging()
    const run = createRun(machine)
    await run.apply({ type: 'CHARGE' })
    await run.apply({ type: 'LEAVE' })
    await run.apply({ type: 'CHARGE' })
    expect(calls.map(({ key }) => key)).toEqual([`${run.id}/1/payment`, `${run.id}/3/payment`])
  })

  test('has a name in ASCII, whatever the actor is called', async () => {
    const keys: string[] = []
    const work = fromPromise(async () => void keys.push(invocation().key))
    const child = setup({ actors: { work } }).createMachine({ id: 'c', invoke: { src: 'work', id: 'ä/b \u{1f600}' } })
    const machine = setup({ actors: { child } }).createMachine({ id: 'm', invoke: { src: 'child', id: 'kid' } })
    const run = createRun(machine)
    await run.ready
    expect(keys).toEqual([`${run.id}/0/kid/%C3%A4%2Fb%20%F0%9F%98%80`])
  })

  test('has a name also where the actor has a number for an id, which XState takes', async () => {
    const keys: string[] = []
    const work = fromPromise(async () => void keys.push(invocation().key))
    const machine = setup({ actors: { work } }).createMachine({
      id: 'm',
      on: { GO: { actions: spawnChild('work', { id: 7 as never }) } },
    })
    const store = memoryStore()
    const run = await openRun(machine, { store, key: 'k' })
    expect(await run.apply({ type: 'GO' })).toMatchObject({ ok: true, seq: 1 })
    for await (const { seq } of run.subscribe('snapshot')) if (seq === 2) break
    expect(keys).toEqual([`${run.id}/1/7`])
    expect((await all(store.read(run.id)))[2]).toMatchObject({ origin: { kind: 'effect', actor: ['7'], entered: 1 } })
    await run.close()
  })

  test('has a signal that fires when its state is left, not when it came to its end', async () => {
    const { machine, calls } = charging()
    const run = createRun(machine)
    await run.apply({ type: 'CHARGE' })
    calls[0]!.finish('paid')
    await settled()
    await run.apply({ type: 'CHARGE' })
    await run.apply({ type: 'LEAVE' })
    expect(calls.map(({ signal }) => signal.aborted)).toEqual([false, true])
    expect(calls[1]!.signal.reason).toMatchObject({ code: 'ABORTED' })
  })

  test('has a signal that fires when the run is closed', async () => {
    const { machine, calls } = charging()
    const run = createRun(machine)
    await run.apply({ type: 'LISTEN' })
    await run.close()
    expect(calls[0]!.signal.reason).toMatchObject({ code: 'ABORTED' })
  })

  test('has a signal that fires when the store is lost', async () => {
    const store = faultyStore(memoryStore())
    const { machine, calls } = charging()
    const run = await openRun(machine, { store, key: 'a' })
    await run.apply({ type: 'CHARGE' })
    store.faults.plan('append.before')
    await run.apply({ type: 'PING' }).catch(() => {})
    expect(calls[0]!.signal.reason).toMatchObject({ code: 'STORE_UNAVAILABLE' })
  })

  test('whose append failed does not start', async () => {
    const store = faultyStore(memoryStore())
    const { machine, calls } = charging()
    const run = await openRun(machine, { store, key: 'a' })
    store.faults.plan('append.before')
    await expect(run.apply({ type: 'CHARGE' })).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    expect(calls).toEqual([])
  })

  test('of a held fork is neither made nor counted; released, it has a key of its own', async () => {
    const store = memoryStore()
    const { machine, calls } = charging('at-most-once')
    const run = await openRun(machine, { store, key: 'a' })
    await run.apply({ type: 'CHARGE' })
    const fork = await forkRun(run, { at: 1, key: 'b' })
    await fork.apply({ type: 'PING' })
    expect((await store.head(fork.id))!.beside).toMatchObject({ held: true, attempts: {}, process: null })
    await fork.close()
    expect(calls).toHaveLength(1)
    const released = await openRun(machine, { store, key: 'b', effects: 'run' })
    expect(calls.map(({ key, attempt }) => [key, attempt])).toEqual([
      [`${run.id}/1/payment`, 1],
      [`${fork.id}/1/payment`, 1],
    ])
    expect((await store.head(fork.id))!.beside).toMatchObject({ held: false, attempts: { [calls[1]!.key]: 1 } })
    await released.close({ timeout: 0 })
  })
})

describe('what running logic does', () => {
  test('a clean-up that throws is told, and changes nothing', async () => {
    const machine = setup({
      types: {} as { events: { type: 'LEAVE' } },
      actors: {
        listen: fromCallback(() => () => {
          throw new Error('clean-up')
        }),
      },
    }).createMachine({
      id: 'm',
      initial: 'on',
      states: { on: { invoke: { src: 'listen', id: 'ear' }, on: { LEAVE: 'off' } }, off: {} },
    })
    const run = createRun(machine)
    const errors = run.err.getReader()
    await run.ready
    expect(await run.apply({ type: 'LEAVE' })).toMatchObject({ ok: true, seq: 1 })
    expect((await errors.read()).value).toMatchObject({ fatal: false, error: { code: 'EFFECT_FAILED' } })
    expect(run.getSnapshot().value).toBe('off')
  })

  test('its outcome is taken also where the mailbox is full', async () => {
    const { machine, calls } = charging()
    await using run = createRun(machine)
    await run.apply({ type: 'CHARGE' })
    const sent = Array.from({ length: 66_000 }, () => run.apply({ type: 'PING' }))
    const settledAll = Promise.allSettled(sent)
    calls[0]!.finish('paid')
    expect((await settledAll).at(-1)).toMatchObject({ status: 'rejected', reason: { code: 'MAILBOX_FULL' } })
    await settled()
    expect(run.getSnapshot().context.outcome).toBe('paid')
  })

  test('what it tells without end is not taken without end: it is stopped, with the error', async () => {
    let [told, on] = [0, true]
    let tell = (): void => {}
    const flood = fromCallback(({ sendBack }) => {
      tell = () => sendBack({ type: 'PING' })
      return () => {
        on = false
      }
    })
    const machine = setup({
      types: {} as { context: { pings: number; error: unknown }; events: { type: 'PING' } },
      actors: { flood },
    }).createMachine({
      id: 'm',
      context: { pings: 0, error: undefined },
      on: { PING: { actions: assign({ pings: ({ context }) => context.pings + 1 }) } },
      initial: 'on',
      states: {
        on: {
          invoke: {
            src: 'flood',
            onError: {
              target: 'off',
              actions: assign({ error: ({ event }) => (event.error as { readonly code?: string }).code }),
            },
          },
        },
        off: {},
      },
    })
    const store = faultyStore(memoryStore())
    const run = createRun(machine, { store, strict: false })
    await run.ready
    const fault = store.faults.plan('append.delay')
    for (; on && told < 100_000; told++) tell()
    await fault.met
    expect([told, on]).toEqual([65_537, false])
    fault.release()
    for await (const { value } of run.subscribe('snapshot')) if (value === 'off') break
    expect(run.getSnapshot().context).toEqual({ pings: 65_536, error: 'MAILBOX_FULL' })
    await run.close()
  })
})

describe('invocation()', () => {
  test('is refused anywhere but in the start of an invocation of a run', async () => {
    expect(() => invocation()).toThrow(expect.objectContaining({ code: 'INVOCATION_UNKNOWN' }))
    const late = fromPromise(async () => {
      await null
      return invocation().key
    })
    const machine = setup({ actors: { late } }).createMachine({ id: 'm', invoke: { src: 'late' } })
    const actor = createActor(late).start()
    actor.subscribe({ error: () => {} })
    const run = createRun(machine)
    await expect(run.done).rejects.toMatchObject({ code: 'INVOCATION_UNKNOWN' })
    expect(actor.getSnapshot().error).toMatchObject({ code: 'INVOCATION_UNKNOWN' })
  })
})

describe('after a crash', () => {
  test("'retry', the default: the next attempt has the same key", async () => {
    const store = memoryStore()
    const { machine, calls } = charging()
    const first = await restart(machine, store)
    await first.apply({ type: 'CHARGE' })
    await restart(machine, store)
    const third = await restart(machine, store)
    expect(calls.map(({ attempt }) => attempt)).toEqual([1, 2, 3])
    expect(new Set(calls.map(({ key }) => key)).size).toBe(1)
    calls[2]!.finish('paid')
    await settled()
    expect(third.getSnapshot().context.outcome).toBe('paid')
    expect(await store.head(third.id)).toMatchObject({ seq: 2, beside: { attempts: {}, process: null } })
  })

  test.each(['error', 'at-most-once'] as const)("'%s': a recorded error, and no other attempt", async crash => {
    const store = memoryStore()
    const { machine, calls } = charging(crash)
    const first = await restart(machine, store)
    await first.apply({ type: 'CHARGE' })
    const second = await restart(machine, store)
    await settled()
    expect(second.getSnapshot().context.outcome).toEqual({ failed: 'INVOCATION_INTERRUPTED', isError: true })
    expect(calls).toHaveLength(1)
    const units = await all(store.read(second.id))
    expect(units.at(-1)).toMatchObject({ seq: 2, origin: { kind: 'effect', actor: ['payment'], entered: 1 } })
    expect(JSON.stringify(units.at(-1)!.events)).toContain(calls[0]!.key)
    // Whatever the first process still learns comes too late.
    calls[0]!.finish('paid')
    await settled()
    expect((await store.head(first.id))!.seq).toBe(2)
  })

  test.each(['WATCH', 'LISTEN'] as const)('%s: the policy holds for observables and callbacks too', async type => {
    for (const crash of ['retry', 'error', 'at-most-once'] as const) {
      const store = memoryStore()
      const { machine, calls } = charging(crash)
      const first = await restart(machine, store)
      await first.apply({ type })
      const second = await restart(machine, store)
      await settled()
      expect(calls.map(({ attempt }) => attempt)).toEqual(crash === 'retry' ? [1, 2] : [1])
      expect(second.getSnapshot().value).toBe(crash === 'retry' ? first.getSnapshot().value : 'idle')
    }
  })

  test('`attempts` bounds the attempts that crashes end', async () => {
    const store = memoryStore()
    const { machine, calls } = charging({ attempts: 2 })
    const first = await restart(machine, store)
    await first.apply({ type: 'CHARGE' })
    await restart(machine, store)
    const third = await restart(machine, store)
    await settled()
    expect(calls).toHaveLength(2)
    expect(third.getSnapshot().context.outcome).toMatchObject({ failed: 'INVOCATION_INTERRUPTED' })
  })

  test('an invocation whose attempt was never made durable is started, whatever the policy', async () => {
    const store = faultyStore(memoryStore())
    const { machine, calls } = charging({ crash: 'at-most-once', concurrency: 1 })
    const environment = time.fork('busy')
    const other = await openRunIn(environment, machine, { store, key: 'b' })
    await other.apply({ type: 'CHARGE' })
    const waits = await openRunIn(environment, machine, { store, key: 'a' })
    await waits.apply({ type: 'CHARGE' })
    expect(calls).toHaveLength(1)
    await restart(machine, store)
    expect(calls).toHaveLength(1) // it waits there
    await store.renew('busy', 0)
    await restart(machine, store)
    expect(calls).toMatchObject([{ key: `${other.id}/1/payment` }, { key: `${waits.id}/1/payment`, attempt: 1 }])
  })

  test('what a close interrupted is no different', async () => {
    const store = memoryStore()
    const { machine, calls } = charging('at-most-once')
    const run = await openRun(machine, { store, key: 'a' })
    await run.apply({ type: 'CHARGE' })
    await run.close({ timeout: 0 })
    expect(await store.head(run.id)).toMatchObject({ seq: 1, beside: { attempts: { [calls[0]!.key]: 1 } } })
    await using again = await openRun(machine, { store, key: 'a' })
    await settled()
    expect(again.getSnapshot().context.outcome).toMatchObject({ failed: 'INVOCATION_INTERRUPTED' })
    expect(calls).toHaveLength(1)
  })

  test('createRun goes on with a run that was there, as openRun does', async () => {
    const store = memoryStore()
    const { machine, calls } = charging()
    await (await restart(machine, store)).apply({ type: 'CHARGE' })
    await crash(store)
    const run = createRun(machine, { store: otherProcess(store), key: 'a' })
    await run.ready
    await settled()
    expect(calls.map(({ attempt }) => attempt)).toEqual([1, 2])
    // It is in memory already: the one that has it goes on.
    const handles = [0, 1].map(() => createRun(machine, { store, key: 'b' }))
    await handles[0]!.apply({ type: 'CHARGE' })
    await handles[1]!.apply({ type: 'PING' })
    expect(calls).toHaveLength(3)
  })

  test('a store on disk knows the attempts', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'xmachines-'))
    onTestFinished(() => rmSync(dir, { recursive: true, force: true }))
    const { machine, calls } = charging()
    for (const attempt of [1, 2, 3]) {
      const store = fileStore(dir)
      const run = await openRun(machine, { store, key: 'a' })
      if (attempt === 1) await run.apply({ type: 'CHARGE' })
      expect(calls.at(-1)).toMatchObject({ key: `${run.id}/1/payment`, attempt })
      await run.close({ timeout: 0 })
      await store.close()
    }
  })

  test('a machine that takes no error ends with it, as in XState', async () => {
    const store = memoryStore()
    const work = fromPromise(() => new Promise(() => {}))
    const plain = setup({ actors: { work } }).createMachine({ id: 'm', invoke: { src: 'work' } })
    const machine = defineMachine(plain, { invocations: { work: 'error' } })
    await openRunIn(time.fork('first'), machine, { store, key: 'a' })
    await store.renew('first', 0)
    const second = await openRunIn(time.fork('second'), machine, { store: otherProcess(store), key: 'a' })
    await expect(second.done).rejects.toMatchObject({ code: 'INVOCATION_INTERRUPTED' })
  })
})

describe('two processes', () => {
  test('what the other one has started is left alone; the first outcome wins', async () => {
    const store = memoryStore()
    const { machine, calls } = charging()
    const a = await openRunIn(time.fork('a'), machine, { store, key: 'a' })
    const b = await restart(machine, store)
    await a.apply({ type: 'CHARGE' })
    await b.apply({ type: 'PING' })
    expect(b.getSnapshot().value).toBe('charging')
    expect(calls).toHaveLength(1)
    expect((await store.head(a.id))!.beside).toMatchObject({ attempts: { [calls[0]!.key]: 1 }, process: 'a' })
    await b.apply({ type: 'LEAVE' })
    expect((await store.head(a.id))!.beside).toMatchObject({ attempts: {}, process: null })
    calls[0]!.finish('too late')
    await settled()
    expect((await store.head(a.id))!.seq).toBe(3)
  })

  test('what the other one has left is stopped as soon as that is known', async () => {
    const store = memoryStore()
    const { machine, calls } = charging()
    const a = await restart(machine, store)
    const b = await restart(machine, store)
    await a.apply({ type: 'CHARGE' })
    await b.apply({ type: 'LEAVE' })
    await a.apply({ type: 'PING' })
    expect(calls).toMatchObject([{ signal: { aborted: true } }])
  })

  test('who loses the append of an attempt leaves it alone', async () => {
    const store = memoryStore()
    const { machine, calls } = charging()
    await (await restart(machine, store)).apply({ type: 'CHARGE' })
    const slow = faultyStore(otherProcess(store))
    const fault = slow.faults.plan('append.delay')
    await crash(store)
    const losing = openRunIn(time.fork('slow'), machine, { store: slow, key: 'a' })
    await fault.met
    const winning = await restart(machine, store)
    fault.release()
    const lost = await losing
    expect(calls.map(({ attempt }) => attempt)).toEqual([1, 2])
    calls[1]!.finish('paid')
    await settled()
    await lost.apply({ type: 'PING' })
    expect(lost.getSnapshot().context.outcome).toBe('paid')
    expect((await store.head(winning.id))!.seq).toBe(3)
  })

  test('what was taken over from one that came back is not tried again there', async () => {
    const store = memoryStore()
    const { machine, calls } = charging({ attempts: 3, backoff: { initial: 10 } })
    const a = await restart(machine, store)
    await a.apply({ type: 'CHARGE' })
    const b = await restart(machine, store)
    await a.apply({ type: 'PING' }) // learns what has become of it
    calls[0]!.fail(new Error('declined'))
    await time.advance(1_000)
    await a.apply({ type: 'PING' })
    expect(calls.map(({ attempt }) => attempt)).toEqual([1, 2])
    expect((await store.head(a.id))!.beside.process).toBe(`process-${processes}`)
    await b.apply({ type: 'PING' })
    calls[1]!.finish('paid')
    await settled()
    expect(b.getSnapshot().context.outcome).toBe('paid')
  })

  test('both outcomes of one invocation: the first durable one is recorded, the second leaves no unit', async () => {
    const store = memoryStore()
    const { machine, calls } = charging()
    const a = await restart(machine, store)
    await a.apply({ type: 'CHARGE' })
    const b = await restart(machine, store)
    calls[0]!.finish('first')
    await settled()
    calls[1]!.finish('second')
    await settled()
    await b.apply({ type: 'PING' })
    expect(b.getSnapshot().context.outcome).toBe('first')
    expect((await all(store.read(a.id))).map(({ origin }) => origin.kind)).toEqual([
      'outside',
      'outside',
      'effect',
      'outside',
    ])
  })

  test.each(['STORE_LOCKED', 'STORE_READ_ONLY'] as const)('%s: whoever may only read starts nothing', async code => {
    const store = memoryStore()
    const { machine, calls } = charging()
    await (await restart(machine, store)).apply({ type: 'CHARGE' })
    await crash(store)
    const reader = Object.assign(Object.create(otherProcess(store)) as Store, {
      append: () => Promise.reject(new XMachinesError(code, 'The store is not yours.')),
    })
    const run = await openRunIn(time.fork('reader'), machine, { store: reader, key: 'a' })
    expect(run.getSnapshot().value).toBe('charging')
    expect(calls).toHaveLength(1)
  })
})
