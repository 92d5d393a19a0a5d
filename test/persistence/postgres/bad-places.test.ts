import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { inspect } from 'node:util'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Store } from '../../../src/actors/contracts/store.ts'
import { type PostgresStoreOptions, postgresStore } from '../../../src/persistence/postgres/index.ts'
import { showsHistory, TestRun } from '../../../src/testing/store-conformance/test-run.ts'
import { FaultyProxy } from '../../servers/faulty-proxy.ts'
import { hasPostgres, PostgresServer } from '../../servers/postgres.ts'

/** What the first operation of a store rejects with. */
async function refusal(store: Store): Promise<Error & { readonly code?: string; readonly details?: object }> {
  try {
    await store.head('a'.repeat(40))
  } catch (error) {
    return error as Error
  } finally {
    await store.close()
  }
  throw new Error('Expected the store to refuse, and it did not.')
}

describe.runIf(hasPostgres())('postgresStore at a place that is not for it', () => {
  let server: PostgresServer
  beforeAll(async () => {
    server = await PostgresServer.start({
      // One user is asked for a password.
      async prepare(dir, run) {
        await run('initdb', ['-D', dir, '-U', 'postgres', '--auth=trust', '--no-sync', '--encoding=UTF8', '--locale=C'])
        const rules = join(dir, 'pg_hba.conf')
        writeFileSync(rules, `host all asked 127.0.0.1/32 scram-sha-256\n${readFileSync(rules, 'utf8')}`)
      },
    })
    await server.query("create role asked login password 'open'")
  })
  afterAll(() => server.stop())

  const open = (options: Partial<PostgresStoreOptions> = {}, database?: string): Store =>
    postgresStore({ connectionString: server.url(database), patience: 0, ...options })

  /** A database with settings of its own. */
  async function database(name: string, settings: string): Promise<string> {
    await server.query(`create database ${name}`)
    await server.query(`alter database ${name} set ${settings}`)
    return name
  }

  test('the other hash', async () => {
    await open({ schema: 'sha1' })
      .head('a')
      .then(() => {})
    expect(await refusal(open({ schema: 'sha1', objectFormat: 'sha256' }))).toMatchObject({
      code: 'OBJECT_FORMAT_MISMATCH',
      details: { made: 'sha1', opened: 'sha256' },
    })
  })

  test('a schema in the URL, as commands take it', () => {
    const connectionString = `${server.url()}?application_name=app&schema=shop`
    expect(() => postgresStore({ connectionString })).toThrow(/without `schema`: give that as the option/)
  })

  test('a newer version is not touched', async () => {
    const store = open({ schema: 'newer' })
    await store.head('a')
    await store.close()
    await server.query('update newer.store set version = 99')
    expect(await refusal(open({ schema: 'newer' }))).toMatchObject({ code: 'STORE_FORMAT', details: { version: 99 } })
    expect(await server.query('select version from newer.store')).toEqual([{ version: 99 }])
  })

  test.each([
    ['a table of a name that a store has', 'create table runs (id int)'],
    ['a table `store` that is another one', 'create table store (id int)'],
    ['a store’s table without its row', 'create table store (single boolean, version int, object_format text)'],
    ['an index of a name that a store has', 'create table other (id int); create index runs_due on other (id)'],
  ])('somebody else’s schema: %s', async (_, made) => {
    await server.query(`drop schema if exists foreign_place cascade; create schema foreign_place`)
    await server.query(`set search_path to foreign_place; ${made}`)
    const tables = `select relname from pg_class where relnamespace = 'foreign_place'::regnamespace order by 1`
    const before = await server.query(tables)
    expect(await refusal(open({ schema: 'foreign_place' }))).toMatchObject({ code: 'STORE_FOREIGN' })
    expect(await server.query(tables)).toEqual(before)
  })

  test.each([
    ['synchronous_commit', 'unsafe_commit'],
    ['fsync', 'unsafe_fsync'],
    ['full_page_writes', 'unsafe_pages'],
  ])('a server that may lose what it acknowledged: %s = off', async (setting, name) => {
    const unsafe = await PostgresServer.start({ settings: { [setting]: 'off' } })
    try {
      const connectionString = unsafe.url()
      const refused = await refusal(postgresStore({ connectionString, schema: name }))
      expect(refused).toMatchObject({ code: 'STORE_UNSAFE', details: { setting, value: 'off' } })
      const relaxed = postgresStore({ connectionString, schema: name, durability: 'relaxed' })
      expect(await relaxed.head('a')).toBeUndefined()
      await relaxed.close()
    } finally {
      await unsafe.stop()
    }
  })

  test('an encoding that has not all characters', async () => {
    await server.query(`create database latin encoding 'LATIN1' locale 'C' template template0`)
    expect(await refusal(open({}, 'latin'))).toMatchObject({
      code: 'STORE_UNSAFE',
      details: { setting: 'server_encoding', value: 'LATIN1' },
    })
  })

  test('a replica', async () => {
    const replica = await PostgresServer.start({
      prepare: (dir, run) => run('pg_basebackup', ['-D', dir, '-d', server.url(), '-R', '-X', 'stream', '-c', 'fast']),
    })
    try {
      const refused = await refusal(postgresStore({ connectionString: replica.url() }))
      expect(refused).toMatchObject({ code: 'STORE_UNSAFE', details: { setting: 'in_recovery' } })
    } finally {
      await replica.stop()
    }
  })

  test('a replica that the address leads to later, until it is the primary', async () => {
    const proxy = await FaultyProxy.start(server.port)
    const pool = new pg.Pool({ connectionString: `postgres://postgres@127.0.0.1:${proxy.port}/postgres` })
    const store = postgresStore({ pool, schema: 'led', patience: 0 })
    const run = await new TestRun('sha1').create(store)
    const replica = await PostgresServer.start({
      prepare: (dir, run) => run('pg_basebackup', ['-D', dir, '-d', server.url(), '-R', '-X', 'stream', '-c', 'fast']),
    })
    try {
      // Two connections to the old server, of which one stays.
      await Promise.all([store.head(run.id), store.head(run.id)])
      const old = await Promise.all([pool.connect(), pool.connect()])
      proxy.lead(replica.port)
      old[1].release(true)
      const elsewhere = { code: 'STORE_UNAVAILABLE', message: expect.stringContaining('replica') }
      await expect(store.head(run.id)).rejects.toMatchObject(elsewhere)
      await expect(store.append([run.goesOn()])).rejects.toMatchObject(elsewhere)
      await replica.query('select pg_promote()')
      await run.goOn(store)
      // What is left of the old server is not asked any more.
      old[0].release()
      await run.goOn(store)
      await showsHistory(store, run)
      expect(await server.query('select seq from led.runs')).toEqual([{ seq: '0' }])
    } finally {
      await store.close()
      await pool.end()
      await proxy.stop()
      await replica.stop()
    }
  })

  test('a database that takes no writes', async () => {
    const name = await database('locked', 'default_transaction_read_only = on')
    expect(await refusal(open({}, name))).toMatchObject({ code: 'STORE_READ_ONLY' })
  })

  test('a database that stops taking writes while the store is open', async () => {
    const pool = new pg.Pool({ connectionString: server.url(), max: 1 })
    const store = postgresStore({ pool, schema: 'stops', patience: 0 })
    await store.renew('p', 1)
    await pool.query('set default_transaction_read_only = on')
    await expect(store.renew('p', 2)).rejects.toMatchObject({ code: 'STORE_READ_ONLY' })
    // Only over that connection.
    await store.renew('p', 3)
    await store.close()
    await pool.end()
  })

  test('a database whose times come rounded', async () => {
    const name = await database('rounded', 'extra_float_digits = 0')
    expect(await refusal(open({}, name))).toMatchObject({
      code: 'STORE_UNSAFE',
      details: { setting: 'extra_float_digits', value: '0' },
    })
  })

  test('a user without the right to make tables', async () => {
    await server.query('create role guest login')
    const connectionString = server.url().replace('postgres@', 'guest@')
    expect(await refusal(open({ connectionString, schema: 'not_yours' }))).toMatchObject({ code: 'STORE_READ_ONLY' })
  })

  test('tables that somebody changed', async () => {
    const store = open({ schema: 'changed' })
    await store.head('a')
    await server.query('drop table changed.snapshots')
    await expect(store.loadSnapshot('a')).rejects.toMatchObject({ code: 'STORE_DAMAGED' })
    await store.close()
  })

  test.each([
    ['STORE_UNAVAILABLE', 'nobody listens', () => 'postgres://someone:sesame@127.0.0.1:1/db?password=sesame'],
    ['STORE_REFUSED', 'there is no such user', (port: number) => `postgres://nobody:sesame@127.0.0.1:${port}/postgres`],
    ['STORE_REFUSED', 'no such database', (port: number) => `postgres://postgres:sesame@127.0.0.1:${port}/nowhere`],
    ['STORE_REFUSED', 'the password is wrong', (port: number) => `postgres://asked:sesame@127.0.0.1:${port}/postgres`],
    ['STORE_UNAVAILABLE', 'it is no URL', () => 'postgres://someone:sesame@[nowhere/db'],
  ])('%s, and a secret is never shown: %s', async (code, _, url) => {
    // Who is refused is told so at once, however patient the store is.
    const store = postgresStore({
      connectionString: url(server.port),
      patience: code === 'STORE_REFUSED' ? 3_600_000 : 0,
    })
    expect(store.location).not.toContain('sesame')
    const error = await refusal(store)
    expect(error.code).toBe(code)
    expect(inspect(error, { depth: 10, showHidden: true })).not.toContain('sesame')
    expect(JSON.stringify(error)).not.toContain('sesame')
  })

  test('a password that was not encoded is not told as a place', () => {
    for (const rest of ['//user:1/sesame@127.0.0.1:1/db', 'user:sesame@127.0.0.1:1/db'])
      expect(postgresStore({ connectionString: `postgres:${rest}` }).location).not.toContain('sesame')
  })

  test('a name of the server’s own', async () => {
    const error = await refusal(postgresStore({ connectionString: server.url(), schema: 'pg_mine' }))
    expect(error).toMatchObject({ code: 'STORE_FOREIGN', message: expect.stringContaining('pg_mine') })
  })

  test('an option that makes no sense', () => {
    const pool = new pg.Pool()
    const wrong: [string, object][] = [
      ['`pool` or `connectionString`', {}],
      ['`pool` or `connectionString`', { pool, connectionString: 'postgres:' }],
      ['`connectionString`', { connectionString: '' }],
      ['`schema`', { pool, schema: '' }],
      ['`schema`', { pool, schema: 'a\0b' }],
      ['`schema`', { pool, schema: 'ш'.repeat(32) }],
      ['`schema`', { pool, schema: 'a\ud800' }],
      ['`durability`', { pool, durability: 'maybe' }],
      ['`objectFormat`', { pool, objectFormat: 'md5' }],
      ['`patience`', { pool, patience: -1 }],
    ]
    for (const [named, options] of wrong) {
      expect(() => postgresStore(options as PostgresStoreOptions)).toThrow(TypeError)
      expect(() => postgresStore(options as PostgresStoreOptions)).toThrow(named)
    }
  })
})
