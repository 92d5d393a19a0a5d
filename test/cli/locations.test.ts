import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { hasPostgres, PostgresServer } from '../servers/postgres.ts'
import { hasValkey, ValkeyServer } from '../servers/valkey.ts'
import { jsonLines, xmachines } from './command.ts'
import { counter, counterLog, Workspace } from './workspace.ts'

const space = new Workspace()
let postgres: PostgresServer | undefined
let valkey: ValkeyServer | undefined
let store: string
/** What the log makes, and with a fork. */
let ran: readonly unknown[]
let exported: string

beforeAll(async () => {
  if (hasPostgres()) postgres = await PostgresServer.start()
  if (hasValkey()) valkey = await ValkeyServer.start()
  store = space.path('store')
  await xmachines('run', space.log(counterLog(200, 6)), '--machine', counter, '--store', store, '--topic', 'shop')
  ran = units((await xmachines('export', store)).stdout)
  await xmachines('fork', store, 'k1', '--at', '3', '--key', 'f1')
  exported = (await xmachines('export', store)).stdout
})

afterAll(async () => {
  await postgres?.stop()
  await valkey?.stop()
})

const locations: Readonly<Record<string, (name: string) => string | undefined>> = {
  'file:': name => `file://${space.path(name)}`,
  'git:': name => `git:${space.path(name)}`,
  'postgres:': name => postgres && `${postgres.url()}?schema=${name}`,
  'redis:': name => valkey && `${valkey.url}?prefix=${name}`,
}

/** Units as two stores must show them: who recorded them, and how, is each store's own. */
function units(text: string): readonly unknown[] {
  return jsonLines<Record<string, unknown>>(text)
    .filter(({ seq }) => seq !== undefined)
    .map(({ run, seq, id, at, events }) => ({ run, seq, id, at, events }))
}

describe.each(Object.entries(locations))('a store at %s', (_, locate) => {
  it('is run into, listed, verified, exported and copied like any other', async ({ skip }) => {
    const place = locate('shop') ?? skip()
    const log = space.log(counterLog(200, 6))
    const args = ['run', log, '--machine', counter, '--store', place, '--topic', 'shop']
    const isServer = !/^(file|git):/.test(place)
    if (isServer) expect((await xmachines(...args)).stderr).toMatch(/^USAGE_INVALID: --notes is needed/)
    const notes = isServer ? ['--notes', space.path('notes')] : []
    expect(await xmachines(...args, ...notes)).toMatchObject({ code: 0 })
    // Again: all of it was consumed.
    expect(await xmachines(...args, ...notes)).toMatchObject({ code: 0 })
    expect(jsonLines((await xmachines('runs', place, '--json')).stdout)).toHaveLength(6)
    expect((await xmachines('verify', place, '--machine', counter)).code).toBe(0)
    expect(units((await xmachines('export', place)).stdout)).toEqual(ran)
    const copied = await xmachines('copy', place, 'memory:', '--json')
    expect(jsonLines(copied.stdout)).toMatchObject([{ runs: 6, failed: 0 }])
  })

  it('is copied into like any other, and goes on where the source stood', async ({ skip }) => {
    const place = locate('copied') ?? skip()
    const first = await xmachines('copy', store, place, '--json')
    expect(first).toMatchObject({ code: 0 })
    const [{ units: copied }] = jsonLines<{ units: number }>(first.stdout) as [{ units: number }]
    expect(copied).toBeGreaterThan(200)
    expect(jsonLines((await xmachines('copy', store, place, '--json')).stdout)).toEqual([
      { runs: 7, unchanged: 7, units: 0, failed: 0 },
    ])
    const moved = await xmachines('copy', space.copy(store), place, '--source', 'fence', '--follow', '--json')
    expect(jsonLines(moved.stdout)).toMatchObject([{ runs: 7, units: 0, failed: 0 }])
    // All of it: provenance, epochs, what is kept beside. Commands read a repository as a clone, of which every run is held.
    const held = place.startsWith('git:')
    const wanted = jsonLines<{ beside?: object }>(exported).map(line =>
      line.beside === undefined ? line : { ...line, beside: { ...line.beside, ...(held && { held }) } },
    )
    expect(jsonLines((await xmachines('export', place)).stdout)).toEqual(wanted)
    expect((await xmachines('verify', place, '--machine', counter)).code).toBe(0)
  })
})

it.each(['//user:1/secret@127.0.0.1/db', '//user:#secret@127.0.0.1/db', 'user:secret@127.0.0.1/db'])(
  'a URL that would be taken apart elsewhere is refused: %s',
  async rest => {
    for (const scheme of ['postgres', 'redis']) {
      const { code, stderr } = await xmachines('runs', `${scheme}:${rest}`)
      expect([code, stderr]).toEqual([2, expect.stringMatching(/^USAGE_INVALID: .* Percent-encode/)])
      expect(stderr).not.toContain('secret')
    }
  },
)

it.each([
  'postgres://127.0.0.1:1/db?schema=',
  'redis://127.0.0.1:1/?prefix=',
  'redis://127.0.0.1:1/orders',
  'redis://127.0.0.1:1/?durability=most',
])('a URL whose parts make no sense is wrong use: %s', async place => {
  const { code, stderr } = await xmachines('runs', place)
  expect([code, stderr]).toEqual([2, expect.stringMatching(/^USAGE_INVALID: The location .* Expected `/)])
})

describe('a server that keeps less than a store asks for, and a user who may only read', () => {
  const unsafe = [1, expect.stringMatching(/^STORE_UNSAFE: /)]

  it('PostgreSQL', async ({ skip }) => {
    if (postgres === undefined) return skip()
    await postgres.query('create database loose')
    await postgres.query('alter database loose set synchronous_commit = off')
    const place = postgres.url('loose')
    expect((await xmachines('copy', store, `${place}?durability=relaxed`)).code).toBe(0)
    const rights = `create role reader login; grant usage on schema xmachines to reader;
      grant select on all tables in schema xmachines to reader; create role stranger login;
      alter role reader set default_transaction_read_only = on`
    await postgres.query(rights, [], 'loose')
    const as = (user: string): string => place.replace('postgres@', `${user}@`)
    const [runs, other, copy] = await Promise.all([
      xmachines('runs', as('reader')),
      xmachines('runs', as('stranger')),
      xmachines('copy', store, place),
    ])
    expect([runs.code, [copy.code, copy.stderr]]).toEqual([0, unsafe])
    expect([other.code, other.stderr]).toEqual([
      1,
      expect.stringMatching(/^STORE_REFUSED: .* what the user may read\./),
    ])
  })

  it('Valkey', async ({ skip }) => {
    if (valkey === undefined) return skip()
    const place = `${valkey.url}?prefix=loose`
    const client = valkey.client()
    try {
      await client.config('SET', 'appendfsync', 'everysec')
      await client.acl('SETUSER', 'reader', 'on', '>r', '%R~*', '+@all')
      await client.acl('SETUSER', 'other', 'on', '>r', '%R~{other}*', '+@all')
      expect((await xmachines('copy', store, `${place}&durability=everysec`)).code).toBe(0)
      const as = (user: string): string => place.replace('//', `//${user}:r@`)
      const [runs, log, other, copy] = await Promise.all([
        xmachines('runs', as('reader')),
        xmachines('log', as('reader'), 'k1'),
        xmachines('runs', as('other')),
        xmachines('copy', store, place),
      ])
      expect([runs.code, log.code, [copy.code, copy.stderr]]).toEqual([0, 0, unsafe])
      expect([other.code, other.stderr]).toEqual([1, expect.stringMatching(/^STORE_REFUSED: .*NOPERM/)])
    } finally {
      await client.config('SET', 'appendfsync', 'always')
      client.disconnect()
    }
  })
})

it('a URL of files that is no path is wrong use', async () => {
  const places = ['file:///a%2Fb', 'file://elsewhere/orders', 'file:///%zz', 'file:///a%00b']
  for (const { code, stderr } of await Promise.all(places.map(place => xmachines('runs', place))))
    expect([code, stderr]).toEqual([2, expect.stringMatching(/^USAGE_INVALID: The location file:.* Percent-encode/)])
})

it('a scheme in capitals is the same', async () => {
  const { code, stderr } = await xmachines('runs', 'FILE:///no%20store')
  expect([code, stderr]).toEqual([2, expect.stringMatching(/^STORE_MISSING: There is no store at \/no store\./)])
})

describe('a server that is not there', () => {
  it('is told without its password', async () => {
    const missing = ['postgres', 'redis'].map(scheme => xmachines('runs', `${scheme}://user:secret@127.0.0.1:1/1`))
    for (const { code, stderr } of await Promise.all(missing)) {
      expect(code).toBe(1)
      expect(stderr).toMatch(/^STORE_UNAVAILABLE: /)
      expect(stderr).not.toContain('secret')
    }
  })
})
