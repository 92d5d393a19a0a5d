import { Redis } from 'iovalkey'
import { afterEach, expect, test } from 'vitest'
import { valkeyStore } from '../../../src/persistence/valkey/index.ts'
import { TestRun } from '../../../src/testing/store-conformance/test-run.ts'
import { describeOnEachValkey } from '../../servers/describe.ts'
import { FaultyProxy } from '../../servers/faulty-proxy.ts'
import { ValkeyServer } from '../../servers/valkey.ts'

describeOnEachValkey('the settings of a server', program => {
  const ends: (() => Promise<unknown>)[] = []
  afterEach(async () => {
    for (const end of ends.splice(0).reverse()) await end()
  })

  async function started(settings: Readonly<Record<string, string>> = {}): Promise<ValkeyServer> {
    const server = await ValkeyServer.start(settings, program)
    ends.push(() => server.stop())
    return server
  }

  function opened(options: Partial<Parameters<typeof valkeyStore>[0]>): ReturnType<typeof valkeyStore> {
    const store = valkeyStore({ patience: 0, ...options })
    ends.push(() => store.close())
    return store
  }

  const unsafe = [
    { durability: 'always', settings: { appendonly: 'no' }, setting: 'appendonly', must: 'yes' },
    { durability: 'always', settings: { appendfsync: 'everysec' }, setting: 'appendfsync', must: 'always' },
    {
      durability: 'always',
      settings: { 'no-appendfsync-on-rewrite': 'yes' },
      setting: 'no-appendfsync-on-rewrite',
      must: 'no',
    },
    { durability: 'everysec', settings: { appendfsync: 'no' }, setting: 'appendfsync', must: 'always or everysec' },
    {
      durability: 'memory',
      settings: { appendonly: 'no', 'maxmemory-policy': 'allkeys-lru' },
      setting: 'maxmemory-policy',
      must: 'noeviction',
    },
  ] as const

  test.each(unsafe)(
    '$setting must be $must, if durability is $durability',
    async ({ durability, settings, setting, must }) => {
      const server = await started(settings)
      const store = opened({ url: server.url, durability })
      await expect(store.head('a')).rejects.toMatchObject({ code: 'STORE_UNSAFE', details: { setting, must } })
      // Nothing was written, and the way out is one.
      const client = server.client()
      ends.push(() => client.quit())
      expect(await client.keys('*')).toEqual([])
      await client.config('SET', setting, must.split(' ')[0]!)
      expect(await store.head('a')).toBeUndefined()
    },
  )

  const enough = [
    { durability: 'everysec', settings: { appendfsync: 'everysec' } },
    { durability: 'everysec', settings: { appendfsync: 'always' } },
    { durability: 'memory', settings: { appendonly: 'no' } },
  ] as const

  test.each(enough)('$settings will do for $durability', async ({ durability, settings }) => {
    const server = await started(settings)
    expect(await opened({ url: server.url, durability }).head('a')).toBeUndefined()
  })

  test('where one may not read them, the store says what to make sure of', async () => {
    const server = await started()
    await withUser(server, 'plain', 'on >secret ~* +@all -config')
    const warnings: string[] = []
    const url = server.url.replace('//', '//plain:secret@')
    const store = opened({ url, onWarning: ({ message }) => warnings.push(message) })
    expect(await store.head('a')).toBeUndefined()
    expect(warnings).toHaveLength(2)
    expect(warnings[0]).toMatch(/appendfsync is always/)
    expect(warnings.join() + store.location).not.toMatch(/secret/)
  })

  test('a replica is read-only, also one that the primary became', async () => {
    const [primary, replica] = [await started(), await started()]
    const store = opened({ url: replica.url })
    expect(await store.claim({ namespace: 'a', partition: 0, owner: 'p', group: 'g' })).toMatchObject({ epoch: 1 })
    const client = replica.client()
    ends.push(() => client.quit())
    await client.replicaof('127.0.0.1', primary.port)
    await expect(store.claim({ namespace: 'a', partition: 0, owner: 'p', group: 'g' })).rejects.toMatchObject({
      code: 'STORE_READ_ONLY',
    })
    await expect(opened({ url: replica.url }).head('a')).rejects.toMatchObject({ code: 'STORE_READ_ONLY' })
  })

  test('a primary that became a replica is left for the one that the address leads to now', async () => {
    const atOnce = { 'repl-diskless-sync-delay': '0' }
    const [primary, replica] = [await started(atOnce), await started(atOnce)]
    const proxy = await FaultyProxy.start(primary.port)
    ends.push(() => proxy.stop())
    const clients = [primary.client(), replica.client()] as const
    ends.push(() => Promise.all(clients.map(client => client.quit())))
    await clients[1].replicaof('127.0.0.1', primary.port)
    const store = opened({ url: `redis://127.0.0.1:${proxy.port}`, patience: 30_000 })
    const claim = { namespace: 'a', partition: 0, owner: 'p', group: 'g' }
    await store.claim(claim)
    await clients[0].set('last', 'written')
    while ((await clients[0].wait(1, 1_000)) === 0);
    await clients[1].replicaof('NO', 'ONE')
    await clients[0].replicaof('127.0.0.1', replica.port)
    proxy.lead(replica.port)
    await expect(store.claim(claim)).rejects.toMatchObject({ code: 'STORE_READ_ONLY' })
    expect(await store.claim(claim)).toMatchObject({ epoch: 2 })
  })

  test('memory that ran out is STORE_FULL: nothing is written, and reading goes on', async () => {
    const server = await started()
    const store = opened({ url: server.url })
    const claim = { namespace: 'a', partition: 0, owner: 'p', group: 'g' }
    const row = await store.claim(claim)
    const client = server.client()
    ends.push(() => client.quit())
    await client.config('SET', 'maxmemory', '1')
    await expect(store.claim(claim)).rejects.toMatchObject({ code: 'STORE_FULL' })
    expect(await store.lease(claim)).toEqual(row)
    expect(await opened({ url: server.url }).lease(claim)).toEqual(row)
    await client.config('SET', 'maxmemory', '0')
    expect(await store.claim(claim)).toMatchObject({ epoch: 2 })
  })

  test('a database that the server has not got is refused, and nothing is written to another one', async () => {
    const server = await started({ databases: '4' })
    const client = server.client()
    ends.push(() => client.quit())
    const claim = { namespace: 'a', partition: 0, owner: 'p', group: 'g' }
    await expect(opened({ url: `${server.url}/4` }).claim(claim)).rejects.toMatchObject({
      code: 'STORE_REFUSED',
      message: expect.stringMatching(/database 4: .*out of range/),
    })
    expect(await client.dbsize()).toBe(0)
    expect(await opened({ url: `${server.url}/3` }).claim(claim)).toMatchObject({ epoch: 1 })
    expect(await client.dbsize()).toBe(0)
  })

  test('a wrong password is told without it', async () => {
    const server = await started({ requirepass: 'right' })
    const store = opened({ url: server.url.replace('//', '//default:wrong-secret@') })
    const error = await store.head('a').catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'STORE_REFUSED', message: expect.stringContaining('WRONGPASS') })
    expect(inspected(error)).not.toMatch(/wrong-secret/)
    expect(await opened({ url: server.url.replace('//', '//:right@') }).head('a')).toBeUndefined()
  })

  test('a user who may not write is told so', async () => {
    const server = await started()
    await withUser(server, 'reader', 'on nopass ~* +@all -@write -eval')
    await opened({ url: server.url }).head('a')
    const store = opened({ url: server.url.replace('//', '//reader:x@') })
    const claim = store.claim({ namespace: 'a', partition: 0, owner: 'p', group: 'g' })
    await expect(claim).rejects.toMatchObject({ code: 'STORE_READ_ONLY', message: expect.stringContaining('NOPERM') })
  })

  test.each(['zadd', 'hsetnx', 'hget'])('a user who may do all but %s leaves nothing half done', async command => {
    const server = await started()
    await withUser(server, 'limited', `on nopass ~* +@all -${command}`)
    await opened({ url: server.url }).head('a')
    const store = opened({ url: server.url.replace('//', '//limited:x@'), patience: 1_000 })
    const run = new TestRun('sha1', { key: 'a' })
    await expect(store.append([run.creates()])).rejects.toMatchObject({ code: 'STORE_READ_ONLY' })
    const client = server.client()
    ends.push(() => client.quit())
    expect(await client.keys('*')).toEqual(['{xmachines}:store'])
    await run.create(opened({ url: server.url }))
  })

  test('what another program keeps under the prefix is not touched', async () => {
    const server = await started()
    const client = server.client()
    ends.push(() => client.quit())
    await client.set('{mine}:store', 'something')
    await client.set('{yours}:runs', 'something')
    await client.hset('{theirs}:store', 'colour', 'red')
    for (const prefix of ['mine', 'yours', 'theirs']) {
      await expect(opened({ url: server.url, prefix }).head('a')).rejects.toMatchObject({ code: 'STORE_FOREIGN' })
    }
    expect((await client.keys('*')).sort()).toEqual(['{mine}:store', '{theirs}:store', '{yours}:runs'])
  })

  test('a newer format and the other hash are refused by name', async () => {
    const server = await started()
    const client = new Redis(server.url)
    ends.push(() => client.quit())
    await opened({ url: server.url, objectFormat: 'sha256' }).head('a')
    await expect(opened({ url: server.url }).head('a')).rejects.toMatchObject({
      code: 'OBJECT_FORMAT_MISMATCH',
      details: { found: 'sha256', wanted: 'sha1' },
    })
    await client.hset('{xmachines}:store', 'format', '2')
    await expect(opened({ url: server.url, objectFormat: 'sha256' }).head('a')).rejects.toMatchObject({
      code: 'STORE_FORMAT',
      details: { found: '2', reads: 1 },
    })
  })
})

/** Gives a server another user. */
async function withUser(server: ValkeyServer, name: string, rules: string): Promise<void> {
  const client = server.client()
  await client.call('acl', ['setuser', name, ...rules.split(' ')])
  await client.quit()
}

/** All that a log could show of an error. */
function inspected(error: unknown): string {
  const seen: string[] = []
  for (let at = error; at instanceof Error; at = at.cause) {
    seen.push(at.message, at.stack ?? '', JSON.stringify(Object.fromEntries(Object.entries(at))))
  }
  return seen.join('\n')
}
