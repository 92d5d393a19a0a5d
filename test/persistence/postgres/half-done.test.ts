import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type PostgresPool, postgresStore } from '../../../src/persistence/postgres/index.ts'
import { TestRun } from '../../../src/testing/store-conformance/test-run.ts'
import { hasPostgres, PostgresServer } from '../../servers/postgres.ts'

/** What a server says whose process was ended. */
const ended = Object.assign(new Error('terminating connection'), { code: '57P01', severity: 'FATAL' })

/** A pool whose connection breaks at one statement, once. */
function breaking(pool: pg.Pool, at: RegExp, first: () => Promise<void>): PostgresPool {
  let isOver = false
  return {
    on: (name: 'error', listener: () => void) => pool.on(name, listener),
    off: (name: 'error', listener: () => void) => pool.off(name, listener),
    async connect() {
      const client = await pool.connect()
      const query = client.query.bind(client) as (query: pg.QueryConfig) => Promise<unknown>
      client.query = (async (asked: pg.QueryConfig) => {
        if (isOver || !at.test(asked.text)) return query(asked)
        isOver = true
        await first()
        throw ended
      }) as typeof client.query
      return client
    },
  } as unknown as PostgresPool
}

describe.skipIf(!hasPostgres())('an append of which a part is done when the connection breaks', () => {
  let server: PostgresServer
  let pool: pg.Pool
  beforeAll(async () => {
    server = await PostgresServer.start()
    pool = new pg.Pool({ connectionString: server.url() })
  })
  afterAll(async () => {
    await pool.end()
    await server.stop()
  })

  /** One run is appended to, another one is refused, and what is asked about the refusal is not answered. */
  async function halfDone(schema: string, meanwhile: (other: TestRun) => Promise<void>) {
    const setUp = postgresStore({ pool, schema })
    const [won, lost] = [await new TestRun('sha1').create(setUp), await new TestRun('sha1').create(setUp, {}, 1)]
    await setUp.close()
    const store = postgresStore({ pool: breaking(pool, /as q\(run, pin/, () => meanwhile(won)), schema })
    const stale = { ...lost.goesOn(), expected: { seq: lost.seq, revision: lost.revision + 1 } }
    return { store, outcomes: store.append([won.goesOn(), stale]), won }
  }

  test('is answered as written, where nobody went on since', async () => {
    const { store, outcomes } = await halfDone('alone', async () => {})
    expect(await outcomes).toMatchObject([{ status: 'appended', seq: 1 }, { status: 'conflict' }])
    await store.close()
  })

  test('is of unknown outcome, where somebody did: never a conflict of what is there', async () => {
    const other = postgresStore({ pool, schema: 'other' })
    const { store, outcomes, won } = await halfDone('other', async run => {
      const head = (await other.head(run.id))!
      expect(head.seq).toBe(1)
      run.seq = head.seq
      run.revision = head.revision
      await run.goOn(other)
    })
    await expect(outcomes).rejects.toMatchObject({ code: 'STORE_OUTCOME_UNKNOWN', details: { run: won.id } })
    await store.close()
    await other.close()
  })
})
