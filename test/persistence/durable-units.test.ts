import { describe, expect, test } from 'vitest'
import { durableUnits, type Store, type Unit, unitSink, watchRun } from 'xmachines'
import { memoryStore } from 'xmachines/persistence/memory'
import { faultyStore } from '../../src/testing/faulty-store.ts'
import { collect, shown, TestRun, testUnit } from '../../src/testing/store-conformance/test-run.ts'
import { StoreKinds } from '../servers/store-kinds.ts'

const kinds = new StoreKinds()

describe('durableUnits', () => {
  test('one behind the other: every unit that comes out is in every kind of store', async () => {
    const source = memoryStore()
    const run = await new TestRun('sha1', { key: 'a' }).create(source, {}, 700)
    const machine = (oid: string) => source.machine(oid)
    const stores = kinds.names.map(name => kinds.open(name))
    const last = memoryStore()
    const read = (): ReadableStream<Unit> =>
      stores.reduce(
        (units, store) => units.pipeThrough(durableUnits(store, run.id, { machine })),
        source.read(run.id) as ReadableStream<Unit>,
      )
    await read().pipeTo(unitSink(last, run.id, { machine }))
    // Again, and further: what is there is compared, and passes.
    await run.goOn(source, 5)
    expect((await collect(read())).map(shown)).toEqual(run.history())
    for (const store of [...stores, last]) {
      const { seq, beside } = (await store.head(run.id))!
      expect([seq, beside.held]).toEqual([store === last ? run.seq - 5 : run.seq, true])
    }
    for (const store of stores) {
      expect((await collect(store.read(run.id))).map(shown)).toEqual(run.history())
      await store.close()
    }
  })

  test('gives a unit once it is durable, and not before, also while the run goes on', async () => {
    const source = memoryStore()
    const run = await new TestRun('sha1').create(source)
    const target = faultyStore(memoryStore())
    const machine = (oid: string) => source.machine(oid)
    const reader = watchRun(source, run.id, { interval: 1 })
      .pipeThrough(durableUnits(target, run.id, { machine }))
      .getReader()
    expect((await reader.read()).value?.seq).toBe(0)
    const fault = target.faults.plan('append.delay')
    await run.goOn(source)
    await fault.met
    let given = false
    const next = reader.read().then(({ value }) => {
      given = true
      return value?.seq
    })
    expect([given, (await target.head(run.id))?.seq]).toEqual([false, 0])
    fault.release()
    expect(await next).toBe(1)
    expect((await target.head(run.id))?.seq).toBe(1)
    await reader.cancel()
  })

  test('errors on both sides with what the store says, and gives nothing that it has not got', async () => {
    const [source, target] = [memoryStore(), memoryStore()]
    const run = await new TestRun('sha1', { key: 'a' }).create(source, {}, 3)
    const twin = await new TestRun('sha1', { key: 'a' }).create(target as Store)
    await twin.goOn(target, [testUnit(1, { events: [{ type: 'OTHER' }] })])
    const { readable, writable } = durableUnits(target, run.id)
    const written = source.read(run.id).pipeTo(writable)
    await expect(collect(readable)).rejects.toMatchObject({ code: 'IMPORT_DIFFERS', details: { seq: 1 } })
    await expect(written).rejects.toMatchObject({ code: 'IMPORT_DIFFERS' })
    await twin.goOn(target, 2)
    const passed: Unit[] = []
    const longer = source
      .read(run.id)
      .pipeThrough(durableUnits(target, run.id))
      .pipeTo(new WritableStream({ write: unit => void passed.push(unit) }))
    await expect(longer).rejects.toMatchObject({ code: 'IMPORT_DIFFERS', details: { seq: 1 } })
    expect(passed.filter(({ seq }) => seq > 0)).toEqual([])
    const failing = faultyStore(memoryStore())
    failing.faults.plan('append.before')
    const machine = (oid: string) => source.machine(oid)
    const given: Unit[] = []
    const piped = source
      .read(run.id)
      .pipeThrough(durableUnits(failing, run.id, { machine }))
      .pipeTo(new WritableStream({ write: unit => void given.push(unit) }))
    await expect(piped).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    expect(given).toEqual([])
  })
})
