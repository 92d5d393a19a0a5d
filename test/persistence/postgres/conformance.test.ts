import pg from 'pg'
import { afterAll, beforeAll, describe, test } from 'vitest'
import { storeConformance } from '../../../src/testing/store-conformance.ts'
import { PostgresServer, postgresServers } from '../../servers/postgres.ts'
import { postgresPlace } from './place.ts'

describe.each(postgresServers())('postgresStore on $name', ({ bin }) => {
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
