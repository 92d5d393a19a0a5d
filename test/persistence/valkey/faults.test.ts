import { once } from 'node:events'
import { Redis } from 'iovalkey'
import { afterEach, expect, test } from 'vitest'
import type { Store } from '../../../src/actors/contracts/store.ts'
import { type ValkeyStoreOptions, valkeyStore } from '../../../src/persistence/valkey/index.ts'
import { showsHistory, TestRun } from '../../../src/testing/store-conformance/test-run.ts'
import { runsInKeys } from '../../faults/kept-runs.ts'
import { underLoad, wrongRuns } from '../../faults/load.ts'
import { describeOnValkey } from '../../servers/describe.ts'
import { FaultyProxy } from '../../servers/faulty-proxy.ts'
import { ValkeyServer } from '../../servers/valkey.ts'

/** XM_LONG=1: longer. */
const rounds = process.env.XM_LONG === '1' ? 40 : 4

describeOnValkey('a server that fails', () => {
  const ends: (() => Promise<unknown>)[] = []
  afterEach(async () => {
    for (const end of ends.splice(0).reverse()) await end()
  })

  async function started(): Promise<ValkeyServer> {
    const server = await ValkeyServer.start()
    ends.push(() => server.stop())
    return server
  }

  function opened(options: ValkeyStoreOptions): Store {
    const store = valkeyStore(options)
    ends.push(() => store.close())
    return store
  }

  test('connections cut in the middle of appends lose nothing and repeat nothing', async () => {
    const server = await started()
    const stores = Array.from({ length: 3 }, () => opened({ url: server.url }))
    const admin = server.client()
    ends.push(() => admin.quit())
    let killed = 0
    const acknowledged = await underLoad(stores, rounds, async () => {
      killed += Number(await admin.call('client', ['kill', 'type', 'normal', 'skipme', 'yes']))
    })
    expect(killed).toBeGreaterThan(rounds)
    expect(wrongRuns(await runsInKeys(admin, 'xmachines'), acknowledged)).toEqual([])
  }, 120_000)

  test('a client that sends by itself what was not answered repeats nothing either, and stays its owner’s', async () => {
    const server = await started()
    // As they come: they queue, send again, and try twenty times.
    const clients = Array.from({ length: 3 }, () => new Redis(server.url))
    for (const client of clients) {
      client.on('error', () => {})
      ends.push(() => client.quit())
    }
    const stores = clients.map(client => opened({ client }))
    const admin = server.client()
    ends.push(() => admin.quit())
    const acknowledged = await underLoad(stores, rounds, () =>
      admin.call('client', ['kill', 'type', 'normal', 'skipme', 'yes']),
    )
    expect(wrongRuns(await runsInKeys(admin, 'xmachines'), acknowledged)).toEqual([])
    for (const store of stores) await store.close()
    for (const client of clients) expect(await client.ping()).toBe('PONG')
  }, 120_000)

  async function proxied(server: ValkeyServer): Promise<FaultyProxy> {
    const proxy = await FaultyProxy.start(server.port)
    ends.push(() => proxy.stop())
    return proxy
  }

  test('an append whose answer is lost is answered all the same, and was done once', async () => {
    const server = await started()
    const proxy = await proxied(server)
    const store = opened({ url: `redis://127.0.0.1:${proxy.port}` })
    const run = await new TestRun('sha1').create(store)
    for (let count = 0; count < 5; count++) {
      const isLost = proxy.loseAnswer()
      await run.goOn(store)
      await isLost
    }
    await showsHistory(store, run)
    const isLost = proxy.loseAnswer()
    const created = await new TestRun('sha1', { key: 'k' }).create(store)
    await isLost
    expect(await store.find('tests', 'k')).toBe(created.id)
  })

  test.each(['of the store', 'of its own that sends again'])(
    'an append by a client %s whose answer is lost while another goes on has an unknown outcome',
    async whose => {
      const server = await started()
      const proxy = await proxied(server)
      const client = new Redis(`redis://127.0.0.1:${proxy.port}`)
      client.on('error', () => {})
      ends.push(() => client.quit())
      const store = opened(whose === 'of the store' ? { url: `redis://127.0.0.1:${proxy.port}` } : { client })
      const other = opened({ url: server.url })
      const run = await new TestRun('sha1').create(store)
      const isLost = proxy.loseAnswer({ closes: true })
      const item = run.goesOn()
      const answer = store.append([item])
      const settled = expect(answer).rejects.toMatchObject({ code: 'STORE_OUTCOME_UNKNOWN', details: { run: run.id } })
      await isLost
      run.follow(item, { status: 'appended', seq: 1, revision: 2 })
      await run.goOn(other)
      proxy.open()
      await settled
      await showsHistory(store, run)
    },
  )

  test('mail whose answer is lost comes in once', async () => {
    const server = await started()
    const proxy = await proxied(server)
    const store = opened({ url: `redis://127.0.0.1:${proxy.port}` })
    const run = await new TestRun('sha1').create(store)
    const mail = { receiver: run.id, sender: run.id, seq: 0, index: 0, event: { type: 'E' } }
    // The first answer tells where the receiver is, the second what became of the mail; the third that the script is new.
    const isLost = proxy.loseAnswer({ after: 2 })
    expect(await store.deliver([mail])).toEqual(['duplicate'])
    await isLost
    expect(await store.deliver([mail])).toEqual(['duplicate'])
    expect((await store.head(run.id))?.beside.inbox).toEqual([mail])
  })

  test.each(['always', 'everysec'] as const)(
    'a server with appendfsync %s that is killed and started again has all that it acknowledged',
    async durability => {
      const server = await ValkeyServer.start({ appendfsync: durability })
      ends.push(() => server.stop())
      const options = { url: server.url, durability, patience: 60_000 }
      const stores = Array.from({ length: 3 }, () => opened(options))
      const acknowledged = await underLoad(stores, rounds, async () => {
        await server.kill()
        await server.restart()
      })
      const admin = server.client()
      ends.push(() => admin.quit())
      expect(wrongRuns(await runsInKeys(admin, 'xmachines'), acknowledged)).toEqual([])
      expect(acknowledged.count).toBeGreaterThan(rounds * 100)
    },
    240_000,
  )

  test('a server that does not answer is given up when patience is over, and what it did meanwhile is found', async () => {
    const server = await started()
    const client = new Redis(server.url, { commandTimeout: 200, maxRetriesPerRequest: 0 })
    client.on('error', () => {})
    ends.push(() => client.quit())
    const store = opened({ client, patience: 0 })
    const run = await new TestRun('sha1').create(store)
    const item = run.goesOn()
    const paused = server.pause()
    await expect(store.append([item])).rejects.toMatchObject({ code: 'STORE_OUTCOME_UNKNOWN' })
    paused.goOn()
    expect((await store.head(run.id))?.seq).toBe(1)
  })

  test('a server that cannot be reached is STORE_UNAVAILABLE, and the store goes on when it is there', async () => {
    const server = await started()
    const store = opened({ url: server.url, patience: 0 })
    const run = await new TestRun('sha1').create(store)
    await server.kill()
    await expect(run.goOn(store)).rejects.toMatchObject({ code: expect.stringMatching(/UNAVAILABLE|UNKNOWN/) })
    await expect(run.goOn(store)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    await server.restart()
    const patient = opened({ url: server.url })
    expect((await patient.head(run.id))?.seq).toBe(0)
    const client = server.client()
    await once(client, 'ready')
    await client.quit()
  })

  test('a claim that races with appends: after it, no unit of an older epoch', async () => {
    const server = await started()
    const stores = Array.from({ length: 3 }, () => opened({ url: server.url }))
    const partition = { namespace: 'tests', partition: 1 }
    const first = await stores[0]!.claim({ ...partition, owner: 'first', group: 'g' })
    const run = await new TestRun('sha1').create(stores[0]!, { lease: first })
    const claimedAt = new Map<number, number>()
    await Promise.all(
      stores.map(async (store, at) => {
        for (let turn = 0; turn < 20 * rounds; turn++) {
          const lease = await store.claim({ ...partition, owner: `${at}`, group: 'g' })
          let head = (await store.head(run.id))!
          claimedAt.set(lease.epoch, head.seq)
          for (let isHeld = true, count = 0; isHeld && count < 5; count++) {
            const { seq, revision } = head
            const units = [
              { seq: seq + 1, at: 2000, events: [{ type: 'E' }], outputs: [], origin: { kind: 'outside' } },
            ] as const
            const [outcome] = await store.append([{ run: run.id, expected: { seq, revision }, units, lease }])
            isHeld = outcome!.status !== 'fenced'
            head = (await store.head(run.id))!
          }
        }
      }),
    )
    let epoch = 0
    for await (const unit of stores[0]!.read(run.id)) {
      expect(unit.epoch).toBeGreaterThanOrEqual(epoch)
      epoch = unit.epoch!
      // What the holder saw after its claim was all that was before.
      if (claimedAt.has(epoch)) expect(unit.seq).toBeGreaterThan(claimedAt.get(epoch)!)
    }
    expect(epoch).toBeGreaterThan(20)
  }, 120_000)
})
