import fc from 'fast-check'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { postgresStore } from '../../../src/persistence/postgres/index.ts'
import { randomOf } from '../../../src/testing/simulation/random.ts'
import { TestRun } from '../../../src/testing/store-conformance/test-run.ts'
import { hasPostgres, PostgresServer } from '../../servers/postgres.ts'
import { wrongTables } from './checker.ts'
import { Ledger, Writer } from './writers.ts'

describe.runIf(hasPostgres())('several writers of the same runs', () => {
  let server: PostgresServer
  beforeAll(async () => {
    server = await PostgresServer.start()
  })
  afterAll(() => server.stop())

  let schemas = 0

  test('nothing is lost, nothing is there twice, and no deadlock happens', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 40 }), fc.integer(), async (count, seed) => {
        const schema = `writers ${schemas++}`
        const pools = [0, 1, 2].map(() => new pg.Pool({ connectionString: server.url() }))
        const stores = pools.map(pool => postgresStore({ pool, schema }))
        // Half of them by the same keys as others: only one of two can be.
        const runs = Array.from({ length: count }, (_, n) => new TestRun('sha1', { key: `${n >> 1}`, input: n & 1 }))
        const ledger = new Ledger()
        await Promise.all(
          stores.map(async (store, n) => {
            const writer = new Writer(`writer ${n}`, store, runs, ledger, randomOf(seed, n))
            for (let step = 0; step < 25; step++) await Promise.all([writer.step(), writer.step()])
          }),
        )
        expect(await wrongTables(server, schema, ledger)).toEqual([])
        expect(ledger.outcomes.appended).toBeGreaterThan(0)
        await Promise.all([...stores.map(store => store.close()), ...pools.map(pool => pool.end())])
      }),
      { numRuns: Number(process.env.FC_RUNS ?? 12), interruptAfterTimeLimit: 100_000 },
    )
    const [row] = await server.query('select sum(deadlocks)::int as deadlocks from pg_stat_database')
    expect(row?.deadlocks).toBe(0)
  }, 120_000)

  test.each(['repeatable read', 'serializable'])(
    'where transactions are %s by default, collisions are tried again',
    async isolation => {
      const schema = `isolated ${isolation}`
      const options = `-c default_transaction_isolation=${isolation.replace(' ', '\\ ')}`
      const pools = [0, 1, 2].map(() => new pg.Pool({ connectionString: server.url(), options }))
      const [shown] = (await pools[0]!.query('show transaction_isolation')).rows
      expect(shown).toEqual({ transaction_isolation: isolation })
      const stores = pools.map(pool => postgresStore({ pool, schema }))
      const runs = Array.from({ length: 10 }, (_, n) => new TestRun('sha1', { key: `${n}` }))
      const ledger = new Ledger()
      await Promise.all(
        stores.map(async (store, n) => {
          const writer = new Writer(`writer ${n}`, store, runs, ledger, randomOf(7, n))
          for (let step = 0; step < 25; step++) await writer.step()
        }),
      )
      expect(await wrongTables(server, schema, ledger)).toEqual([])
      expect(ledger.outcomes).toEqual({ appended: expect.any(Number), conflict: expect.any(Number) })
      await Promise.all([...stores.map(store => store.close()), ...pools.map(pool => pool.end())])
    },
  )

  test('connections that are cut in the middle of appends cost nothing but time', async () => {
    const schema = 'cut'
    const pools = [0, 1, 2].map(() => new pg.Pool({ connectionString: server.url(), max: 3 }))
    const stores = pools.map(pool => postgresStore({ pool, schema }))
    const runs = Array.from({ length: 60 }, (_, n) => new TestRun('sha1', { key: `${n}` }))
    const ledger = new Ledger()
    const seed = Number(process.env.FC_SEED ?? Date.now() % 2_147_483_647)
    console.log(`FC_SEED=${seed}`)
    let cut = 0
    let stopped = false
    const writing = stores.map(async (store, n) => {
      const writer = new Writer(`writer ${n}`, store, runs, ledger, randomOf(seed, n))
      while (!stopped) await Promise.all([writer.step(), writer.step()])
    })
    const cutting = async (): Promise<void> => {
      while (cut < 40) {
        // As often as they get on, so that there is something in the middle of which to cut.
        while ((ledger.outcomes.appended ?? 0) < cut * 10) await new Promise(resolve => setTimeout(resolve, 1))
        const gone = await server.query(
          `select pg_terminate_backend(pid) from pg_stat_activity
           where state = 'active' and query like '%' || $1 || '%' and pid <> pg_backend_pid() order by random() limit 1`,
          [`"${schema}".leases`],
        )
        cut += gone.length
      }
    }
    await cutting().finally(() => {
      stopped = true
    })
    await Promise.all(writing)
    console.log(`${cut} connections cut, ${JSON.stringify(ledger.outcomes)}`)
    expect(await wrongTables(server, schema, ledger)).toEqual([])
    expect(ledger.outcomes.appended).toBeGreaterThan(100)
    await Promise.all([...stores.map(store => store.close()), ...pools.map(pool => pool.end())])
  }, 120_000)
})
