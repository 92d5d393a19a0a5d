import { Cluster } from 'iovalkey'
import { expect, test, vi } from 'vitest'
import { type ValkeyStoreOptions, valkeyStore } from '../../../src/persistence/valkey/index.ts'

const url = 'redis://somebody:secret@localhost:1/3'

test.each<[string, unknown, RegExp]>([
  ['neither a URL nor a client', {}, /`url` or `client`/],
  ['both of them', { url, client: {} }, /`url` or `client`/],
  ['a client of a whole cluster', { client: new Cluster([], { lazyConnect: true }) }, /one server/],
  ['a URL that is none', { url: 'secret@@' }, /redis:\/\/host/],
  ['a URL of something else', { url: 'https://somebody:secret@host' }, /redis:\/\/.*got https:/],
  ['a database without a number', { url: 'redis://somebody:secret@localhost:1/orders' }, /number of a database/],
  ['a password that was not encoded', { url: 'redis://user:1/secret@localhost:1/3' }, /number of a database/],
  ['slashes that were forgotten', { url: 'redis:user:secret@localhost:1/3' }, /number of a database/],
  ['an empty prefix', { url, prefix: '' }, /`prefix`/],
  ['a durability that is none', { url, durability: 'often' }, /`durability`.*often/],
  ['half a replica', { url, replicas: 0.5 }, /`replicas`.*0\.5/],
  ['less than no patience', { url, patience: -1 }, /`patience`.*-1/],
  ['a hash that is none', { url, objectFormat: 'md5' }, /`objectFormat`.*md5/],
])('%s is misuse, and told without secrets', (_, options, told) => {
  const attempt = (): unknown => valkeyStore(options as ValkeyStoreOptions)
  expect(attempt).toThrow(TypeError)
  expect(attempt).toThrow(told)
  expect(attempt).not.toThrow(/secret/)
})

test('its location says where it is, without user and password', async () => {
  const store = valkeyStore({ url, prefix: 'orders' })
  expect(store.location).toBe('redis://localhost:1/3 orders')
  await store.close()
})

test('without the library, the error says how to install it; and what is wrong, where it is there and cannot be loaded', async () => {
  vi.doMock('iovalkey', () => {
    throw new Error('Dynamic require of "events" is not supported')
  })
  await expect(valkeyStore({ url }).head('a')).rejects.toMatchObject({
    code: 'LIBRARY_MISSING',
    message: expect.stringMatching(
      /cannot be loaded: .*\(npm install iovalkey\); in a bundle, mark it as external\.$/s,
    ),
  })
  vi.doUnmock('iovalkey')
})

test('a server that is not there is told when patience is over', async () => {
  const store = valkeyStore({ url, patience: 1_000 })
  const error = await store.head('a').catch((thrown: unknown) => thrown)
  expect(error).toMatchObject({ code: 'STORE_UNAVAILABLE', message: expect.stringMatching(/ECONNREFUSED/) })
  expect(String(error)).not.toMatch(/secret/)
  await store.close()
})
