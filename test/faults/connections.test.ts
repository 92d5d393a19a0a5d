import fc from 'fast-check'
import { Redis } from 'iovalkey'
import pg from 'pg'
import { expect, test } from 'vitest'
import type { Store } from 'xmachines'
import { postgresStore } from 'xmachines/persistence/postgres'
import { valkeyStore } from 'xmachines/persistence/valkey'
import { endings } from '../endings.ts'
import { describeOnServers } from '../servers/describe.ts'
import { FaultyProxy } from '../servers/faulty-proxy.ts'
import { PostgresServer } from '../servers/postgres.ts'
import { ValkeyServer } from '../servers/valkey.ts'
import { type KeptRun, runsInKeys, runsInTables } from './kept-runs.ts'
import { underLoad, wrongRuns } from './load.ts'

/** A server behind a proxy. */
interface Place {
  readonly proxy: FaultyProxy
  /** A store whose connections go through the proxy. */
  open(): Store
  /** What the server has, past the proxy and the store. */
  kept(): Promise<readonly KeptRun[]>
}

const ends = endings()

/** A connection that is silent for so long is given up by its client, ms. */
const silence = 300
const patience = 60_000

async function postgres(): Promise<Place> {
  const server = await PostgresServer.start()
  ends.push(() => server.stop())
  const proxy = await FaultyProxy.start(server.port)
  ends.push(() => proxy.stop())
  return {
    proxy,
    open() {
      const connectionString = `postgres://postgres@127.0.0.1:${proxy.port}/postgres`
      const limits = { max: 3, query_timeout: silence, connectionTimeoutMillis: silence }
      const pool = new pg.Pool({ connectionString, ...limits })
      ends.push(() => pool.end())
      return postgresStore({ pool, patience })
    },
    kept: () => runsInTables(server, 'xmachines'),
  }
}

async function valkey(): Promise<Place> {
  const server = await ValkeyServer.start()
  ends.push(() => server.stop())
  const proxy = await FaultyProxy.start(server.port)
  ends.push(() => proxy.stop())
  const admin = server.client()
  ends.push(() => admin.quit())
  return {
    proxy,
    open() {
      const limits = { socketTimeout: silence, connectTimeout: silence, maxRetriesPerRequest: 0 }
      const client = new Redis(proxy.port, '127.0.0.1', { ...limits, retryStrategy: () => 10 })
      client.on('error', () => {})
      ends.push(() => client.disconnect())
      return valkeyStore({ client, patience })
    },
    kept: () => runsInKeys(admin, 'xmachines'),
  }
}

const after = fc.integer({ min: 0, max: 20 })
const faults = fc.oneof(
  fc.record({ kind: fc.constant('lose an answer' as const), after }),
  fc.record({ kind: fc.constant('cut a request' as const), after }),
  fc.record({ kind: fc.constant('delay' as const), ms: fc.integer({ min: 1, max: 2 * silence }) }),
  fc.record({ kind: fc.constant('drop' as const) }),
  fc.record({ kind: fc.constant('refuse' as const), ms: fc.integer({ min: 1, max: silence }) }),
)
type Fault = typeof faults extends fc.Arbitrary<infer T> ? T : never

const pause = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms))

/** Resolves when it has happened. */
async function happen(proxy: FaultyProxy, fault: Fault): Promise<void> {
  if (fault.kind === 'lose an answer') await proxy.loseAnswer(fault)
  else if (fault.kind === 'cut a request') await proxy.cutRequest(fault.after)
  else if (fault.kind === 'drop') expect(proxy.forget()).toBeGreaterThan(0)
  else if (fault.kind === 'delay') {
    const held = proxy.hold()
    await pause(fault.ms)
    held.goOn()
  } else {
    proxy.close()
    await pause(fault.ms)
    proxy.open()
  }
}

/** XM_LONG=1: many more. */
const isLong = process.env.XM_LONG === '1'

describeOnServers('connections to $server that fail', { postgres, valkey }, start => {
  test('lost answers, torn requests, silence and delays: nothing acknowledged is lost, nothing is there twice', async () => {
    const place = await start()
    const stores = Array.from({ length: 3 }, () => place.open())
    const program = fc.array(faults, { minLength: isLong ? 100 : 8, maxLength: isLong ? 100 : 8 })
    const seed = Number(process.env.FC_SEED ?? Date.now() % 2_147_483_647)
    console.log(`FC_SEED=${seed}`)
    const [drawn] = fc.sample(program, { seed, numRuns: 1 }) as [Fault[]]
    // Each kind once at least.
    const all: Fault[] = [
      { kind: 'lose an answer', after: 3 },
      { kind: 'cut a request', after: 3 },
      { kind: 'drop' },
      ...drawn,
    ]
    const acknowledged = await underLoad(stores, all.length, round => happen(place.proxy, all[round]!), 50)
    console.log(`${all.length} faults, ${acknowledged.count} units acknowledged, ${acknowledged.lost} answers lost`)
    expect(wrongRuns(await place.kept(), acknowledged), JSON.stringify(all)).toEqual([])
    expect(acknowledged.count).toBeGreaterThan(50 * all.length)
    for (const store of stores) await store.close()
  }, 600_000)
})
