import { Redis } from 'iovalkey'
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { copyStore, type Store } from 'xmachines'
import { memoryStore } from 'xmachines/persistence/memory'
import { postgresStore } from 'xmachines/persistence/postgres'
import { valkeyStore } from 'xmachines/persistence/valkey'
import { exportLines } from '../../../src/cli/export.ts'
import { collect, showsHistory, TestRun } from '../../../src/testing/store-conformance/test-run.ts'
import { describeOnServers } from '../../servers/describe.ts'
import { sharedServer, unique } from '../../servers/shared.ts'

/** A store of one kind, and what somebody does to it behind its back. */
interface Place {
  readonly store: Store
  /** Takes away unit 1 of a run. */
  remove(run: string): Promise<unknown>
  /** Leaves half of the text of unit 1 of a run. @param part of it */
  halve(run: string, part: 'events' | 'rest'): Promise<unknown>
  /** Leaves half of what is kept beside a run. */
  halveRow(run: string): Promise<unknown>
  /** Leaves half of what is kept of a machine. */
  halveMachine(oid: string): Promise<unknown>
  /** Leaves half of the snapshots of a run. */
  halveSnapshots(run: string): Promise<unknown>
  /** Takes away a part of what is kept of where a run stands. A table cannot be without. */
  dropName?(run: string): Promise<unknown>
  end(): Promise<unknown>
}

async function onPostgres(): Promise<Place> {
  const schema = unique('damaged')
  const pool = new pg.Pool({ connectionString: await sharedServer('postgres') })
  const unit = 'run = $1 and seq = 1'
  return {
    store: postgresStore({ pool, schema, durability: 'relaxed' }),
    remove: run => pool.query(`delete from ${schema}.units where ${unit}`, [run]),
    halve: (run, part) => pool.query(`update ${schema}.units set ${part} = ',"a"' where ${unit}`, [run]),
    halveRow: run => pool.query(`update ${schema}.runs set beside = '{"a"' where run = $1`, [run]),
    halveMachine: oid => pool.query(`update ${schema}.machines set definition = '{"a"' where oid = $1`, [oid]),
    halveSnapshots: run => pool.query(`update ${schema}.snapshots set state = '{"a"' where run = $1`, [run]),
    end: () => pool.end(),
  }
}

async function onValkey(): Promise<Place> {
  const [url, prefix] = [await sharedServer('valkey'), unique('damaged')]
  const client = new Redis(url)
  const units = (run: string): string => `{${prefix}}:units:${run}`
  return {
    store: valkeyStore({ url, prefix, durability: 'everysec' }),
    remove: run => client.xdel(units(run), '2-0'),
    async halve(run, part) {
      // An entry stays as it is, so the run has others from there on.
      await client.xtrim(units(run), 'MAXLEN', 0)
      await client.del(units(run))
      const text = part === 'events' ? '1\n,"a"\n' : '1\n[{"type":"E"}]\n,"a"'
      await client.xadd(units(run), '2-0', 'unit', text)
    },
    async halveRow(run) {
      const key = `{${prefix}}:run:${run}`
      const row = (await client.hget(key, 'row'))!
      await client.hset(key, 'row', row.replace(/\n[^\n]*$/, '\n{"a"'))
    },
    halveMachine: oid => client.hset(`{${prefix}}:machines`, oid, '{"a"'),
    halveSnapshots: run => client.hset(`{${prefix}}:snapshots:${run}`, '2', '{"a"'),
    dropName: run => client.hdel(`{${prefix}}:run:${run}`, 'name'),
    end: async () => client.disconnect(),
  }
}

describeOnServers('a damaged run on $server', { postgres: onPostgres, valkey: onValkey }, open => {
  let place: Place
  beforeAll(async () => {
    place = await open()
  })
  afterAll(async () => {
    await place.store.close()
    await place.end()
  })

  test('is told by its unit, and a copy and an export take the others', async () => {
    const { store } = place
    const runs: TestRun[] = []
    for (let n = 0; n < 5; n++) runs.push(await new TestRun('sha1').create(store, {}, 2))
    runs.sort((a, b) => (a.id < b.id ? -1 : 1))
    const [whole, removed, events, rest, last] = runs as [TestRun, TestRun, TestRun, TestRun, TestRun]
    await place.remove(removed.id)
    await place.halve(events.id, 'events')
    await place.halve(rest.id, 'rest')
    const damaged = { code: 'RUN_DAMAGED', details: { seq: 1 } }
    await expect(collect(store.read(removed.id))).rejects.toMatchObject(damaged)
    await expect(collect(store.read(events.id, { from: 1, ids: false }))).rejects.toMatchObject(damaged)
    const [unit] = await collect(store.read(rest.id, { from: 1, to: 1, ids: false }))
    await expect(Promise.resolve().then(() => unit!.trace)).rejects.toMatchObject(damaged)
    const target = memoryStore()
    const report = await copyStore(store, target, { source: 'quiet' })
    expect(report.failed.map(({ run, error }) => [run, error.code])).toEqual(
      [removed, events, rest].map(({ id }) => [id, 'RUN_DAMAGED']),
    )
    expect(report.runs).toBe(5)
    for (const run of [whole, last]) await showsHistory(target, run)
    const told: string[] = []
    const ended: string[] = []
    const lines = exportLines(store, new AbortController().signal, undefined, ({ error }) => told.push(error.code))
    for await (const line of lines) if ('beside' in line) ended.push(line.run)
    expect([told, ended]).toEqual([Array(3).fill('RUN_DAMAGED'), [whole.id, last.id]])
    // Nor does one of which nothing can be read hide the others.
    await place.halveRow(last.id)
    await expect(store.head(last.id)).rejects.toMatchObject({ code: 'RUN_DAMAGED', details: { run: last.id } })
    await expect(collect(store.list())).rejects.toMatchObject({ code: 'RUN_DAMAGED' })
    const damagedRuns: string[] = []
    const listed = await collect(store.list({ damaged: ({ run, namespace }) => damagedRuns.push(run, namespace!) }))
    expect(listed.map(({ run }) => run)).toEqual(runs.slice(0, 4).map(({ id }) => id))
    expect(damagedRuns).toEqual([last.id, listed[0]!.namespace])
    const again = await copyStore(store, memoryStore(), { source: 'quiet' })
    expect([again.runs, again.failed.map(({ run }) => run)]).toEqual([
      5,
      [last, removed, events, rest].map(({ id }) => id),
    ])
    if (place.dropName === undefined) return
    await place.dropName(rest.id)
    const nameless = { code: 'RUN_DAMAGED', details: { run: rest.id } }
    await expect(store.head(rest.id)).rejects.toMatchObject(nameless)
    await expect(collect(store.read(rest.id))).rejects.toMatchObject(nameless)
    damagedRuns.length = 0
    await collect(store.list({ damaged: ({ run }) => damagedRuns.push(run) }))
    expect(damagedRuns).toEqual([rest.id, last.id])
    // Nor does it hold mail to others up.
    const mail = [rest, whole].map(({ id }) => ({
      receiver: id,
      sender: last.id,
      seq: 1,
      index: 0,
      event: { type: 'E' },
    }))
    expect(await store.deliver(mail)).toEqual(['taken', 'taken'])
  })

  test('of a machine is told as such, and of a snapshot is none', async () => {
    const { store } = place
    const run = await new TestRun('sha1').create(store, {}, 2)
    const snapshot = { seq: 2, machine: run.machine.oid, format: 1, state: { a: 1 } }
    await store.saveSnapshot(run.id, snapshot)
    expect(await store.loadSnapshot(run.id)).toMatchObject(snapshot)
    await place.halveSnapshots(run.id)
    expect(await store.loadSnapshot(run.id)).toBeUndefined()
    await place.halveMachine(run.machine.oid)
    const damaged = { code: 'STORE_DAMAGED', details: { machine: run.machine.oid } }
    await expect(store.machine(run.machine.oid)).rejects.toMatchObject(damaged)
  })
})
