import pg from 'pg'
import { openRun, type Store } from 'xmachines'
import { postgresStore } from 'xmachines/persistence/postgres'
import { TestRun } from '../src/testing/store-conformance/test-run.ts'
import { PostgresServer } from '../test/servers/postgres.ts'
import { type Comparison, compare, type Side } from './compare.ts'
import { emmettAppends } from './emmett.ts'
import { order, orderEvents } from './machines.ts'
import { overlapping } from './overlapping.ts'

const events = orderEvents(20_000)
const runCount = 1000
/** It is slow. */
const emmettUnits = 1000

const outside = { kind: 'outside' } as const
/** As long as a state's hash is. */
const state = '1:'.padEnd(24, 'x')

/** The columns of a row of the units' table. */
type Row = readonly [run: string, seq: number, at: number, events: string, rest: string]

/** PostgreSQL: one run awaited against a bare prepared INSERT, many runs overlapped against a bare INSERT of many rows. */
export async function postgres(): Promise<Comparison[]> {
  const server = await PostgresServer.start()
  const pool = new pg.Pool({ connectionString: server.url() })
  const rows = await sampleRows(pool)
  let schemas = 0
  let store: Store
  const open = (): Store => postgresStore({ pool, schema: `round_${schemas++}` })
  // In the first thousands it is the compiler that is measured.
  const awaitedUnits = 4000
  try {
    let run: Awaited<ReturnType<typeof openRun<typeof order>>>
    const awaiting: Side = {
      name: 'await run.apply',
      async prepare() {
        store = open()
        run = await openRun(order, { store, key: 'o' })
      },
      async run() {
        for (let i = 0; i < awaitedUnits; i++) await run.apply(events[i]!)
        return awaitedUnits
      },
      after: () => store.close(),
    }
    const awaited = await compare(
      'postgres: one run, awaited',
      0.8,
      bareInsert(pool, rows, awaitedUnits, 1),
      awaiting,
      5,
    )
    const manyRuns = overlapping(events, open)
    const overlapped = await compare(
      'postgres: 1,000 runs, overlapped',
      0.5,
      bareInsert(pool, rows, events.length, runCount),
      manyRuns,
      5,
    )
    let written: TestRun[] = []
    const appended = await compare(
      'postgres: append, 1,000 runs',
      0.5,
      bareInsert(pool, rows, events.length, runCount),
      {
        name: 'store.append of 1,000 items',
        async prepare() {
          store = open()
          written = Array.from({ length: runCount }, (_, i) => new TestRun('sha1', { key: `o-${i}` }))
          const outcomes = await store.append(written.map(run => run.creates()))
          for (const [i, run] of written.entries()) run.follow(run.creates(), outcomes[i])
        },
        async run() {
          for (let next = 0; next < events.length; next += runCount) {
            const items = written.map(({ id, seq, revision }, i) => {
              const unit = { seq: seq + 1, at: next, events: [events[next + i]!], origin: outside, outputs: [], state }
              return { run: id, expected: { seq, revision }, units: [unit] }
            })
            for (const [i, outcome] of (await store.append(items)).entries()) {
              if (outcome.status !== 'appended') throw new Error(outcome.status)
              written[i]!.seq = outcome.seq
              written[i]!.revision = outcome.revision
            }
          }
          return events.length
        },
        after: () => store.close(),
      },
    )
    const few = events.slice(0, emmettUnits)
    const bare = bareInsert(pool, rows, emmettUnits, 1)
    const toEmmett = [
      await compare('postgres: awaited, Emmett', 5, emmettAppends(server.url(), few, 1), awaiting, 3),
      // What can be reached at all by whoever waits for one commit after the other.
      await compare('postgres: awaited, a bare INSERT and Emmett', null, emmettAppends(server.url(), few, 1), bare, 3),
      await compare('postgres: overlapped, Emmett', 5, emmettAppends(server.url(), few, runCount), manyRuns, 3),
    ]
    return [awaited, overlapped, appended, ...toEmmett]
  } finally {
    await pool.end()
    await server.stop()
  }
}

/** The rows that runs write for the same events. */
async function sampleRows(pool: pg.Pool): Promise<readonly Row[]> {
  const store = postgresStore({ pool, schema: 'sample' })
  const run = await openRun(order, { store, key: 'o' })
  await Promise.all(events.slice(0, 1000).map(event => run.apply(event)))
  await store.close()
  const { rows } = await pool.query({
    text: 'select run, seq::int, at, events, rest from sample.units where seq > 0 order by seq',
    rowMode: 'array',
  })
  return rows as unknown as Row[]
}

/** INSERTs of so many rows each, into a table like that of the units. */
function bareInsert(pool: pg.Pool, rows: readonly Row[], count: number, atOnce: number): Side {
  const places = Array.from(
    { length: atOnce },
    (_, row) => `($${row * 5 + 1}, $${row * 5 + 2}, $${row * 5 + 3}, $${row * 5 + 4}, $${row * 5 + 5})`,
  )
  const text = `insert into bare (run, seq, at, events, rest) values ${places.join(', ')}`
  let client: pg.PoolClient
  return {
    name: atOnce === 1 ? 'prepared INSERT' : `INSERT of ${atOnce} rows`,
    async prepare() {
      client = await pool.connect()
      await client.query(`drop table if exists bare; create table bare (run text collate "C" not null, seq bigint not null,
        at double precision not null, events text not null, rest text not null, primary key (run, seq))`)
    },
    async run() {
      for (let done = 0; done < count; done += atOnce) {
        const values: (string | number)[] = []
        for (let i = 0; i < atOnce; i++) {
          const [run, , at, events, rest] = rows[(done + i) % rows.length]!
          // As many runs as there are rows at once, each with its next unit.
          values.push(`${String(i).padStart(8, '0')}${run.slice(8)}`, done / atOnce, at, events, rest)
        }
        await client.query({ name: `bare ${atOnce}`, text, values })
      }
      return count
    },
    after: () => client.release(),
  }
}
