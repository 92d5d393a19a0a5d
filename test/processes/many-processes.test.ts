import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { type Store, verifyRun, watchRun } from 'xmachines'
import { postgresStore } from 'xmachines/persistence/postgres'
import { valkeyStore } from 'xmachines/persistence/valkey'
import { collect } from '../../src/testing/store-conformance/test-run.ts'
import { nodeScript } from '../node-script.ts'
import { hasPostgres, PostgresServer } from '../servers/postgres.ts'
import { hasValkey, ValkeyServer } from '../servers/valkey.ts'
import { tally } from './tally.ts'
import type { Order } from './writer.ts'

vi.setConfig({ testTimeout: 120_000, hookTimeout: 60_000 })

const script = nodeScript(new URL('./writer.ts', import.meta.url))

interface Receipt {
  readonly run: string
  readonly ok: boolean
  readonly seq: number
  readonly count: readonly number[]
}

async function write(order: Order): Promise<Receipt[]> {
  const { stdout } = await promisify(execFile)(process.execPath, [script, JSON.stringify(order)], {
    maxBuffer: 1 << 26,
  })
  return JSON.parse(stdout) as Receipt[]
}

const processes = 8

/** Without a lease, appends are conditional: whoever loses takes the others' units over and decides again. */
async function contend(store: Store, order: Omit<Order, 'name'>): Promise<void> {
  const names = Array.from({ length: processes }, (_, index) => `p${index}`)
  const receipts = await Promise.all(names.map(name => write({ ...order, name })))
  const heads = await collect(store.list())
  expect(heads).toHaveLength(order.runs)
  for (const head of heads) {
    const units = (await collect(watchUntil(store, head.run, head.seq))).slice(1)
    // Each event once, each process's in its order.
    expect(units).toHaveLength(processes * order.events)
    for (const name of names) {
      const own = units.filter(({ events }) => events[0]!.by === name)
      expect(own.map(({ requestId }) => requestId)).toEqual(
        Array.from({ length: order.events }, (_, index) => `${name}-${index}`),
      )
      // Each receipt is of the unit that was recorded, and shows what that unit made.
      const mine = receipts[names.indexOf(name)]!.filter(({ run }) => run === head.run)
      expect(mine).toEqual(own.map(({ seq }) => ({ run: head.run, ok: true, seq, count: [seq] })))
    }
    expect(units.map(({ outputs }) => outputs[0]!.count)).toEqual(units.map(({ seq }) => seq))
    expect(await verifyRun(store, tally, head)).toEqual({ run: head.run, units: head.seq })
  }
}

/** The units up to one, read as another process would follow them. */
function watchUntil(store: Store, run: string, last: number) {
  return watchRun(store, run).pipeThrough(
    new TransformStream({
      transform(unit, controller) {
        controller.enqueue(unit)
        if (unit.seq === last) controller.terminate()
      },
    }),
  )
}

describe.skipIf(!hasPostgres())('processes that share a PostgreSQL store', () => {
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

  test.each([
    [1, 25],
    [100, 2],
  ])('eight of them, %i runs, %i events of each to each', async (runs, events) => {
    const place = `runs${runs}`
    const store = postgresStore({ pool, schema: place })
    await contend(store, { kind: 'postgres', url: server.url(), place, runs, events })
    await store.close()
  })
})

describe.skipIf(!hasValkey())('processes that share a Valkey store', () => {
  let server: ValkeyServer
  beforeAll(async () => {
    server = await ValkeyServer.start()
  })
  afterAll(() => server.stop())

  test.each([
    [1, 25],
    [100, 2],
  ])('eight of them, %i runs, %i events of each to each', async (runs, events) => {
    const place = `runs${runs}`
    const store = valkeyStore({ url: server.url, prefix: place })
    await contend(store, { kind: 'valkey', url: server.url, place, runs, events })
    await store.close()
  })
})
