import { Redis as IoRedis } from 'ioredis'
import { Redis as IoValkey } from 'iovalkey'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { valkeyStore } from '../../../src/persistence/valkey/index.ts'
import { TestRun } from '../../../src/testing/store-conformance/test-run.ts'
import { storeConformance } from '../../../src/testing/store-conformance.ts'
import { describeOnValkey } from '../../servers/describe.ts'
import { ValkeyServer } from '../../servers/valkey.ts'

/** Clients of the caller, as they are by default: they queue, connect again and repeat commands by themselves. */
const clients = {
  ioredis: (url: string) => new IoRedis(url),
  iovalkey: (url: string) => new IoValkey(url),
}

/** What differs by the client: what is asked of it, and what it answers. XM_LONG=1: all. */
const subjects = process.env.XM_LONG === '1' ? /^/ : /^(append|content|lease|mail|reopen|snapshot)\b/

describeOnValkey('valkeyStore with a client of its caller', () => {
  let server: ValkeyServer
  let places = 0
  beforeAll(async () => {
    server = await ValkeyServer.start()
  })
  afterAll(() => server.stop())

  test('a client that gives numbers as text', async () => {
    const client = new IoValkey(server.url, { stringNumbers: true })
    const store = valkeyStore({ client, prefix: 'text' })
    const partition = { namespace: 'a', partition: 0 }
    const { epoch } = await store.claim({ ...partition, owner: 'p', group: 'g' })
    expect(await store.release({ ...partition, epoch })).toBe(true)
    // More than go into one script.
    const runs = Array.from({ length: 130 }, () => new TestRun('sha1'))
    await store.append(runs.map(run => run.creates()))
    const again = await store.append(runs.map(run => run.creates()))
    expect(again).toEqual(runs.map(() => ({ status: 'conflict', seq: 0, revision: 1 })))
    expect((await store.head(runs[0]!.id))?.beside.waiting).toBe(0)
    await store.close()
    client.disconnect()
  })

  for (const [name, connect] of Object.entries(clients)) {
    describe(name, () => {
      const open: { disconnect(): void }[] = []
      afterAll(() => open.forEach(client => void client.disconnect()))

      storeConformance(
        async () => {
          const client = connect(server.url)
          open.push(client)
          const prefix = `place ${++places}`
          return {
            open: async options => valkeyStore({ client, prefix, ...options }),
            cleanup: async () => {},
            durable: true,
            shared: true,
          }
        },
        (subject, check) => {
          if (subjects.test(subject)) test(subject, check)
        },
      )
    })
  }
})
