import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { type ChildDoneEvent, openRun, spawnRun, tell } from 'xmachines'
import { fileStore } from 'xmachines/persistence/filesystem'
import { memoryStore } from 'xmachines/persistence/memory'
import { assign, emit, enqueueActions, setup } from 'xstate'
import { residencyOf } from '../../src/actors/run/residency.ts'
import { faultyStore } from '../../src/testing/faulty-store.ts'
import { settled } from '../actors/supervisor/virtual-environment.ts'
import { World } from '../actors/supervisor/world.ts'
import { bytesInUse } from '../bytes-in-use.ts'

/** Says again what it hears, and keeps nothing of it. */
const echo = setup({
  types: {} as { events: { type: 'SAY'; text: string }; emitted: { type: 'SAID'; text: string } },
}).createMachine({
  id: 'echo',
  on: { SAY: { actions: emit(({ event }) => ({ type: 'SAID' as const, text: event.text })) } },
})

const kibibyte = 1024
/** Long, and not shared with any other event. */
const say = (bytes: number, n: number) => ({ type: 'SAY', text: `${n}`.padEnd(bytes, 'x') }) as const

/** `FC_RUNS`, as for the laws: more of the same. */
const times = Number(process.env.FC_RUNS ?? 0) >= 1000 ? 10 : 1

const perUnit = 100
const parcel = 'x'.repeat(2 * kibibyte)

/** Sends mail, or starts child runs, a hundred a unit, and counts what comes back. */
const hub = setup({
  types: {} as {
    context: { sent: number; heard: number }
    events: { type: 'MAIL' } | { type: 'SPAWN' } | { type: 'PARCEL'; text: string } | ChildDoneEvent
  },
}).createMachine({
  id: 'hub',
  context: { sent: 0, heard: 0 },
  on: {
    MAIL: {
      actions: [
        assign({ sent: ({ context }) => context.sent + perUnit }),
        enqueueActions(({ enqueue }) => {
          for (let n = 0; n < perUnit; n++)
            enqueue(tell({ machine: 'hub', key: 'sink' }, { type: 'PARCEL', text: `${n} ${parcel}` }))
        }),
      ],
    },
    SPAWN: {
      actions: [
        enqueueActions(({ enqueue, context }) => {
          for (let n = 0; n < perUnit; n++) enqueue(spawnRun(mayfly, { key: `m-${context.sent + n}` }))
        }),
        assign({ sent: ({ context }) => context.sent + perUnit }),
      ],
    },
    PARCEL: { actions: assign({ heard: ({ context }) => context.heard + 1 }) },
    'xmachines.done.run': { actions: assign({ heard: ({ context }) => context.heard + 1 }) },
  },
})

const mayfly = setup({}).createMachine({
  id: 'mayfly',
  initial: 'a',
  states: { a: { always: 'b' }, b: { type: 'final' } },
})

function fileStoreHere() {
  const dir = mkdtempSync(join(tmpdir(), 'xmachines-flat-'))
  const store = fileStore(dir, { fsync: false })
  onTestFinished(async () => {
    await store.close()
    rmSync(dir, { recursive: true })
  })
  return store
}

describe('memory stays flat (S7, semantics 28)', () => {
  test('with a run that mails very many: what it sent is in the store alone', async () => {
    const store = fileStoreHere()
    const [run, sink] = [await openRun(hub, { store, key: 'a' }), await openRun(hub, { store, key: 'sink' })]
    const heard = () => sink.getSnapshot().context.heard
    const send = async (count: number) => {
      const until = heard() + count
      for (let sent = 0; sent < count; sent += perUnit) {
        await run.apply({ type: 'MAIL' })
        await expect.poll(() => until - heard() - (count - sent), { timeout: 30_000, interval: 1 }).toBeLessThan(1000)
      }
      await expect.poll(heard, { timeout: 30_000, interval: 1 }).toBe(until)
    }
    await send(2000)
    const before = await bytesInUse()
    const count = 8000 * times
    await send(count)
    // 16 MiB went through, and 160 in the long form.
    expect((await bytesInUse()) - before).toBeLessThan(2 * kibibyte * kibibyte)
  }, 300_000)

  test('with a receiver that is far behind: its mail is in the store, and a few numbers of each in memory', async () => {
    const store = fileStoreHere()
    const run = await openRun(hub, { store, key: 'a' })
    await (await openRun(hub, { store, key: 'sink' })).close()
    const sink = (await store.find('hub', 'sink'))!
    const waiting = async () => (await store.head(sink))!.beside.waiting
    const before = await bytesInUse()
    const count = 8000 * times
    for (let sent = 0; sent < count; sent += perUnit) {
      await run.apply({ type: 'MAIL' })
      if (sent % 2000 === 2000 - perUnit)
        await expect.poll(waiting, { timeout: 30_000, interval: 1 }).toBe(sent + perUnit)
    }
    // Each has 2 KiB. An inbox shows 256 of them, and keeps no more at hand.
    expect((await bytesInUse()) - before).toBeLessThan(count * 256 + 2 * kibibyte * kibibyte)
    const behind = await openRun(hub, { store, key: 'sink' })
    await expect.poll(() => behind.getSnapshot().context.heard, { timeout: 200_000 }).toBe(count)
    expect(await waiting()).toBe(0)
  }, 300_000)

  test('with a run that starts very many: nothing is left of a child that is over but its place in the index', async () => {
    const store = fileStoreHere()
    const run = await openRun(hub, { store, key: 'a' })
    const heard = () => run.getSnapshot().context.heard
    const spawn = async (count: number) => {
      for (let sent = 0; sent < count; sent += perUnit) {
        await run.apply({ type: 'SPAWN' })
        const { context } = run.getSnapshot()
        await expect.poll(() => context.sent - heard(), { timeout: 30_000, interval: 1 }).toBeLessThan(500)
      }
      await expect.poll(() => heard() === run.getSnapshot().context.sent, { timeout: 30_000, interval: 1 }).toBe(true)
    }
    await spawn(500)
    const before = await bytesInUse()
    const count = 1500 * times
    await spawn(count)
    await settled()
    await expect.poll(() => residencyOf(store).size, { timeout: 30_000 }).toBe(1)
    // The row of a run is an object of a kilobyte or so until the index is packed: a run itself has ten.
    expect((await bytesInUse()) - before).toBeLessThan(count * 2 * kibibyte + kibibyte * kibibyte)
  }, 300_000)

  test('with a reader of `out` that stands still: what it has not read is in the store alone', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'xmachines-flat-'))
    const store = fileStore(dir, { fsync: false })
    onTestFinished(async () => {
      await store.close()
      rmSync(dir, { recursive: true })
    })
    const stalled = await openRun(echo, { store, key: 'a' })
    const reader = stalled.subscribe('out', { buffer: 4 }).getReader()
    const run = await openRun(echo, { store, key: 'a' })
    await run.apply(say(128 * kibibyte, 0))
    expect((await reader.read()).value).toMatchObject({ seq: 1 })
    const before = await bytesInUse()
    const count = 800
    for (let n = 1; n <= count; n++) await run.apply(say(128 * kibibyte, n))
    // 100 MiB went through; a tenth of it would be too much.
    expect((await bytesInUse()) - before).toBeLessThan(10 * kibibyte * kibibyte)
    for (let seq = 2; seq <= count + 1; seq++) expect((await reader.read()).value).toMatchObject({ seq })
  })

  test('with a store that stands still: `in` takes one write, and then asks its writer to wait', async () => {
    const store = faultyStore(memoryStore())
    const run = await openRun(echo, { store, key: 'a' })
    const held = store.faults.plan('append.late', { times: 1 })
    const writer = run.in.getWriter()
    let taken = 0
    const writing = (async () => {
      for (let n = 0; n < 100; n++) {
        await writer.ready
        void writer.write(say(64 * kibibyte, n))
        taken += 64 * kibibyte
      }
    })()
    await held.met
    await settled()
    expect(taken).toBe(64 * kibibyte)
    held.release()
    await writing
    await writer.close()
    expect(taken).toBe(6400 * kibibyte)
  })

  test('with a run that stands still: its lease takes no more records than the window holds', async () => {
    const store = faultyStore(memoryStore())
    const world = new World({ store })
    let decoded = 0
    const { supervisor } = world.supervise({
      machine: echo,
      window: 10,
      decode(record) {
        const text = new TextDecoder().decode(record.value!)
        decoded += text.length
        return { key: 'a', events: JSON.parse(text) }
      },
    })
    await world.send(['a', { type: 'SAY', text: '' }])
    await supervisor.caughtUp()
    const held = store.faults.plan('append.late', { times: 1 })
    await world.send(...Array.from({ length: 500 }, (_, n) => ['a', say(16 * kibibyte, n)] as const))
    await held.met
    await settled()
    expect(decoded).toBeLessThanOrEqual(11 * 17 * kibibyte)
    held.release()
    await supervisor.caughtUp()
    expect(decoded).toBeGreaterThan(500 * 16 * kibibyte)
  })
})
