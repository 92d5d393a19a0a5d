import { describe, expect, test } from 'vitest'
import { defineMachine, invocation } from 'xmachines'
import { memoryStore } from 'xmachines/persistence/memory'
import { fromPromise, setup } from 'xstate'
import { openRunIn } from '../../../src/actors/run/open.ts'
import { restartsAtOnce } from '../../../src/actors/run/slots.ts'
import { settled, VirtualEnvironment } from '../supervisor/virtual-environment.ts'
import { otherProcess } from '../supervisor/world.ts'
import { charging } from './charging.ts'
import { all } from './collect.ts'

/** A run that has entered the invocation, with what the test needs to go on. */
async function started(policy: Parameters<typeof charging>[0], type: 'CHARGE' | 'WATCH' | 'LISTEN' = 'CHARGE') {
  const time = new VirtualEnvironment()
  const store = memoryStore()
  const { machine, calls } = charging(policy)
  const run = await openRunIn(time, machine, { store, key: 'a' })
  await run.apply({ type })
  return { time, store, machine, calls, run, outcome: () => run.getSnapshot().context.outcome }
}

describe('an attempt that fails', () => {
  test('is the outcome, unless more attempts are declared', async () => {
    const { calls, outcome } = await started({ backoff: { initial: 1 } })
    calls[0]!.fail(new Error('declined'))
    await settled()
    expect(outcome()).toEqual({ failed: 'declined', isError: true })
  })

  test('is followed by the next after the backoff; only the last failure is recorded', async () => {
    const backoff = { initial: 100, factor: 3, max: 500 }
    const { time, store, run, calls, outcome } = await started({ attempts: 4, backoff })
    const waits = [100, 300, 500]
    for (const [index, wait] of waits.entries()) {
      calls[index]!.fail(new Error(`failure ${index + 1}`))
      await time.advance(wait - 1)
      expect(calls).toHaveLength(index + 1)
      await time.advance(1)
      expect(calls.map(({ attempt }) => attempt)).toEqual([1, 2, 3, 4].slice(0, index + 2))
      expect((await store.head(run.id))!.beside.attempts).toEqual({ [calls[0]!.key]: index + 2 })
    }
    calls[3]!.fail(new Error('failure 4'))
    await settled()
    expect(outcome()).toEqual({ failed: 'failure 4', isError: true })
    expect(new Set(calls.map(({ key }) => key)).size).toBe(1)
    const units = await all(store.read(run.id))
    expect(units.map(({ origin }) => origin.kind)).toEqual(['outside', 'outside', 'effect'])
    expect(units.map(({ attempts }) => attempts)).toEqual([undefined, undefined, 4])
    expect(await store.head(run.id)).toMatchObject({ due: null, beside: { attempts: {}, process: null } })
    expect(time.timers).toBe(0)
  })

  test('waits a second, doubled each time and a minute at most, unless told', async () => {
    const { time, calls } = await started({ attempts: 20 })
    for (const wait of [1, 2, 4, 8, 16, 32, 60, 60].map(seconds => seconds * 1000)) {
      const count = calls.length
      calls.at(-1)!.fail(new Error('down'))
      await time.advance(wait - 1)
      expect(calls).toHaveLength(count)
      await time.advance(1)
      expect(calls).toHaveLength(count + 1)
    }
  })

  test('of an observable subscribes again', async () => {
    const { time, calls, outcome } = await started({ attempts: 2 }, 'WATCH')
    calls[0]!.fail(new Error('cut off'))
    await time.advance(1000)
    calls[1]!.finish(1)
    await settled()
    expect(outcome()).toBe('completed')
  })

  test('is heard once: what it tells after its failure is dropped', async () => {
    const { time, store, run, calls, outcome } = await started({ attempts: 2, timeout: 10 })
    await time.advance(10)
    calls[0]!.finish('late')
    await time.advance(1000)
    calls[1]!.finish('in time')
    calls[1]!.fail(new Error('twice'))
    await settled()
    expect(outcome()).toBe('in time')
    expect((await store.head(run.id))!.seq).toBe(2)
  })

  test('keeps its run in memory while it waits, and starts no more once the state is left', async () => {
    const { time, run, store, calls } = await started({ attempts: 2 })
    calls[0]!.fail(new Error('down'))
    await settled()
    // It is this process's, which lives: nobody else is to look after it.
    expect(await store.head(run.id)).toMatchObject({ due: null, beside: { process: time.process } })
    await run.apply({ type: 'LEAVE' })
    await time.advance(10_000)
    expect(calls).toHaveLength(1)
    expect(time.timers).toBe(0)
  })

  test('goes on at the next open where a close came between', async () => {
    const { time, store, machine, calls, run } = await started({ attempts: 3 })
    calls[0]!.fail(new Error('down'))
    await settled()
    await run.close()
    expect(time.timers).toBe(0)
    const again = await openRunIn(time.fork('next'), machine, { store, key: 'a' })
    expect(calls.map(({ attempt }) => attempt)).toEqual([1, 2])
    const closing = again.close()
    calls[1]!.fail(new Error('down'))
    await closing
    expect((await store.head(run.id))!.seq).toBe(1)
  })
})

describe('an attempt that takes too long', () => {
  test('is aborted and fails with INVOCATION_TIMED_OUT', async () => {
    const { time, calls, outcome } = await started({ timeout: 30_000 })
    await time.advance(29_999)
    expect(outcome()).toBeNull()
    await time.advance(1)
    expect(outcome()).toEqual({ failed: 'INVOCATION_TIMED_OUT', isError: true })
    expect(calls[0]!.signal.reason).toMatchObject({ code: 'INVOCATION_TIMED_OUT' })
  })

  test('is retried as any that fails', async () => {
    const { time, calls, outcome } = await started({ timeout: 50, attempts: 2, backoff: { initial: 10 } })
    await time.advance(60)
    expect(calls.map(({ signal }) => signal.aborted)).toEqual([true, false])
    calls[1]!.finish('paid')
    await time.advance(1000)
    expect(outcome()).toBe('paid')
  })

  test.each(['WATCH', 'LISTEN'] as const)('%s: also of an observable and a callback', async type => {
    const { time, outcome } = await started({ timeout: 50 }, type)
    await time.advance(50)
    expect(outcome()).toMatchObject({ failed: 'INVOCATION_TIMED_OUT' })
  })
})

describe('concurrency', () => {
  /** Many runs of one invocation each, whose ends the test gives, in the order they began. */
  function many(policy?: { readonly concurrency: number }) {
    const ends: (() => void)[] = []
    let running = 0
    const work = fromPromise(
      ({ signal }) =>
        new Promise<void>(resolve => {
          running++
          const end = (): void => {
            running--
            resolve()
          }
          invocation().signal.addEventListener('abort', () => running--)
          if (!signal.aborted) ends.push(end)
        }),
    )
    const machine = setup({ actors: { work } }).createMachine({
      id: 'many',
      initial: 'idle',
      states: {
        idle: { on: { GO: 'working' } },
        working: { on: { LEAVE: 'idle' }, invoke: { src: 'work', onDone: 'done' } },
        done: { type: 'final' },
      },
    })
    /** Whatever ran is not heard of any more. */
    const crash = (): void => {
      running = 0
      ends.length = 0
    }
    const defined =
      policy === undefined ? defineMachine(machine) : defineMachine(machine, { invocations: { work: policy } })
    return { machine: defined, ends, running: () => running, crash }
  }

  /** Closes runs whose promises go on, which aborts them. */
  async function closed(time: VirtualEnvironment, runs: readonly { close(options: object): Promise<void> }[]) {
    const closing = runs.map(run => run.close({ timeout: 0 }))
    await time.advance(0)
    await Promise.all(closing)
  }

  test('so many of a name run at a time in a process; those that wait are pending, and leave the line with their state', async () => {
    const time = new VirtualEnvironment()
    const { machine, ends, running } = many({ concurrency: 2 })
    const store = memoryStore()
    const runs = await Promise.all(
      Array.from({ length: 5 }, (_, i) => openRunIn(time, machine, { store, key: `r${i}` })),
    )
    for (const run of runs) await run.apply({ type: 'GO' })
    expect([ends.length, running()]).toEqual([2, 2])
    expect(await store.head(runs[3]!.id)).toMatchObject({ value: 'working', beside: { attempts: {} } })
    await runs[2]!.apply({ type: 'LEAVE' })
    ends[0]!()
    await settled()
    expect([ends.length, running()]).toEqual([3, 2])
    expect((await store.head(runs[3]!.id))!.beside.attempts).toEqual({ [`${runs[3]!.id}/1/0.many.working`]: 1 })
    await runs[0]!.close()
    await closed(time, [runs[1]!])
    expect([ends.length, running()]).toEqual([4, 2])
  })

  test('an append that fails gives the place back', async () => {
    const time = new VirtualEnvironment()
    const { machine, ends } = many({ concurrency: 1 })
    const store = memoryStore()
    const broken = await openRunIn(time, machine, { store: otherProcess(store), key: 'a' })
    await store.append([
      { run: broken.id, expected: { seq: 0, revision: 1 }, units: [], beside: { sources: [{ id: 's', position: 1 }] } },
    ])
    await broken.apply({ type: 'GO' }) // a conflict: decided again
    const next = await openRunIn(time, machine, { store, key: 'b' })
    await next.apply({ type: 'GO' })
    expect(ends).toHaveLength(1)
    ends[0]!()
    await settled()
    expect(ends).toHaveLength(2)
  })

  /** XM_LONG=1: 10,000. */
  const pending = process.env.XM_LONG === '1' ? 10_000 : 2_000
  test(`${pending} that are pending after a restart do not start at once, and all come to their end`, async () => {
    const time = new VirtualEnvironment()
    const { machine, ends, running, crash } = many()
    const store = memoryStore()
    const count = pending
    const before = time.fork('before')
    const crashed = otherProcess(store)
    for (let i = 0; i < count; i++) {
      const run = await openRunIn(before, machine, { store: crashed, key: `r${i}` })
      await run.apply({ type: 'GO' })
    }
    expect(running()).toBe(count)
    crash()
    await store.renew(before.process, 0)
    const opened: Promise<unknown>[] = []
    for (let i = 0; i < count; i++) opened.push(openRunIn(time, machine, { store, key: `r${i}` }))
    for (let done = 0; done < count; ) {
      await settled()
      expect(running()).toBeLessThanOrEqual(restartsAtOnce)
      for (const end of ends.splice(0)) {
        end()
        done++
      }
    }
    await Promise.all(opened)
  }, 60_000)

  test('one that takes long does not keep the rest waiting: it holds others back for a second', async () => {
    const time = new VirtualEnvironment()
    const { machine, running, crash } = many()
    const store = memoryStore()
    const before = time.fork('before')
    const crashed = otherProcess(store)
    const count = restartsAtOnce + 10
    for (let i = 0; i < count; i++) {
      const run = await openRunIn(before, machine, { store: crashed, key: `r${i}` })
      await run.apply({ type: 'GO' })
    }
    crash()
    await store.renew(before.process, 0)
    void Array.from({ length: count }, (_, i) => openRunIn(time, machine, { store, key: `r${i}` }))
    await settled()
    expect(running()).toBe(restartsAtOnce)
    await time.advance(1000)
    expect(running()).toBe(count)
  })
})
