import { expect } from 'vitest'
import { createRun, forkRun, openRun, type Store, supervise } from 'xmachines'
import { memoryBroker } from 'xmachines/transports/memory'
import { createActor } from 'xstate'
import { nextShop, parcel, shop } from './shop.ts'

const fresh = { time: 'source', at: 0 } as const

/** Records runs that know of one another, and every other way for a unit to come to be. */
export async function recordShops(store: Store): Promise<void> {
  const open = (key: string) => openRun([shop, parcel], { store, key, ...fresh })
  const [ann, bob] = [await open('ann'), await open('bob')]
  const steps: [object, object?][] = [
    [{ type: 'TELL', machine: 'shop', key: 'bob', event: 'GREET' }, { id: 'webhook-1' }],
    [{ type: 'TELL', machine: 'shop', key: 'nobody', event: 'GREET' }, { source: { id: 'import.csv', position: 7 } }],
    [{ type: 'SEND', key: 'p-1' }, { trace: { traceparent: `00-${'1'.repeat(32)}-${'2'.repeat(16)}-01` } }],
    [{ type: 'TELL', machine: 'parcel', key: 'p-1', event: 'ARRIVE' }],
    [{ type: 'SEND', key: 'p-2' }],
    [{ type: 'TELL', machine: 'parcel', key: 'p-2', event: 'BREAK' }],
    [{ type: 'TELL', machine: 'parcel', key: 'p-2~1', event: 'BREAK' }],
    [{ type: 'SEND', key: 'p-3' }],
    [{ type: 'CLOSE' }],
  ]
  for (const [index, [event, options]] of steps.entries()) {
    expect(await ann.apply(event as never, { at: 10 * (index + 1), ...options })).toMatchObject({ ok: true })
    await settled(store)
  }
  const fork = await forkRun(
    { store, id: bob.id, machine: shop },
    { at: 0, key: 'bob, forked', replace: [{ type: 'GREET' }, { type: 'GREET' }] },
  )
  for (const run of [ann, bob, fork]) await run.close()

  const carl = await open('carl')
  for (const [index, type] of (['LISTEN', 'ASK', 'CHARGE', 'WATCH'] as const).entries()) {
    expect(await carl.apply({ type }, { at: index })).toMatchObject({ ok: true })
    await settled(store)
  }
  await carl.stop('moved away')
  await carl.close()

  const actor = createActor(shop.machine).start()
  actor.send({ type: 'GREET' })
  const snapshot = actor.getPersistedSnapshot()
  const dora = createRun(shop, { store, key: 'dora', snapshot, ...fresh })
  await dora.apply({ type: 'GREET' }, { at: 1 })
  await dora.close()
  const next = await openRun(nextShop, { store, key: 'dora' })
  await next.apply({ type: 'GREET' }, { at: 2 })
  await next.advance(100_000)
  await next.close()

  const unkeyed = createRun(shop, { store, ...fresh })
  await unkeyed.apply({ type: 'GREET' })
  await unkeyed.close()

  const broker = memoryBroker({ id: 'golden', partitions: 1 })
  const consumer = broker.consumer({ topic: 'shops', group: 'shop-runs' })
  const supervisor = supervise({ machine: shop, store, consumer, time: 'source' })
  await broker.producer({ topic: 'shops' }).send([{ key: 'emil', value: JSON.stringify({ type: 'GREET' }) }])
  await supervisor.caughtUp()
  await supervisor.close()
  await broker.close()
}

/** Resolves when nothing of any run is under way. A callback that goes on listening is not. */
async function settled(store: Store): Promise<void> {
  let before = ''
  for (let still = 0; still < 10; still++) {
    await new Promise(resolve => setTimeout(resolve, 50))
    const heads: unknown[] = []
    for await (const { run, seq, due, beside } of store.list())
      heads.push([run, seq, due, beside.waiting, beside.mailing])
    const now = JSON.stringify(heads)
    if (now !== before) still = 0
    before = now
  }
}
