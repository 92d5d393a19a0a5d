import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { postgresStore } from 'xmachines/persistence/postgres'
import { randomOf } from '../../src/testing/simulation/random.ts'
import { collect, TestRun } from '../../src/testing/store-conformance/test-run.ts'
import { wrongTables } from '../persistence/postgres/checker.ts'
import { Ledger, Writer } from '../persistence/postgres/writers.ts'
import { hasPostgres, PostgresServer } from '../servers/postgres.ts'

const seed = Number(process.env.FC_SEED ?? Date.now() % 2_147_483_647)
/** XM_LONG=1: many more. */
const crashes = process.env.XM_LONG === '1' ? 40 : 5

describe.runIf(hasPostgres())('a PostgreSQL server that is killed, or shut down at once, and started again', () => {
  let server: PostgresServer
  beforeAll(async () => {
    server = await PostgresServer.start()
  })
  afterAll(() => server.stop())

  test('under load: nothing that was acknowledged is lost, nothing is there twice', async () => {
    console.log(`FC_SEED=${seed}`)
    const random = randomOf(seed, 99)
    const schema = 'killed'
    const pools = [0, 1, 2].map(() => new pg.Pool({ connectionString: server.url(), max: 3 }))
    const stores = pools.map(pool => postgresStore({ pool, schema, patience: 30_000 }))
    const runs = Array.from({ length: 100 }, (_, n) => new TestRun('sha1', { key: `${n}` }))
    const ledger = new Ledger()
    let isOver = false
    const writing = stores.map(async (store, n) => {
      const writer = new Writer(`writer ${n}`, store, runs, ledger, randomOf(seed, n))
      while (!isOver) await Promise.all([writer.step(), writer.step()])
    })
    const crashing = async (): Promise<void> => {
      for (let crash = 1; crash <= crashes; crash++) {
        const before = ledger.outcomes.appended ?? 0
        const goal = before + 50 + random.below(200)
        while ((ledger.outcomes.appended ?? 0) < goal) await new Promise(resolve => setTimeout(resolve, 1))
        await (crash % 2 === 0 ? server.shutDownImmediately() : server.kill())
        await server.up()
      }
    }
    await crashing().finally(() => {
      isOver = true
    })
    await Promise.all(writing)
    const wrong = await wrongTables(server, schema, ledger)
    const acknowledged = [...ledger.acknowledged.values()].reduce((sum, units) => sum + units.size, 0)
    console.log(
      `${crashes} crashes, ${acknowledged} units acknowledged, ${JSON.stringify(ledger.outcomes)}, ${wrong.length} wrong`,
    )
    expect(wrong).toEqual([])
    expect(ledger.outcomes.appended).toBeGreaterThan(50 * crashes)
    // Every history is whole to whoever reads it, with its ids.
    const reader = stores[0]!
    for (const head of await collect(reader.list())) {
      const units = await collect(reader.read(head.run))
      expect([units.length, units[0]?.id]).toEqual([head.seq + 1, head.run])
    }
    await Promise.all([...stores.map(store => store.close()), ...pools.map(pool => pool.end())])
  }, 600_000)
})
