import { closeSync, fdatasync, mkdtempSync, openSync, rmSync, statSync, write } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { openRun, replay } from 'xmachines'
import { fileStore } from 'xmachines/persistence/filesystem'
import { createActor } from 'xstate'
import { bareSend } from './apply.ts'
import { type Comparison, compare } from './compare.ts'
import { type OrderEvent, order, orderEvents } from './machines.ts'
import { overlapping } from './overlapping.ts'

const [writeAsync, datasync] = [promisify(write), promisify(fdatasync)]

/** A fresh directory for each round, gone after it. */
function scratch(): { readonly path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), 'xmachines-bench-'))
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) }
}

/** The file store: one run awaited against a bare loop of write and datasync, many runs overlapped against bare `actor.send`. */
export async function durable(): Promise<Comparison[]> {
  const awaitedUnits = 2_000
  const events = orderEvents(100_000)
  let place = scratch()
  let fd = 0
  const line = Buffer.alloc(await bytesPerUnit(events.slice(0, 1000)), 0x61)
  const awaited = await compare(
    'durable: one run, awaited',
    0.9,
    {
      name: 'write + datasync',
      prepare() {
        place = scratch()
        fd = openSync(join(place.path, 'log'), 'a')
      },
      async run() {
        for (let i = 0; i < awaitedUnits; i++) {
          await writeAsync(fd, line)
          await datasync(fd)
        }
        return awaitedUnits
      },
      after() {
        closeSync(fd)
        place.remove()
      },
    },
    {
      name: 'await run.apply',
      prepare() {
        place = scratch()
      },
      async run() {
        const store = fileStore(place.path)
        const run = await openRun(order, { store, key: 'o' })
        for (let i = 0; i < awaitedUnits; i++) await run.apply(events[i]!)
        await store.close()
        return awaitedUnits
      },
      after: () => place.remove(),
    },
    5,
  )
  const overlapped = await compare(
    'durable: 1,000 runs, overlapped',
    0.5,
    bareSend(100_000),
    overlapping(
      events,
      () => {
        place = scratch()
        return fileStore(place.path)
      },
      async store => {
        await store.close()
        place.remove()
      },
    ),
  )
  return [awaited, overlapped]
}

/** What a unit of these events takes in the log. */
async function bytesPerUnit(events: readonly OrderEvent[]): Promise<number> {
  const place = scratch()
  const store = fileStore(place.path, { fsync: false })
  const run = await openRun(order, { store, key: 'o' })
  for (const event of events) await run.apply(event)
  await store.close()
  const { size } = statSync(join(place.path, 'log-00000001.ndjson'))
  place.remove()
  return Math.round(size / events.length)
}

/** Replaying a long run from its log, against bare `actor.send` of the same events, parsed before. */
export async function replayed(): Promise<Comparison[]> {
  const units = 200_000
  const events = orderEvents(units)
  const place = scratch()
  const writer = fileStore(place.path)
  const run = await openRun(order, { store: writer, key: 'o' })
  for (let i = 0; i < units; i += 1000) await Promise.all(events.slice(i, i + 1000).map(event => run.apply(event)))
  await run.close()
  await writer.close()
  const result = await compare(
    'replay: 200 k units of a file',
    1,
    {
      name: 'actor.send',
      run() {
        const actor = createActor(order).start()
        actor.subscribe(() => {})
        for (const event of events) actor.send(event)
        return units
      },
    },
    {
      name: 'replay(store.read)',
      async run() {
        const store = fileStore(place.path)
        let last = 0
        for await (const step of replay(order, store.read(run.id))) last = step.seq
        await store.close()
        return last
      },
    },
    5,
  )
  place.remove()
  return [result]
}
