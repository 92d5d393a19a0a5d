import { afterAll, beforeAll, test } from 'vitest'
import { valkeyStore } from '../../../src/persistence/valkey/index.ts'
import { storeConformance } from '../../../src/testing/store-conformance.ts'
import { describeOnEachValkey } from '../../servers/describe.ts'
import { ValkeyServer } from '../../servers/valkey.ts'

describeOnEachValkey('valkeyStore', program => {
  let server: ValkeyServer
  let places = 0
  beforeAll(async () => {
    server = await ValkeyServer.start({}, program)
  })
  afterAll(() => server.stop())

  storeConformance(async () => {
    const prefix = `place ${++places}`
    return {
      open: async options => valkeyStore({ url: server.url, prefix, ...options }),
      cleanup: async () => {},
      durable: true,
      shared: true,
    }
  }, test)

  test('a new place that many open at once is one store', async () => {
    const stores = Array.from({ length: 20 }, () => valkeyStore({ url: server.url, prefix: 'many' }))
    await Promise.all(stores.map(store => store.append([])))
    await Promise.all(stores.map(store => store.close()))
  })
})
