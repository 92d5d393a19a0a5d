import { Redis } from 'iovalkey'
import { afterAll, beforeAll, test } from 'vitest'
import { valkeyStore } from '../../../src/persistence/valkey/index.ts'
import { storeConformance } from '../../../src/testing/store-conformance.ts'
import { describeOnEachValkey } from '../../servers/describe.ts'
import { ValkeyServer } from '../../servers/valkey.ts'

/** Subjects that between them call every script. */
const subjects = /^(append|creation|lease|mail|due|snapshot|list|read): /

describeOnEachValkey('valkeyStore on a node of a cluster, which refuses keys of several slots', program => {
  let server: ValkeyServer
  let places = 0
  beforeAll(async () => {
    server = await ValkeyServer.start({ 'cluster-enabled': 'yes' }, program)
    const client = new Redis(server.url)
    await client.call('cluster', ['addslotsrange', '0', '16383'])
    while (!String(await client.call('cluster', ['info'])).includes('cluster_state:ok')) await new Promise(setImmediate)
    await client.quit()
  })
  afterAll(() => server.stop())

  storeConformance(
    async () => {
      const prefix = `place ${++places}`
      return {
        open: async options => valkeyStore({ url: server.url, prefix, ...options }),
        cleanup: async () => {},
        durable: true,
        shared: true,
      }
    },
    (name, run) => {
      if (subjects.test(name)) test(name, run)
    },
  )
})
