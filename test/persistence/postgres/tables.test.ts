import pg from 'pg'
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest'
import { postgresStore } from '../../../src/persistence/postgres/index.ts'
import { collect, showsHistory, TestRun } from '../../../src/testing/store-conformance/test-run.ts'
import { describeUnless } from '../../describe-unless.ts'
import { missingPostgres } from '../../servers/postgres.ts'
import { sharedServer, unique } from '../../servers/shared.ts'

describeUnless(missingPostgres(), 'the tables', () => {
  let url: string
  let pool: pg.Pool
  beforeAll(async () => {
    url = await sharedServer('postgres')
    pool = new pg.Pool({ connectionString: url })
  })
  afterAll(() => pool.end())

  test('of units may be partitioned by run, as the guide does it', async () => {
    const schema = unique('parts')
    const before = postgresStore({ pool, schema, durability: 'relaxed' })
    const runs = Array.from({ length: 30 }, (_, n) => new TestRun('sha1', { key: `key ${n}` }))
    for (const run of runs) await run.create(before, {}, 4)
    await before.close()
    const part = (n: number): string =>
      `create table ${schema}.units_${n} partition of ${schema}.units for values with (modulus 4, remainder ${n});`
    await pool.query(`
      begin;
      alter table ${schema}.units rename to units_whole;
      create table ${schema}.units (like ${schema}.units_whole including all) partition by hash (run);
      ${[0, 1, 2, 3].map(part).join('\n')}
      insert into ${schema}.units select * from ${schema}.units_whole;
      drop table ${schema}.units_whole;
      commit`)
    const after = postgresStore({ pool, schema, durability: 'relaxed' })
    const more = Array.from({ length: 30 }, (_, n) => new TestRun('sha1', { key: `new ${n}` }))
    for (const [n, outcome] of (await after.append(more.map(run => run.creates({}, 3)))).entries())
      more[n]!.follow(more[n]!.creates({}, 3), outcome)
    for (const run of runs) await run.goOn(after, 3)
    for (const run of runs) await showsHistory(after, run)
    const twice = runs[0]!.goesOn()
    expect(await after.append([twice])).toMatchObject([{ status: 'appended' }])
    expect(await after.append([twice])).toMatchObject([{ status: 'conflict', seq: twice.units[0]!.seq }])
    const { rows } = await pool.query<{ units: string }>(
      `select tableoid::regclass::text, count(*) as units from ${schema}.units group by 1`,
    )
    expect(rows.every(({ units }) => Number(units) > 0) && rows.length).toBe(4)
    await after.close()
  })

  test('are asked once for a group of appends to many runs', async () => {
    const store = postgresStore({ pool, schema: unique('once'), durability: 'relaxed' })
    const runs = Array.from({ length: 1000 }, (_, n) => new TestRun('sha1', { key: `key ${n}` }))
    const outcomes = await store.append(runs.map(run => run.creates()))
    for (const [n, run] of runs.entries()) run.follow(run.creates(), outcomes[n])
    const asked = vi.spyOn(pg.Client.prototype, 'query')
    onTestFinished(() => asked.mockRestore())
    expect((await store.append(runs.map(run => run.goesOn()))).every(({ status }) => status === 'appended')).toBe(true)
    expect(asked).toHaveBeenCalledOnce()
    await store.close()
  })

  test('give runs in the order of their ids, whatever the order of the database is', async () => {
    const database = unique('sorted')
    await pool.query(
      `create database ${database} template template0 locale_provider icu icu_locale 'da-DK' encoding 'UTF8'`,
    )
    const elsewhere = new pg.Pool({ connectionString: Object.assign(new URL(url), { pathname: database }).href })
    const store = postgresStore({ pool: elsewhere, durability: 'relaxed' })
    // Danish has aa behind z, and all digits before letters.
    const runs = Array.from({ length: 200 }, (_, n) => new TestRun('sha1', { key: ['aa', 'Z', 'å', 'a'][n % 4]! + n }))
    await store.append(runs.map(run => run.creates()))
    const ids = runs.map(({ id }) => id).sort()
    expect((await collect(store.list())).map(({ run }) => run)).toEqual(ids)
    expect((await collect(store.list({ after: ids[50]! }))).map(({ run }) => run)).toEqual(ids.slice(51))
    expect(await store.find('tests', 'aa0')).toBe(runs[0]!.id)
    await store.close()
    await elsewhere.end()
    await pool.query(`drop database ${database}`)
  })
})
