import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Store } from 'xmachines'
import { postgresStore } from 'xmachines/persistence/postgres'
import { valkeyStore } from 'xmachines/persistence/valkey'
import { TestRun } from '../../src/testing/store-conformance/test-run.ts'
import { describeOnServers } from '../servers/describe.ts'
import { PostgresServer } from '../servers/postgres.ts'
import { ValkeyServer } from '../servers/valkey.ts'
import { xmachines } from './command.ts'

/** How a store is told that is on a server of its own. */
interface Place {
  readonly url: string
  readonly parameter: string
  open(name: string, options: { readonly create?: boolean }): Store
  stop(): Promise<void>
}

async function postgres(): Promise<Place> {
  const server = await PostgresServer.start()
  const connectionString = server.url()
  const open: Place['open'] = (schema, options) => postgresStore({ connectionString, schema, ...options })
  return { url: connectionString, parameter: 'schema', open, stop: () => server.stop() }
}

async function valkey(): Promise<Place> {
  const server = await ValkeyServer.start()
  const { url } = server
  return {
    url,
    parameter: 'prefix',
    open: (prefix, options) => valkeyStore({ url, prefix, ...options }),
    stop: () => server.stop(),
  }
}

describeOnServers('a store that is not on $server', { postgres, valkey }, start => {
  let place: Place
  beforeAll(async () => {
    place = await start()
  })
  const stores: Store[] = []
  afterAll(async () => {
    await Promise.all(stores.map(store => store.close()))
    await place.stop()
  })

  function open(options: { readonly create?: boolean } = {}): Store {
    const store = place.open('missing', options)
    stores.push(store)
    return store
  }

  test('is told, and not made, by who reads it and by `create: false`; once it is there, both have it', async () => {
    const location = `${place.url}?${place.parameter}=missing`
    for (let time = 0; time < 2; time++) {
      expect(await xmachines('runs', location)).toMatchObject({
        code: 2,
        stdout: '',
        stderr: expect.stringMatching(/^STORE_MISSING: /),
      })
      const run = new TestRun('sha1')
      await expect(open({ create: false }).append([run.creates()])).rejects.toMatchObject({ code: 'STORE_MISSING' })
    }
    const run = await new TestRun('sha1').create(open())
    expect((await open({ create: false }).head(run.id))?.seq).toBe(0)
    expect(await xmachines('runs', location)).toMatchObject({
      code: 0,
      stdout: expect.stringContaining(run.id.slice(0, 12)),
    })
  })
})
