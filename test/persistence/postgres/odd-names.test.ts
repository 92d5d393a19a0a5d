import { randomBytes } from 'node:crypto'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { postgresStore } from '../../../src/persistence/postgres/index.ts'
import { showsHistory, TestRun, testUnit } from '../../../src/testing/store-conformance/test-run.ts'
import { hasPostgres } from '../../servers/postgres.ts'
import { sharedServer, unique } from '../../servers/shared.ts'

const odd = [
  '\u0000',
  'a\u0000b',
  '\ud83d',
  '\ud83e',
  '\udd11\ud83d',
  '\uFFFD',
  '"quotes" and \'apostrophes\'',
  '\\',
  '\\u0000',
  '\\\\u0000',
  '{a,b}',
  'NULL',
  '',
  '%',
  'ключ 🔑',
  'x'.repeat(1 << 20),
  `${'x'.repeat(1 << 20)}y`,
  '#'.repeat(300),
]

describe.runIf(hasPostgres())('names that PostgreSQL would not take as they are', () => {
  let pool: pg.Pool
  beforeAll(async () => {
    pool = new pg.Pool({ connectionString: await sharedServer('postgres') })
  })
  afterAll(() => pool.end())

  test('of keys and namespaces, each is its own', async () => {
    const store = postgresStore({ pool, schema: unique('odd'), durability: 'relaxed' })
    // What an id is made of has no lone surrogates.
    const texts = odd.filter(text => text.isWellFormed())
    const runs = texts.map(text => new TestRun('sha1', { namespace: text, key: text, input: text.slice(0, 40) }))
    for (const run of runs) await run.create(store, { due: 1 })
    for (const [n, run] of runs.entries()) {
      const text = texts[n]!
      expect(await store.find(text, text)).toBe(run.id)
      const head = await store.head(run.id)
      expect(head?.namespace === text && head.key === text).toBe(true)
      const due = await store.due({ before: 1, limit: 9, namespace: text })
      expect(due.map(entry => [entry.run, entry.namespace === text])).toEqual([[run.id, true]])
      const rival = new TestRun('sha1', { namespace: text, key: text, input: 'rival' })
      expect(await store.append([rival.creates()])).toEqual([{ status: 'pinned', run: run.id }])
      await showsHistory(store, run)
    }
    await store.close()
  })

  test('of a run, longer than an index takes: refused at once, and the store goes on', async () => {
    const store = postgresStore({ pool, schema: unique('odd'), durability: 'relaxed', patience: 600_000 })
    const run = new TestRun('sha1')
    // What repeats would be packed.
    const long = randomBytes(9000).toString('base64')
    await expect(store.append([{ ...run.creates(), run: long }])).rejects.toThrow(TypeError)
    await run.create(store)
    await showsHistory(store, run)
    await store.close()
  })

  test('of partitions, owners, processes and mail', async () => {
    const store = postgresStore({ pool, schema: unique('odd'), durability: 'relaxed' })
    for (const [n, text] of odd.entries()) {
      const short = text.slice(0, 200)
      const lease = await store.claim({ namespace: text, partition: 3, owner: text, group: text })
      expect(lease.namespace === text && lease.owner === text && lease.group === text && lease.epoch === 1).toBe(true)
      const run = await new TestRun('sha1').create(store, { lease, beside: { process: short } })
      await store.renew(short, n)
      const due = await store.due({ before: n, limit: 9, lease })
      expect(due.map(entry => [entry.run, entry.due, entry.lease?.namespace === text])).toEqual([[run.id, n, true]])
      const mail = { receiver: run.id, sender: short, seq: 1, index: 0, event: { type: 'E', text: short } }
      expect(await store.deliver([mail, mail])).toEqual(['taken', 'duplicate'])
      expect((await store.head(run.id))?.beside.inbox).toEqual([mail])
      run.revision++
      await run.goOn(store, 1, { lease, beside: { taken: [{ sender: short, seq: 1, index: 0 }] } })
      expect((await store.head(run.id))?.beside.waiting).toBe(0)
      expect(await store.deliver([mail])).toEqual(['duplicate'])
    }
    await store.close()
  })

  test('of events and outputs: lone surrogates stay what they are', async () => {
    const store = postgresStore({ pool, schema: unique('odd'), durability: 'relaxed' })
    const run = await new TestRun('sha1').create(store)
    const outputs = odd.map(text => ({ type: text.slice(0, 100), [text.slice(0, 100)]: text }))
    const events = outputs.filter(({ type }) => type.isWellFormed())
    await run.goOn(store, [testUnit(1, { events, outputs })])
    await showsHistory(store, run)
    await store.close()
  })

  test.each(['we"ird; drop schema x', 'ключ 🔑', "it's", '$1', 'SELECT', '\\', "\\'; x"])(
    'of a schema: %s',
    async schema => {
      const store = postgresStore({ pool, schema, durability: 'relaxed' })
      const run = await new TestRun('sha1', { key: 'a' }).create(store, {}, 3)
      await store.close()
      const again = postgresStore({ pool, schema, durability: 'relaxed' })
      await showsHistory(again, run)
      await again.close()
      const found = await pool.query('select 1 from pg_namespace where nspname = $1', [schema])
      expect(found.rows.length).toBe(1)
      await pool.query(`drop schema ${pg.escapeIdentifier(schema)} cascade`)
      const options = '-c standard_conforming_strings=off'
      const old = new pg.Pool({ ...pool.options, options })
      await postgresStore({ pool: old, schema, durability: 'relaxed' }).append([])
      await old.end()
      await pool.query(`drop schema ${pg.escapeIdentifier(schema)} cascade`)
    },
  )
})
