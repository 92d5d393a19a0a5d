import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Store } from '../../../src/actors/contracts/store.ts'
import { postgresStore } from '../../../src/persistence/postgres/index.ts'
import { TestRun } from '../../../src/testing/store-conformance/test-run.ts'
import { describeOnEachPostgres } from '../../servers/describe.ts'
import { PostgresServer } from '../../servers/postgres.ts'

const one = { namespace: 'tests', partition: 1 }
const claims = `update leases set epoch = epoch + 1, owner = 'thief', "group" = 'g'`

describeOnEachPostgres('a claim and an append at the same time', bin => {
  let server: PostgresServer
  beforeAll(async () => {
    server = await PostgresServer.start({ bin })
  })
  afterAll(() => server.stop())

  let schemas = 0

  /** A store, and a connection that holds a transaction open as another process would. */
  async function scene(
    play: (scene: { store: Store; other: pg.Client; waiting(count: number): Promise<void> }) => Promise<void>,
  ): Promise<void> {
    const schema = `fence_${schemas++}`
    const pool = new pg.Pool({ connectionString: server.url(), application_name: schema })
    const store = postgresStore({ pool, schema })
    const other = new pg.Client({ connectionString: server.url(), options: `-c search_path=${schema}` })
    await other.connect()
    /** Resolves when so many of the store's statements wait for a lock. */
    const waiting = async (count: number): Promise<void> => {
      const asked = `select 1 from pg_stat_activity where application_name = $1 and wait_event_type = 'Lock'`
      while ((await server.query(asked, [schema])).length < count);
    }
    await play({ store, other, waiting })
    await store.close()
    await Promise.all([other.end(), pool.end()])
  }

  test('an append that meets a claim under way waits for it, and is fenced', () =>
    scene(async ({ store, other, waiting }) => {
      const lease = await store.claim({ ...one, owner: 'p', group: 'g' })
      const run = await new TestRun('sha1').create(store, { lease })
      await other.query(`begin; ${claims}`)
      const append = store.append([run.goesOn(1, { lease })])
      await waiting(1)
      await other.query('commit')
      expect(await append).toEqual([{ status: 'fenced', epoch: 2, owner: 'thief' }])
      expect((await store.head(run.id))?.seq).toBe(0)
    }))

  test('an append that meets a claim that is undone goes on', () =>
    scene(async ({ store, other, waiting }) => {
      const lease = await store.claim({ ...one, owner: 'p', group: 'g' })
      const run = await new TestRun('sha1').create(store, { lease })
      await other.query(`begin; ${claims}`)
      const append = store.append([run.goesOn(1, { lease })])
      await waiting(1)
      await other.query('rollback')
      expect(await append).toEqual([{ status: 'appended', seq: 1, revision: 2 }])
    }))

  test('a claim does not resolve before an append under way, and nothing is written after it', () =>
    scene(async ({ store, other, waiting }) => {
      const lease = await store.claim({ ...one, owner: 'p', group: 'g' })
      const run = await new TestRun('sha1').create(store, { lease })
      // The append has its share of the partition's row, and waits for its run.
      await other.query(`begin; select from runs for no key update`)
      let answered = 0
      const append = store.append([run.goesOn(1, { lease })]).finally(() => answered++)
      await waiting(1)
      const claim = store
        .claim({ ...one, owner: 'q', group: 'g' })
        .finally(() => answered++)
        // Two answers come over two connections, in any order: what counts is what is written once the claim is answered.
        .then(async ({ epoch }) => ({ epoch, seq: (await store.head(run.id))?.seq }))
      await waiting(2)
      expect(answered).toBe(0)
      await other.query('commit')
      expect(await claim).toEqual({ epoch: 2, seq: 1 })
      expect(await append).toEqual([{ status: 'appended', seq: 1, revision: 2 }])
    }))

  test('an unleased append that meets the claim of a released partition is fenced', () =>
    scene(async ({ store, other, waiting }) => {
      const lease = await store.claim({ ...one, owner: 'p', group: 'g' })
      const run = await new TestRun('sha1').create(store, { lease })
      await store.release(lease)
      await other.query(`begin; ${claims}`)
      const append = store.append([run.goesOn()])
      await waiting(1)
      await other.query('commit')
      expect(await append).toEqual([{ status: 'fenced', epoch: 2, owner: 'thief' }])
    }))

  test('a creation that meets a claim under way is fenced', () =>
    scene(async ({ store, other, waiting }) => {
      const lease = await store.claim({ ...one, owner: 'p', group: 'g' })
      await other.query(`begin; ${claims}`)
      const run = new TestRun('sha1')
      const append = store.append([run.creates({ lease })])
      await waiting(1)
      await other.query('commit')
      expect(await append).toEqual([{ status: 'fenced', epoch: 2, owner: 'thief' }])
      expect(await store.head(run.id)).toBeUndefined()
    }))

  test('an append that waits for another one of its run is refused when that one was written, and told where the run stands', () =>
    scene(async ({ store, other, waiting }) => {
      const run = await new TestRun('sha1').create(store)
      await other.query(`begin; update runs set seq = 4, revision = 5`)
      const append = store.append([run.goesOn()])
      await waiting(1)
      await other.query('commit')
      expect(await append).toEqual([{ status: 'conflict', seq: 4, revision: 5 }])
      const units = await server.query(`select seq from "fence_${schemas - 1}".units`)
      expect(units).toEqual([{ seq: '0' }])
    }))

  test('mail that waits for an append of its receiver finds the run as that one left it', () =>
    scene(async ({ store, other, waiting }) => {
      const [open, ends] = [await new TestRun('sha1').create(store), await new TestRun('sha1').create(store)]
      await other.query('begin')
      await other.query(
        `update runs set seq = 4, revision = 5, status = case run when $1 then 'done' else status end`,
        [ends.id],
      )
      const mail = { sender: 'a'.repeat(40), seq: 1, index: 0, event: { type: 'E' } }
      const answers = store.deliver([open, ends].map(({ id }) => ({ ...mail, receiver: id })))
      await waiting(1)
      await other.query('commit')
      expect(await answers).toEqual(['taken', 'finished'])
      const head = await store.head(open.id)
      expect([head?.revision, head?.due, head?.beside.waiting]).toEqual([6, 0, 1])
      expect((await store.head(ends.id))?.revision).toBe(5)
    }))

  test('a claim comes through while its old owner never stops appending', () =>
    scene(async ({ store }) => {
      const lease = await store.claim({ ...one, owner: 'p', group: 'g' })
      const runs = await Promise.all(Array.from({ length: 6 }, () => new TestRun('sha1').create(store, { lease })))
      const appending = runs.map(async run => {
        for (;;) {
          const item = run.goesOn(1, { lease })
          const [outcome] = await store.append([item])
          if (outcome?.status === 'fenced') return run.seq
          // Whatever was sent after the claim resolved is refused.
          run.follow(item, outcome!)
        }
      })
      await Promise.all(
        runs.map(
          run =>
            new Promise<void>(resolve => {
              const look = (): void => (run.seq > 20 ? resolve() : void setImmediate(look))
              look()
            }),
        ),
      )
      const claimed = await store.claim({ ...one, owner: 'q', group: 'g' })
      expect(claimed.epoch).toBe(2)
      const last = await Promise.all(appending)
      expect(await Promise.all(runs.map(async run => (await store.head(run.id))?.seq))).toEqual(last)
    }))
})
