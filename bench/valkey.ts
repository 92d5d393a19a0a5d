import type { Redis } from 'iovalkey'
import { openRun, type Store } from 'xmachines'
import { valkeyStore } from 'xmachines/persistence/valkey'
import { missingValkey, ValkeyServer } from '../test/servers/valkey.ts'
import { type Comparison, compare } from './compare.ts'
import { order, orderEvents } from './machines.ts'
import { overlapping } from './overlapping.ts'

const awaitedUnits = 2_000
const overlappedUnits = 40_000
const runCount = 1000

/** The Valkey store, every append on the disk: one run awaited against a bare XADD, many runs overlapped against pipelined ones. */
export async function valkey(): Promise<Comparison[]> {
  const missing = missingValkey()
  if (missing !== undefined) throw new Error(missing)
  const server = await ValkeyServer.start()
  const client = server.client()
  const events = orderEvents(overlappedUnits)
  let prefixes = 0
  const fresh = (): Store => valkeyStore({ url: server.url, prefix: `bench ${++prefixes}` })
  const fields = await fieldsOf(client, fresh())
  let store = fresh()

  const awaited = await compare(
    'valkey: one run, awaited',
    0.8,
    {
      name: 'XADD',
      async run() {
        for (let i = 0; i < awaitedUnits; i++) await client.xadd('bare', `${i + 1}-0`, ...fields)
        return awaitedUnits
      },
      after: async () => void (await client.flushall()),
    },
    {
      name: 'await run.apply',
      prepare() {
        store = fresh()
      },
      async run() {
        const run = await openRun(order, { store, key: 'o' })
        for (let i = 0; i < awaitedUnits; i++) await run.apply(events[i]!)
        return awaitedUnits
      },
      async after() {
        await store.close()
        await client.flushall()
      },
    },
    5,
  )

  const overlapped = await compare(
    'valkey: 1,000 runs, overlapped',
    0.8,
    {
      name: 'pipelined XADD',
      async run() {
        for (let i = 0; i < overlappedUnits; i += runCount) {
          const pipeline = client.pipeline()
          for (let n = 0; n < runCount; n++) pipeline.xadd(`bare ${n}`, `${i + 1}-0`, ...fields)
          await pipeline.exec()
        }
        return overlappedUnits
      },
      after: async () => void (await client.flushall()),
    },
    overlapping(events, fresh, async store => {
      await store.close()
      await client.flushall()
    }),
    5,
  )
  await client.quit()
  await server.stop()
  return [awaited, overlapped]
}

/** The fields of a unit of middling length, as the store writes it. */
async function fieldsOf(client: Redis, store: Store): Promise<string[]> {
  const run = await openRun(order, { store, key: 'o' })
  for (const event of orderEvents(1000)) await run.apply(event)
  const [key] = await client.keys('*units*')
  const units = (await client.xrange(key!, '-', '+')).map(([, fields]) => fields)
  await store.close()
  await client.flushall()
  return units.sort((a, b) => a.join('').length - b.join('').length)[units.length >> 1]!
}
