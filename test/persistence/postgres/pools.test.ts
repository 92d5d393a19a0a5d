import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type PostgresClient, type PostgresPool, postgresStore } from '../../../src/persistence/postgres/index.ts'
import { showsHistory, TestRun } from '../../../src/testing/store-conformance/test-run.ts'
import { hasPostgres, PostgresServer } from '../../servers/postgres.ts'

describe.runIf(hasPostgres())('the connections of a postgresStore', () => {
  let server: PostgresServer
  beforeAll(async () => {
    server = await PostgresServer.start()
  })
  afterAll(() => server.stop())

  test('a pool that was handed in is its owner’s, also after the close', async () => {
    const pool = new pg.Pool({ connectionString: server.url() })
    const store = postgresStore({ pool, schema: 'handed_in' })
    await new TestRun('sha1').create(store)
    // One listener for the stores of all tenants: Node warns of a leak where there are more than ten.
    const other = postgresStore({ pool, schema: 'of_another_tenant' })
    expect(pool.listenerCount('error')).toBe(1)
    await other.close()
    expect(pool.listenerCount('error')).toBe(1)
    await store.close()
    expect((await pool.query('select 1 as one')).rows).toEqual([{ one: 1 }])
    expect([pool.listenerCount('error'), pool.ended]).toEqual([0, false])
    await pool.end()
  })

  test('a pool of its own is ended by the close', async () => {
    const connectionString = `${server.url()}?application_name=own_pool`
    const store = postgresStore({ connectionString, schema: 'own' })
    await new TestRun('sha1').create(store)
    const count = `select count(*)::int from pg_stat_activity where application_name = 'own_pool'`
    expect((await server.query(count))[0]?.count).toBeGreaterThan(0)
    await store.close()
    // The server's processes end after their connections.
    while ((await server.query(count))[0]?.count !== 0);
  })

  test('idle connections that the server cuts do not end the process, and are replaced', async () => {
    const pool = new pg.Pool({ connectionString: server.url() })
    const store = postgresStore({ pool, schema: 'idle' })
    const run = await new TestRun('sha1').create(store)
    const removed = new Promise(resolve => pool.once('remove', resolve))
    await server.query(`select pg_terminate_backend(pid) from pg_stat_activity
      where pid <> pg_backend_pid() and backend_type = 'client backend'`)
    await removed
    await run.goOn(store)
    await showsHistory(store, run)
    await store.close()
    await pool.end()
  })

  test('type parsers of the application do not matter', async () => {
    const types = { getTypeParser: () => () => 'parsed by the application' }
    const pool = new pg.Pool({ connectionString: server.url(), types: types as never })
    const store = postgresStore({ pool, schema: 'parsed' })
    const run = await new TestRun('sha1', { key: 'a' }).create(store, { due: 5 }, 3)
    await showsHistory(store, run)
    await store.close()
    await pool.end()
  })

  test('a pool that asks for rows in binary is refused', async () => {
    const pool = new pg.Pool({ connectionString: server.url(), binary: true } as pg.PoolConfig)
    const store = postgresStore({ pool, schema: 'binary' })
    await expect(new TestRun('sha1').create(store)).rejects.toMatchObject({
      code: 'STORE_UNSAFE',
      details: { setting: 'binary' },
    })
    await store.close()
    await pool.end()
  })

  test('a pooler that hands out another connection for each statement', async () => {
    const pool = new pg.Pool({ connectionString: server.url(), max: 2 })
    let refused = 0
    /** What was prepared on a connection is gone when it is taken again, as with a pooler in transaction mode. */
    const pooler: PostgresPool = {
      on: () => {},
      off: () => {},
      async connect(): Promise<PostgresClient> {
        const client = await pool.connect()
        await client.query('deallocate all')
        return {
          async query(query) {
            try {
              return await client.query(query)
            } catch (error) {
              if (error instanceof pg.DatabaseError && error.code === '26000') refused++
              throw error
            }
          },
          release: destroy => client.release(destroy),
          on: (event, listener) => client.on(event, listener),
          off: (event, listener) => client.off(event, listener),
        }
      },
    }
    const store = postgresStore({ pool: pooler, schema: 'pooled', patience: 0 })
    const run = await new TestRun('sha1', { key: 'a' }).create(store)
    for (let n = 0; n < 10; n++) await run.goOn(store)
    await showsHistory(store, run)
    expect(refused).toBe(1)
    await store.close()
    await pool.end()
  })

  test('of several processes that open an empty place at once, one makes the tables', async () => {
    const stores = Array.from({ length: 6 }, () =>
      postgresStore({ connectionString: server.url(), schema: 'at once', patience: 0 }),
    )
    await Promise.all(stores.map(store => store.renew('p', 1)))
    expect(await server.query('select version from "at once".store')).toEqual([{ version: 1 }])
    await Promise.all(stores.map(store => store.close()))
  })

  test.each(['repeatable read', 'serializable'])('and also where every transaction is %s', async level => {
    const name = level.replace(' ', '_')
    await server.query(`create database ${name}`)
    await server.query(`alter database ${name} set default_transaction_isolation = '${level}'`)
    await server.query('create schema made', [], name)
    const stores = Array.from({ length: 6 }, () =>
      postgresStore({ connectionString: server.url(name), schema: 'made', patience: 0 }),
    )
    await Promise.all(stores.map(store => store.renew('p', 1)))
    await Promise.all(stores.map(store => store.close()))
  })

  test('a transaction that somebody left open on a shared connection takes nothing of the store with it', async () => {
    const pool = new pg.Pool({ connectionString: server.url(), max: 1 })
    const store = postgresStore({ pool, schema: 'left_open', patience: 0 })
    const run = await new TestRun('sha1').create(store)
    for (const left of ['select 1', 'select 1 / 0']) {
      const client = await pool.connect()
      await client.query('begin')
      await client.query(left).catch(() => {})
      client.release()
      await run.goOn(store)
      await pool.query('rollback')
    }
    await showsHistory(store, run)
    await store.close()
    await pool.end()
  })

  test('a pool that its owner has ended is told of at once', async () => {
    const pool = new pg.Pool({ connectionString: server.url() })
    const store = postgresStore({ pool, schema: 'ended', patience: 60_000 })
    await store.renew('p', 1)
    await pool.end()
    await expect(store.renew('p', 2)).rejects.toMatchObject({ code: 'STORE_CLOSED', retryable: false })
    await store.close()
  })

  test('a server that is not there yet is waited for', async () => {
    const late = await PostgresServer.start()
    try {
      await late.kill()
      const store = postgresStore({ connectionString: late.url(), patience: 30_000 })
      const made = new TestRun('sha1').create(store)
      await late.up()
      await showsHistory(store, await made)
      await store.close()
    } finally {
      await late.stop()
    }
  })

  test('a server that stays away is told of, and nothing was written', async () => {
    const store = postgresStore({ connectionString: 'postgres://127.0.0.1:1/db', patience: 60 })
    await expect(new TestRun('sha1').create(store)).rejects.toMatchObject({
      code: 'STORE_UNAVAILABLE',
      retryable: true,
    })
    await store.close()
  })
})
