import pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import type { Store } from '../../../src/actors/contracts/store.ts'
import { type PostgresClient, type PostgresPool, postgresStore } from '../../../src/persistence/postgres/index.ts'
import { showsHistory, TestRun } from '../../../src/testing/store-conformance/test-run.ts'
import { describeUnless } from '../../describe-unless.ts'
import { missingPostgres, PostgresServer } from '../../servers/postgres.ts'

const partition = { namespace: 'tests', partition: 1 }
const rolledBack = { code: 'STORE_ROLLED_BACK' }

describeUnless(missingPostgres(), 'a PostgreSQL that forgot what it acknowledged', () => {
  const ends: (() => Promise<unknown>)[] = []
  afterEach(async () => {
    for (const end of ends.splice(0).reverse()) await end()
  })

  let server: PostgresServer
  beforeAll(async () => {
    server = await PostgresServer.start()
  })
  afterAll(() => server.stop())

  let schemas = 0
  beforeEach(() => {
    schemas++
  })

  function opened(pool?: PostgresPool): Store {
    const place = pool === undefined ? { connectionString: server.url() } : { pool }
    const store = postgresStore({ ...place, schema: `store ${schemas}` })
    ends.push(() => store.close())
    return store
  }

  async function copied(): Promise<void> {
    await server.kill()
    await server.copy()
    await server.up()
  }

  async function restored(): Promise<void> {
    await server.kill()
    await server.restore()
    await server.up()
  }

  test('does nothing more for a store that knows, and all for one that is made anew', async () => {
    const store = opened()
    const run = await new TestRun('sha1', { key: 'a' }).create(store)
    const other = await new TestRun('sha1', { key: 'b' }).create(store)
    await copied()
    // A server that was only started again has everything.
    await run.goOn(store)
    await restored()
    // Of a run that it has forgotten something of, and of any other: whatever was decided may rest on what is lost.
    for (const item of [other.goesOn(), new TestRun('sha1').creates(), run.goesOn()]) {
      const error = await store.append([item]).catch((error: unknown) => error)
      expect(error).toMatchObject(rolledBack)
      expect(String(error)).toContain(run.id)
    }
    await expect(store.claim({ ...partition, owner: 'p', group: 'g' })).rejects.toMatchObject(rolledBack)
    await expect(store.head(run.id)).rejects.toMatchObject(rolledBack)
    const anew = opened()
    expect(await anew.head(run.id)).toMatchObject({ seq: 0, revision: 1 })
    await other.goOn(anew)
    await showsHistory(anew, other)
  })

  test('is noticed also where others have written as much again, and more', async () => {
    const stores = [1, 2].map(() => opened())
    const runs = await Promise.all(stores.map(store => new TestRun('sha1').create(store)))
    await copied()
    for (const [at, run] of runs.entries()) await run.goOn(stores[at]!)
    await restored()
    const anew = opened()
    for (const [at, run] of runs.entries()) {
      const item = { ...run.goesOn(), expected: { seq: 0, revision: 1 } }
      const units = [{ ...item.units[0]!, seq: 1, at: item.units[0]!.at + 1, events: [{ type: 'ANOTHER' }] }]
      expect(await anew.append([{ ...item, units }])).toMatchObject([{ status: 'appended', seq: 1, revision: 2 }])
      if (at === 1) {
        const more = { ...run.goesOn(), expected: { seq: 1, revision: 2 } }
        expect(await anew.append([more])).toMatchObject([{ status: 'appended', seq: 2, revision: 3 }])
      }
      await expect(stores[at]!.append([run.goesOn()])).rejects.toMatchObject(rolledBack)
    }
  })

  test('cannot give an epoch twice without notice', async () => {
    const store = opened()
    await store.claim({ ...partition, owner: 'p', group: 'g' })
    await copied()
    expect(await store.claim({ ...partition, owner: 'p', group: 'g' })).toMatchObject({ epoch: 2 })
    await restored()
    const anew = opened()
    expect(await anew.claim({ ...partition, owner: 'q', group: 'g' })).toMatchObject({ epoch: 2 })
    await expect(store.lease(partition)).rejects.toMatchObject(rolledBack)
    // A lease that was given back is nobody's concern any more, and one that was taken over later neither.
    const later = opened()
    const held = await later.claim({ ...partition, partition: 2, owner: 'r', group: 'g' })
    await later.release(held)
    await later.claim({ ...partition, partition: 3, owner: 'r', group: 'g' })
    await anew.claim({ ...partition, partition: 3, owner: 'q', group: 'g' })
    await server.kill()
    await server.up()
    expect(await later.lease(partition)).toMatchObject({ owner: 'q' })
  })

  test('is noticed where it was mail that was lost', async () => {
    const store = opened()
    const run = await new TestRun('sha1').create(store)
    await copied()
    const sender = opened()
    const mail = { receiver: run.id, sender: 'another', seq: 0, index: 0, event: { type: 'E' } }
    expect(await sender.deliver([mail])).toEqual(['taken'])
    await restored()
    await expect(sender.deliver([{ ...mail, seq: 1 }])).rejects.toMatchObject(rolledBack)
  })

  test('is noticed where even the tables are gone', async () => {
    await copied()
    const store = opened()
    const run = await new TestRun('sha1').create(store)
    await restored()
    await expect(store.append([run.goesOn()])).rejects.toMatchObject(rolledBack)
  })

  test('is noticed behind a pooler that keeps the connections, where a run stands behind what was known of it', async () => {
    const pool = new pg.Pool({ connectionString: server.url() })
    pool.on('error', () => {})
    ends.push(() => pool.end())
    /** A connection that leads to whatever server there is. */
    const client: PostgresClient = {
      query: query => pool.query(query as pg.QueryConfig),
      release: () => {},
      on: () => {},
      off: () => {},
    }
    const pooler: PostgresPool = { connect: async () => client, on: () => {}, off: () => {} }
    const store = opened(pooler)
    const run = await new TestRun('sha1').create(store)
    const other = await new TestRun('sha1').create(store)
    await copied()
    await run.goOn(store)
    await restored()
    const refused = { ...rolledBack, details: { run: run.id } }
    await expect(store.append([run.goesOn()])).rejects.toMatchObject(refused)
    await other.goOn(store)
  })
})
