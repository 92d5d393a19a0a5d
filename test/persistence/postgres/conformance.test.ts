import pg from 'pg'
import { afterAll, beforeAll, test } from 'vitest'
import { storeConformance } from '../../../src/testing/store-conformance.ts'
import { describeOnEachPostgres } from '../../servers/describe.ts'
import { PostgresServer } from '../../servers/postgres.ts'
import { postgresPlace } from './place.ts'

describeOnEachPostgres('postgresStore', bin => {
  let server: PostgresServer
  let pool: pg.Pool
  beforeAll(async () => {
    // What survives a crash is tested elsewhere; here a disk that is waited for would only take time.
    server = await PostgresServer.start({ bin, settings: { fsync: 'off' } })
    pool = new pg.Pool({ connectionString: server.url() })
  })
  afterAll(async () => {
    await pool.end()
    await server.stop()
  })

  storeConformance(() => postgresPlace(pool, { durability: 'relaxed' }), test)
})
