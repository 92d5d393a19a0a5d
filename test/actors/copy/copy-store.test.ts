import { describe, expect, test } from 'vitest'
import { copyStore, type Mail, unitSink } from 'xmachines'
import { memoryStore } from 'xmachines/persistence/memory'
import {
  collect,
  showsHistory,
  TestRun,
  testMachine,
  testUnit,
} from '../../../src/testing/store-conformance/test-run.ts'

const partition = { namespace: 'tests', partition: 1 }

describe('copyStore', () => {
  test('leaves a source that goes on: its runs are held in the target, until it is quiet', async () => {
    const [from, to] = [memoryStore(), memoryStore()]
    const run = await new TestRun('sha1').create(from, {
      due: 5,
      beside: { process: 'p', attempts: { a: 1, b: 1 }, owners: { a: 'q', b: 'r' } },
    })
    await copyStore(from, to)
    expect(await to.head(run.id)).toMatchObject({ due: null, beside: { held: true, process: null } })
    expect((await to.head(run.id))!.beside.owners).toEqual({})
    await copyStore(from, to, { source: 'quiet' })
    expect(await to.head(run.id)).toMatchObject({
      due: 5,
      beside: { held: false, process: 'p', owners: { a: 'q', b: 'r' } },
    })
    await run.change(from, { owners: { a: null, b: 's' } })
    await copyStore(from, to, { source: 'quiet' })
    expect((await to.head(run.id))!.beside.owners).toEqual({ b: 's' })
  })

  test('holds nothing that the target runs by itself: moved there before, or the source under another name', async () => {
    const [from, to] = [memoryStore(), memoryStore()]
    const run = await new TestRun('sha1').create(from, { due: 5 }, 2)
    await copyStore(from, to, { source: 'quiet' })
    const moved = (await to.head(run.id))!
    for (const [source, target] of [
      [from, to],
      [from, from],
    ] as const) {
      const report = await copyStore(source, target)
      expect(report).toEqual({ runs: 1, unchanged: 1, units: 0, failed: [] })
      expect(await target.head(run.id)).toMatchObject({ due: 5, beside: { held: false } })
    }
    expect(await to.head(run.id)).toEqual(moved)
  })

  test('fences a source that it takes over from, and the target goes on under the same epoch', async () => {
    const [from, to] = [memoryStore(), memoryStore()]
    const lease = await from.claim({ ...partition, owner: 'p', group: 'g' })
    const run = await new TestRun('sha1').create(from, { lease }, 3)
    const report = await copyStore(from, to, { source: 'fence' })
    expect(report).toEqual({ runs: 1, unchanged: 0, units: 4, failed: [] })
    expect((await from.append([run.goesOn(1, { lease })]))[0]).toMatchObject({ status: 'fenced', epoch: 2 })
    expect(await to.lease(partition)).toEqual({ ...partition, epoch: 2, owner: null, group: null })
    expect(await to.head(run.id)).toMatchObject({ seq: 3, lease: partition })
    expect((await collect(to.read(run.id))).map(({ epoch }) => epoch)).toEqual([1, 1, 1, 1])
  })

  test('mail that its receiver has taken is known in the target, also where its sender does not know so yet', async () => {
    const [from, to] = [memoryStore(), memoryStore()]
    const receiver = await new TestRun('sha1', { key: 'r' }).create(from)
    const sender = await new TestRun('sha1', { key: 's' }).create(from)
    const sent = { to: { namespace: 'tests', key: 'r' }, event: { type: 'E' } }
    await sender.goOn(from, [testUnit(1, { mail: [sent, sent] })], { beside: { mailing: [1] } })
    const mail: Mail = { receiver: receiver.id, sender: sender.id, seq: 1, index: 0, event: { type: 'E' } }
    await from.deliver([mail])
    receiver.revision++
    // Refused: taken without a unit, so that no history tells of it.
    await receiver.change(from, { taken: [{ sender: sender.id, seq: 1, index: 0 }] })
    await copyStore(from, to, { source: 'quiet' })
    expect(await to.deliver([mail, { ...mail, index: 1 }, { ...mail, index: 2 }])).toEqual([
      'duplicate',
      'duplicate',
      'taken',
    ])
    expect((await to.head(receiver.id))?.beside.inbox.map(({ index }) => index)).toEqual([1, 2])
  })

  test('brings every machine that a run was of, so that the copy can be copied', async () => {
    const [from, to, further] = [memoryStore(), memoryStore(), memoryStore()]
    const run = await new TestRun('sha1', { key: 'a' }).create(from, {}, 2)
    const machines = ['2', '3'].map(version => testMachine('sha1', version))
    for (const machine of machines) {
      await run.goOn(from, [testUnit(run.seq + 1, { machine: machine.oid, origin: { kind: 'migration', from: '' } })], {
        machine,
      })
      await run.goOn(from, 2)
    }
    const sunk = memoryStore()
    await from.read(run.id).pipeTo(unitSink(sunk, run.id, { machine: oid => from.machine(oid) }))
    expect((await copyStore(from, to)).failed).toEqual([])
    expect((await copyStore(to, further)).failed).toEqual([])
    for (const store of [sunk, to, further]) {
      for (const { oid } of [run.machine, ...machines]) expect((await store.machine(oid))?.oid).toBe(oid)
      expect((await collect(store.read(run.id))).map(({ id }) => id)).toEqual(run.history().map(({ id }) => id))
    }
  })

  test('reports a run that the target has another history of, or that somebody runs there, and copies the others', async () => {
    const [from, to] = [memoryStore(), memoryStore()]
    const other = await new TestRun('sha1', { key: 'a' }).create(from, {}, 2)
    const twin = await new TestRun('sha1', { key: 'a' }).create(to)
    await twin.goOn(to, [testUnit(1, { events: [{ type: 'OTHER' }] })])
    const lease = await from.claim({ ...partition, owner: 'p', group: 'g' })
    const owned = await new TestRun('sha1', { key: 'b' }).create(from, { lease })
    await to.claim({ ...partition, owner: 'q', group: 'g' })
    const rival = await new TestRun('sha1', { key: 'c', input: 1 }).create(from)
    await new TestRun('sha1', { key: 'c', input: 2 }).create(to)
    const fine = await new TestRun('sha1', { key: 'd' }).create(from, {}, 1000)
    const { failed, units, runs, unchanged } = await copyStore(from, to)
    expect([units, runs, unchanged]).toEqual([1001, 4, 0])
    expect((await collect(to.read(fine.id))).length).toBe(1001)
    expect(Object.fromEntries(failed.map(({ run, error }) => [run, error.code]))).toEqual({
      [other.id]: 'IMPORT_DIFFERS',
      [owned.id]: 'LEASE_HELD',
      [rival.id]: 'IMPORT_DIFFERS',
    })
  })

  test('a fork is copied with what it begins with, however deep, and reported where the target has not got that', async () => {
    const [from, to, other] = [memoryStore(), memoryStore(), memoryStore()]
    const base = await new TestRun('sha1', { key: 'a' }).create(from, {}, 5)
    const forks = [base]
    for (const key of ['b', 'c', 'd', 'e']) {
      const fork = { of: forks.at(-1)!, at: 3 + forks.length }
      forks.push(await new TestRun('sha1', { key, fork }).create(from, {}, 3))
    }
    const early = await new TestRun('sha1', { key: 'f', fork: { of: base, at: 1 } }).create(from)
    const fine = await new TestRun('sha1', { key: 'g' }).create(from)
    expect(await copyStore(from, to)).toMatchObject({ runs: 7, failed: [] })
    for (const fork of [...forks, early]) await showsHistory(to, fork)
    // Here the run that they begin with is another one from unit 2 on, and shorter.
    const twin = await new TestRun('sha1', { key: 'a' }).create(other, {}, 1)
    await twin.goOn(other, [testUnit(2, { events: [{ type: 'OTHER' }] })])
    const { failed, runs } = await copyStore(from, other)
    expect(runs).toBe(7)
    expect(new Set(failed.map(({ run }) => run))).toEqual(new Set(forks.map(({ id }) => id)))
    expect(failed.every(({ error }) => error.code === 'IMPORT_DIFFERS')).toBe(true)
    await showsHistory(other, early)
    await showsHistory(other, fine)
  })

  test('is refused between stores whose ids are made by different hashes', async () => {
    const copy = copyStore(memoryStore(), memoryStore({ objectFormat: 'sha256' }))
    await expect(copy).rejects.toMatchObject({ code: 'OBJECT_FORMAT_MISMATCH', details: { objectFormat: 'sha1' } })
  })

  test('stops between two runs where it is aborted, and tells how far it is', async () => {
    const [from, to] = [memoryStore(), memoryStore()]
    for (const key of 'abc') await new TestRun('sha1', { key }).create(from)
    const aborting = new AbortController()
    const seen: number[] = []
    await copyStore(from, to, { signal: aborting.signal, onProgress: ({ runs }) => seen.push(runs) })
    expect(seen).toEqual([1, 2, 3])
    aborting.abort()
    await expect(copyStore(from, to, { signal: aborting.signal })).rejects.toMatchObject({ code: 'ABORTED' })
  })
})
