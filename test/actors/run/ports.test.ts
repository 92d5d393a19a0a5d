import { describe, expect, test } from 'vitest'
import { createRun, defineMachine, openRun } from 'xmachines'
import { memoryStore } from 'xmachines/persistence/memory'
import { emit, fromPromise, setup, toPromise, waitFor } from 'xstate'
import { openRunIn } from '../../../src/actors/run/open.ts'
import { faultyStore } from '../../../src/testing/faulty-store.ts'
import { bytesInUse } from '../../bytes-in-use.ts'
import { VirtualEnvironment } from '../supervisor/virtual-environment.ts'
import { all, take } from './collect.ts'
import { counter } from './machines.ts'

/** Something that is waited for until it is said. */
function gate(): { readonly opened: Promise<void>; open(): void } {
  let open!: () => void
  const opened = new Promise<void>(resolve => (open = resolve))
  return { opened, open }
}

const add = (by: number) => ({ type: 'ADD', by }) as const

describe('out (R7, S12, semantics 28)', () => {
  test('a first reader gets everything from the start, though nobody read before', async () => {
    const run = createRun(counter)
    for (let i = 0; i < 600; i++) await run.apply(add(1))
    expect((await take(run.out, 600)).map(output => output.seq)).toEqual(Array.from({ length: 600 }, (_, i) => i + 1))
  })

  test('of an opened run it begins after the head that was found', async () => {
    const store = memoryStore()
    const first = await openRun(counter, { store, key: 'a' })
    await first.apply(add(1))
    await first.close()
    const run = await openRun(counter, { store, key: 'a' })
    await run.apply(add(1))
    expect(await take(run.out, 1)).toMatchObject([{ seq: 2, index: 0, event: { count: 2 } }])
  })

  test('a late reader reads history, then live, without a gap or a double', async () => {
    const run = createRun(counter)
    for (let i = 0; i < 50; i++) await run.apply(add(1))
    const late = run.subscribe('out', { from: 20 }).getReader()
    const seen: number[] = []
    for (let i = 50; i < 120; i++) {
      await run.apply({ type: 'TELL' })
      seen.push((await late.read()).value!.seq)
    }
    while (seen.length < 31 + 140) seen.push((await late.read()).value!.seq)
    expect(seen).toEqual([
      ...Array.from({ length: 31 }, (_, i) => i + 20),
      ...Array.from({ length: 70 }, (_, i) => [i + 51, i + 51]).flat(),
    ])
  })

  test('a reader that asks while units of another process are taken over gets each once, in order', async () => {
    const memory = memoryStore()
    const machine = setup({
      types: {} as { emitted: { type: 'ADDED' }; events: { type: 'ADD' } },
      actors: { endless: fromPromise(() => new Promise(() => {})) },
    }).createMachine({ id: 'adds', invoke: { src: 'endless' }, on: { ADD: { actions: emit({ type: 'ADDED' }) } } })
    const first = await openRunIn(new VirtualEnvironment('one'), machine, { store: memory, key: 'a' })
    const store = faultyStore(memory)
    const second = await openRunIn(new VirtualEnvironment('two'), machine, { store, key: 'a' })
    const reader = second.out.getReader()
    for (let i = 0; i < 3; i++) await first.apply({ type: 'ADD' })
    // Between the units that it took over and showing them, a process asks whether the other one lives.
    const [looks, lives, reads, given] = [gate(), gate(), gate(), gate()]
    Object.assign(store, {
      async livesUntil(processes: readonly string[]) {
        looks.open()
        await lives.opened
        return memory.livesUntil(processes)
      },
      read(...[run, options]: Parameters<typeof memory.read>) {
        if (options?.ids !== false) return memory.read(run, options)
        reads.open()
        const held = new TransformStream()
        void given.opened.then(() => memory.read(run, options).pipeTo(held.writable))
        return held.readable
      },
    })
    const applied = second.apply({ type: 'ADD' })
    await looks.opened
    const read = reader.read()
    await reads.opened
    lives.open()
    await applied
    given.open()
    const seen = [(await read).value!.seq]
    await second.apply({ type: 'ADD' })
    while (seen.length < 5) seen.push((await reader.read()).value!.seq)
    expect(seen).toEqual([1, 2, 3, 4, 5])
  })

  test('a locked reader that does not read holds back `in` of its handle, within its buffer; other handles go on', async () => {
    const store = memoryStore()
    const run = await openRun(counter, { store, key: 'a' })
    const other = await openRun(counter, { store, key: 'a' })
    const reader = run.subscribe('out', { buffer: 10 }).getReader()
    const writer = run.in.getWriter()
    let written = 0
    const writing = (async () => {
      for (let i = 0; i < 40; i++) {
        await writer.write(add(1))
        written++
      }
    })()
    for (let i = 0; i < 5; i++) await other.apply(add(1))
    for (let turn = 0; turn < 200; turn++) await Promise.resolve()
    const stalledAt = written
    expect(stalledAt).toBeLessThanOrEqual(11)
    await other.apply(add(1)) // the other handle is not held back
    const seen: number[] = []
    for (let i = 0; i < 46; i++) seen.push((await reader.read()).value!.seq)
    await writing
    expect(written).toBe(40)
    expect(seen).toEqual(Array.from({ length: 46 }, (_, i) => i + 1))
  })

  test('a reader that lets go holds nobody back, and finds everything when it comes again', async () => {
    const run = createRun(counter)
    const stream = run.subscribe('out', { buffer: 4 })
    const reader = stream.getReader()
    const writer = run.in.getWriter()
    await writer.write(add(1))
    await reader.read()
    reader.releaseLock()
    for (let i = 0; i < 50; i++) await writer.write(add(1))
    expect((await take(stream, 50)).map(output => output.seq)).toEqual(Array.from({ length: 50 }, (_, i) => i + 2))
  })

  test('cancelling a reader frees `in`', async () => {
    const run = createRun(counter)
    const stream = run.subscribe('out', { buffer: 2 })
    const reader = stream.getReader()
    const writer = run.in.getWriter()
    const writing = Promise.all(Array.from({ length: 20 }, () => writer.write(add(1))))
    for (let turn = 0; turn < 100; turn++) await Promise.resolve()
    await reader.cancel()
    await writing
    expect(run.getSnapshot().context.count).toBe(20)
  })

  test('ports keep their roles (S2): no error on out, no snapshot on out', async () => {
    const run = createRun(counter)
    const { out, err } = run
    await run.apply({ type: 'THROW' })
    await run.apply({ type: 'TELL' })
    await run.apply({ type: 'END' })
    expect((await all(out)).map(output => output.event.type)).toEqual(['COUNT', 'COUNT'])
    expect((await all(err)).map(error => error.error.code)).toEqual(['STEP_FAILED'])
  })
})

describe('snapshot (R9)', () => {
  test('the first read gives the current state, later reads wait, the latest wins', async () => {
    const run = createRun(counter)
    for (let i = 0; i < 3; i++) await run.apply(add(1))
    const reader = run.snapshot.getReader()
    expect((await reader.read()).value).toMatchObject({ seq: 3, context: { count: 3 } })
    const next = reader.read()
    await run.apply(add(1))
    expect((await next).value).toMatchObject({ seq: 4 })
    for (let i = 0; i < 5; i++) await run.apply(add(1))
    expect((await reader.read()).value).toMatchObject({ seq: 9, context: { count: 9 } })
  })
})

describe('err', () => {
  test('keeps the newest, and says how many were lost', async () => {
    const run = createRun(counter)
    const err = run.subscribe('err', { buffer: 3 })
    for (let i = 0; i < 10; i++) await run.apply({ type: 'THROW' })
    const kept = await take(err, 3)
    expect(kept.map(error => error.lost)).toEqual([7, undefined, undefined])
  })
})

describe('actorRef', () => {
  test("serves XState's own tools", async () => {
    const run = createRun(counter)
    const ref = run.actorRef
    const reached = waitFor(ref, snapshot => snapshot.context.count >= 3)
    const finished = toPromise(ref)
    const counts: number[] = []
    run.actorRef.on('COUNT', event => counts.push((event as { count: number }).count))
    for (let i = 0; i < 3; i++) run.actorRef.send(add(1))
    expect((await reached).context).toEqual({ count: 3 })
    run.actorRef.send({ type: 'END' })
    expect(await finished).toEqual({ total: 3 })
    expect(counts).toEqual([1, 2, 3])
  })

  test('tells its end once, also whoever comes after it', async () => {
    const run = createRun(counter)
    const ends: string[] = []
    run.actorRef.subscribe({ complete: () => ends.push('before') })
    await run.apply(add(2))
    await run.apply({ type: 'END' })
    expect(await toPromise(run.actorRef)).toEqual({ total: 2 })
    await expect(waitFor(run.actorRef, () => false)).rejects.toThrow('terminated')
    run.actorRef.subscribe({ next: () => ends.push('next'), complete: () => ends.push('after') })
    await run.close()
    expect(ends).toEqual(['before', 'after'])
    const failing = createRun(defineMachine(counter, { errors: 'fatal' }))
    failing.done.catch(() => {})
    await failing.apply({ type: 'THROW' })
    await expect(toPromise(failing.actorRef)).rejects.toThrow()
    await failing.close()
  })
})

describe('closing', () => {
  test('drains what was sent, ends the ports, refuses what comes later, and is idempotent', async () => {
    const store = memoryStore()
    const run = await openRun(counter, { store, key: 'a' })
    const { out } = run
    const applied = Promise.all(Array.from({ length: 10 }, () => run.apply(add(1))))
    await Promise.all([run.close(), run.close()])
    expect((await applied).every(receipt => receipt.ok)).toBe(true)
    expect(await all(out)).toHaveLength(10)
    await expect(run.apply(add(1))).rejects.toMatchObject({ code: 'RUN_CLOSED' })
    await expect(run.done).rejects.toMatchObject({ code: 'RUN_CLOSED' })
    expect((await store.head(run.id))!.seq).toBe(10)
  })

  test('a run that was open was ready, also where that is first asked after its close', async () => {
    const run = await openRun(counter, { store: memoryStore(), key: 'a' })
    await run.close()
    await run.ready
  })

  test('ports of a closed handle end, also those first asked for then, though another handle has the run open', async () => {
    const store = memoryStore()
    const run = await openRun(counter, { store, key: 'a' })
    await using other = await openRun(counter, { store, key: 'a' })
    await run.apply(add(1))
    await run.close()
    await other.apply(add(1))
    expect(await all(run.subscribe('out', { from: 0 }))).toHaveLength(2)
    expect(await all(run.err)).toEqual([])
    expect(await all(run.snapshot)).toMatchObject([{ seq: 2 }])
  })

  test('what ended a run is on every port, also where it is first asked for then', async () => {
    const store = memoryStore()
    await using first = createRun(counter, { store, key: 'a' })
    await first.ready
    const run = createRun(counter, { store, key: 'a', input: 1 as never })
    await expect(run.ready).rejects.toMatchObject({ code: 'RUN_EXISTS' })
    await expect(run.out.getReader().read()).rejects.toMatchObject({ code: 'RUN_EXISTS' })
    await expect(run.snapshot.getReader().read()).rejects.toMatchObject({ code: 'RUN_EXISTS' })
    expect(await all(run.err)).toMatchObject([{ fatal: true, error: { code: 'RUN_EXISTS' } }])
  })

  test('an abort of `in` does not wait for the reader who holds it back', async () => {
    const run = createRun(counter)
    const held = run.subscribe('out', { buffer: 1 }).getReader()
    const writer = run.in.getWriter()
    const writes = Promise.allSettled([1, 2, 3, 4].map(by => writer.write(add(by))))
    await new Promise(resolve => setTimeout(resolve, 20))
    await writer.abort(new Error('enough'))
    expect((await writes).map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected', 'rejected'])
    expect(run.getSnapshot().context.count).toBe(3)
    expect((await held.read()).value?.seq).toBe(1)
  })

  test('the run knows nothing of a cancelled reader', async () => {
    const run = createRun(counter)
    const cancelled: WeakRef<ReadableStream>[] = []
    const readAndCancel = async (port: 'out' | 'err' | 'snapshot'): Promise<void> => {
      const stream = run.subscribe(port)
      cancelled.push(new WeakRef(stream))
      await stream.cancel()
    }
    for (let i = 0; i < 10; i++) for (const port of ['out', 'err', 'snapshot'] as const) await readAndCancel(port)
    await bytesInUse()
    expect(cancelled.filter(stream => stream.deref() !== undefined)).toEqual([])
    expect(run.getSnapshot().status).toBe('active')
  })

  test('ready and done cause no unhandled rejection', async () => {
    const rejections: unknown[] = []
    const listener = (reason: unknown) => rejections.push(reason)
    process.on('unhandledRejection', listener)
    const run = createRun(counter)
    void run.done
    void run.ready
    await run.close()
    await new Promise(resolve => setImmediate(resolve))
    process.off('unhandledRejection', listener)
    expect(rejections).toEqual([])
  })
})
