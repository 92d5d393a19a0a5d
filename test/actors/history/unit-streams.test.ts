import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { type Unit, unitSink, watchRun } from 'xmachines'
import { fileStore } from 'xmachines/persistence/filesystem'
import { memoryStore } from 'xmachines/persistence/memory'
import { collect, shown, TestRun, testUnit } from '../../../src/testing/store-conformance/test-run.ts'

const dirs: string[] = []
afterEach(() => {
  for (const dir of dirs.splice(0)) rmSync(dir, { recursive: true, force: true })
})

function directory(): string {
  const dir = mkdtempSync(join(tmpdir(), 'xmachines-streams-'))
  dirs.push(dir)
  return dir
}

describe('watchRun', () => {
  test('shows the history, then every unit once as another store of the place writes it, and ends with the run', async () => {
    const dir = directory()
    const [writer, reader] = [fileStore(dir), fileStore(dir, { readOnly: true })]
    const run = await new TestRun('sha1').create(writer, {}, 2)
    const seen: Unit[] = []
    for await (const unit of watchRun(reader, run.id)) {
      seen.push(unit)
      // The next one is only written once this one was seen.
      if (unit.seq === run.seq && run.seq < 6) await run.goOn(writer)
      else if (unit.seq === run.seq && run.seq === 6) await run.goOn(writer, 1, { status: 'done' })
    }
    expect(seen.map(shown)).toEqual(run.history())
    await writer.close()
    await reader.close()
  })

  test('begins where it is told, and is cancelled while it waits', async () => {
    const store = memoryStore()
    const run = await new TestRun('sha1').create(store, {}, 3)
    const reader = watchRun(store, run.id, { from: 3, interval: 1 }).getReader()
    expect((await reader.read()).value?.seq).toBe(3)
    const waiting = reader.read()
    await reader.cancel()
    expect((await waiting).done).toBe(true)
  })

  test('asks the store no more once it is cancelled, however long it has waited', async () => {
    const store = memoryStore()
    const run = await new TestRun('sha1').create(store)
    const head = vi.spyOn(store, 'head')
    const reader = watchRun(store, run.id, { interval: 1, signal: new AbortController().signal }).getReader()
    await reader.read()
    const waiting = reader.read()
    await vi.waitFor(() => expect(head.mock.calls.length).toBeGreaterThan(3))
    await reader.cancel()
    expect((await waiting).done).toBe(true)
    const asked = head.mock.calls.length
    await new Promise(resolve => setTimeout(resolve, 30))
    expect(head).toHaveBeenCalledTimes(asked)
  })

  test('errors where it is aborted, and where there is no such run', async () => {
    const store = memoryStore()
    const run = await new TestRun('sha1').create(store)
    const aborting = new AbortController()
    const reader = watchRun(store, run.id, { from: 1, signal: aborting.signal }).getReader()
    const waiting = reader.read()
    aborting.abort()
    await expect(waiting).rejects.toMatchObject({ code: 'ABORTED' })
    await expect(collect(watchRun(store, 'nobody'))).rejects.toMatchObject({ code: 'RUN_UNKNOWN' })
    expect(() => watchRun(store, run.id, { interval: 0 })).toThrow(TypeError)
    for (const from of [-1, 0.5, Number.NaN]) expect(() => watchRun(store, run.id, { from })).toThrow(TypeError)
  })
})

describe('unitSink', () => {
  test('keeps what is piped into it, again and further; the run is held there', async () => {
    const [from, to] = [memoryStore(), memoryStore()]
    const run = await new TestRun('sha1', { key: 'a' }).create(from, { due: 1 }, 1200)
    const machine = (oid: string) => from.machine(oid)
    await from.read(run.id).pipeTo(unitSink(to, run.id, { machine }))
    expect((await collect(to.read(run.id))).map(shown)).toEqual(run.history())
    expect(await to.head(run.id)).toMatchObject({ due: null, beside: { held: true } })
    await from.read(run.id).pipeTo(unitSink(to, run.id))
    await run.goOn(from, 5)
    await from.read(run.id, { from: 1000 }).pipeTo(unitSink(to, run.id))
    expect((await collect(to.read(run.id))).map(shown)).toEqual(run.history())
  })

  test('refuses another history, another run, a gap, and a machine that nobody has', async () => {
    const [from, to] = [memoryStore(), memoryStore()]
    const run = await new TestRun('sha1', { key: 'a' }).create(from, {}, 3)
    const twin = await new TestRun('sha1', { key: 'a' }).create(to)
    await twin.goOn(to, [testUnit(1, { events: [{ type: 'OTHER' }] })])
    await expect(from.read(run.id).pipeTo(unitSink(to, run.id))).rejects.toMatchObject({
      code: 'IMPORT_DIFFERS',
      details: { seq: 1 },
    })
    const longer = [1, 2, 3, 4].map(seq => testUnit(seq, { events: [{ type: 'OTHER', seq }] }))
    const ahead = memoryStore()
    await new TestRun('sha1', { key: 'a' }).create(ahead).then(twin => twin.goOn(ahead, longer))
    await expect(from.read(run.id).pipeTo(unitSink(ahead, run.id))).rejects.toMatchObject({
      code: 'IMPORT_DIFFERS',
      details: { seq: 1 },
    })
    await from.read(run.id, { to: 0 }).pipeTo(unitSink(ahead, run.id))
    const other = await new TestRun('sha1', { key: 'b' }).create(from, {}, 3)
    const late = from.read(other.id, { from: 2 })
    await expect(late.pipeTo(unitSink(to, other.id))).rejects.toMatchObject({ code: 'IMPORT_INVALID' })
    await expect(from.read(other.id).pipeTo(unitSink(to, run.id))).rejects.toMatchObject({ code: 'IMPORT_INVALID' })
    const empty = memoryStore()
    await expect(from.read(other.id).pipeTo(unitSink(empty, other.id))).rejects.toMatchObject({
      code: 'IMPORT_INVALID',
    })
  })
})
