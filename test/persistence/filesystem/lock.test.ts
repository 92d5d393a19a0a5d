import { mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { isLocked, takeLock } from '../../../src/persistence/filesystem/lock.ts'
import { collect, showsHistory, TestRun } from '../../../src/testing/store-conformance/test-run.ts'
import { temporaryDirectory } from './directory.ts'
import { StoreProcess } from './process.ts'
import { contentOf, openStore } from './stores.ts'

let place: ReturnType<typeof temporaryDirectory>
let dir: string
const children: StoreProcess[] = []

beforeEach(() => {
  place = temporaryDirectory()
  dir = join(place.dir, 'store')
})
afterEach(async () => {
  for (const child of children.splice(0)) await child.kill()
  place.remove()
})

function child(...more: string[]): StoreProcess {
  const started = new StoreProcess(dir, ...more)
  children.push(started)
  return started
}

const renewed = null

describe('the lock of the writer', () => {
  test('lets one process write and any read; when it is killed, it is free at once', async () => {
    const first = await child().ready()
    const run = new TestRun('sha1', { key: 'a' })
    const [outcome] = (await first.tell(`a${JSON.stringify([run.creates({}, 3)])}`)) as [never]
    run.follow(run.creates({}, 3), outcome)
    const { store, warnings } = openStore(dir)
    await showsHistory(store, run)
    const refused = await store.append([run.goesOn()]).catch(error => error)
    expect(refused).toMatchObject({ code: 'STORE_LOCKED', retryable: true })
    expect(refused.message).toContain(`process ${first.process.pid}`)
    expect(refused.details).toMatchObject({ pid: first.process.pid, path: dir })
    await showsHistory(store, run)
    await store.saveSnapshot(run.id, { seq: 1, machine: run.machine.oid, format: 1, state: 1 })

    await first.kill()
    await run.goOn(store, 2)
    await showsHistory(store, run)
    const second = await child().ready()
    expect(await second.tell('r1')).toMatchObject({ code: 'STORE_LOCKED', details: { pid: process.pid } })
    await store.close()
    expect(await second.tell('r1')).toBe(renewed)
    expect(warnings).toEqual([])
  })

  test('of a halted process is held', async () => {
    const first = await child().ready()
    expect(await first.tell('r1')).toBe(renewed)
    first.process.kill('SIGSTOP')
    const { store } = openStore(dir)
    await expect(store.renew('p', 1)).rejects.toMatchObject({ code: 'STORE_LOCKED' })
    await first.kill()
    await store.renew('p', 1)
    await store.close()
  })

  test('is taken by exactly one of many that start at once, on whatever the last one left', async () => {
    const starters = await Promise.all(Array.from({ length: 5 }, () => child().ready()))
    for (let round = 0; round < 4; round++) {
      const answers = await Promise.all(starters.map(starter => starter.tell(`r${round}`)))
      const winners = starters.filter((_, index) => answers[index] === renewed)
      expect(winners.length).toBe(1)
      for (const answer of answers) if (answer !== renewed) expect(answer).toMatchObject({ code: 'STORE_LOCKED' })
      // The winner ends: killed, or in peace.
      starters.splice(starters.indexOf(winners[0]!), 1)
      if (round % 2 === 0) await winners[0]!.kill()
      else expect(await winners[0]!.tell('c')).toBe(null)
    }
  })

  test('is taken by exactly one of many in one process', async () => {
    mkdirSync(dir)
    for (let round = 0; round < 20; round++) {
      const taken = await Promise.allSettled(Array.from({ length: 8 }, () => takeLock(dir)))
      const held = taken.flatMap(result => (result.status === 'fulfilled' ? [result.value] : []))
      expect(held.length).toBe(1)
      expect(await isLocked(dir)).toBe(true)
      for (const result of taken)
        if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'STORE_LOCKED' })
      await held[0]!.release()
      expect(await isLocked(dir)).toBe(false)
    }
    expect(readdirSync(dir).filter(name => name.endsWith('.lock')).length).toBe(1)
  })

  test('of another store in this process refuses, and is free after its close', async () => {
    const [first, second] = [openStore(dir), openStore(dir)]
    const run = await new TestRun('sha1').create(first.store)
    await expect(second.store.append([run.goesOn()])).rejects.toMatchObject({
      code: 'STORE_LOCKED',
      message: expect.stringContaining('keep its store (on globalThis)'),
    })
    await showsHistory(second.store, run)
    await first.store.close()
    await run.goOn(second.store)
    await second.store.close()
  })

  test('is free after the close of a store whose first write was aborted while the lock was taken', async () => {
    const { store } = openStore(dir)
    const aborting = new AbortController()
    const write = store.renew('p', 1, { signal: aborting.signal })
    aborting.abort()
    await expect(write).rejects.toMatchObject({ code: 'ABORTED' })
    await store.close()
    const next = openStore(dir)
    await new TestRun('sha1').create(next.store)
    await next.store.close()
  })

  test('stays with who made the store anew, when the writer of the one that was removed closes', async () => {
    const removed = openStore(dir)
    await removed.store.renew('p', 1)
    rmSync(dir, { recursive: true })
    const writer = openStore(dir)
    const run = await new TestRun('sha1').create(writer.store)
    await removed.store.close()
    await expect(openStore(dir).store.renew('p', 1)).rejects.toMatchObject({ code: 'STORE_LOCKED' })
    await run.goOn(writer.store)
    await writer.store.close()
  })

  test('is not taken by who reads, and not held by a store that wrote nothing', async () => {
    const first = openStore(dir)
    const run = await new TestRun('sha1').create(first.store)
    await first.store.close()
    rmSync(join(dir, readdirSync(dir).find(name => name.endsWith('.lock'))!))
    const reader = openStore(dir)
    await showsHistory(reader.store, run)
    await collect(reader.store.list())
    await reader.store.due({ before: 1, limit: 1 })
    await reader.store.loadSnapshot(run.id)
    expect(readdirSync(dir).filter(name => name.startsWith('writer'))).toEqual([])
    await reader.store.close()
  })

  test('works in a directory whose path is long', async () => {
    dir = join(place.dir, 'd'.repeat(100), 'e'.repeat(100))
    const { store } = openStore(dir)
    const run = await new TestRun('sha1').create(store)
    await expect(openStore(dir).store.append([run.goesOn()])).rejects.toMatchObject({ code: 'STORE_LOCKED' })
    await store.close()
  })
})

describe('processes that ended', () => {
  test('have nothing in flight any more, however long they said that they live', async () => {
    const first = await child().ready()
    const run = new TestRun('sha1')
    await first.tell(`a${JSON.stringify([run.creates({ beside: { process: 'child' } })])}`)
    expect(await first.tell('r1000')).toBe(renewed)
    const { store } = openStore(dir)
    expect(await store.due({ before: 999, limit: 9 })).toEqual([])
    await first.kill()
    const due = [{ run: run.id, namespace: 'tests', due: 0 }]
    expect(await store.due({ before: 0, limit: 9 })).toEqual(due)
    // Whoever writes first sees the same.
    const writer = openStore(dir)
    await writer.store.renew('other', 1)
    expect(await writer.store.due({ before: 0, limit: 9 })).toEqual(due)
    await writer.store.close()
    expect(await store.due({ before: 0, limit: 9 })).toEqual(due)
    await store.close()
    const again = openStore(dir)
    expect(await again.store.due({ before: 0, limit: 9 })).toEqual(due)
    await again.store.close()
  })
})

describe('a writer that is killed while it writes', () => {
  test('loses nothing that it acknowledged, and others read on meanwhile', async () => {
    const runs = Array.from({ length: 4 }, (_, index) => new TestRun('sha1', { key: `${index}` }))
    const reader = openStore(dir, { readOnly: true })
    let content: unknown
    for (let round = 0; round < 4; round++) {
      const writer = await child().ready()
      if (round === 0) await writer.tell(`a${JSON.stringify(runs.map(run => run.creates()))}`)
      const heads = await Promise.all(runs.map(run => reader.store.head(run.id)))
      const orders = runs.map((run, index) => {
        const { seq, revision } = heads[index]!
        Object.assign(run, { seq, revision })
        return Array.from({ length: 30 }, (_, step) => ({
          ...run.goesOn(1),
          units: [{ ...run.goesOn(step + 1).units.at(-1)!, outputs: [] }],
          expected: { seq: seq + step, revision: revision + step },
        }))
      })
      for (let step = 0; step < 30; step++) writer.order(`a${JSON.stringify(orders.map(items => items[step]))}`)
      // What is answered is there; what the reader sees is a prefix at any time.
      let last = -1
      for (let answers = 0; answers < 10 + round * 4; answers++) {
        const outcomes = (await writer.tell('r1')) as { seq?: number }[] | null
        if (outcomes === null) continue
        const seen = await reader.store.head(runs[0]!.id)
        expect(seen!.seq).toBeGreaterThanOrEqual(Math.max(last, outcomes[0]!.seq!))
        last = seen!.seq
        const units = await collect(reader.store.read(runs[0]!.id))
        expect(units.map(unit => unit.seq)).toEqual(units.map((_, seq) => seq))
        expect(units.length).toBeGreaterThan(seen!.seq)
      }
      await writer.kill()
      content = await contentOf(reader.store)
      expect((await reader.store.head(runs[0]!.id))!.seq).toBeGreaterThanOrEqual(last)
    }
    const { store } = openStore(dir)
    await store.renew('p', 1)
    expect(await contentOf(store)).toEqual(content)
    await store.close()
    await reader.store.close()
  })
})

describe('a store that somebody else made', () => {
  test.skipIf(process.platform === 'win32')('has no file of ours overwritten by its links', async () => {
    const first = openStore(dir)
    const run = await new TestRun('sha1').create(first.store, {}, 2)
    await first.store.close()
    const ours = join(place.dir, 'ours')
    writeFileSync(ours, 'precious')
    const names = [
      'writer.json',
      '.writer-00000002.lock',
      'snapshots-00000001.ndjson',
      '.index.bin',
      '.log-00000002.ndjson',
    ]
    for (const name of names) {
      rmSync(join(dir, name), { force: true })
      symlinkSync(ours, join(dir, name))
    }
    const { store } = openStore(dir, { segmentBytes: 1, checkpointBytes: 1 })
    await store.saveSnapshot(run.id, { seq: 1, machine: run.machine.oid, format: 1, state: 1 }).catch(() => {})
    await expect(store.append([run.goesOn()])).rejects.toMatchObject({
      code: 'STORE_FOREIGN',
      details: { errno: 'ELOOP' },
    })
    await store.close()
    expect(readFileSync(ours, 'utf8')).toBe('precious')
  })
})
