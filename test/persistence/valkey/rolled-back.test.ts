import { afterEach, expect, test } from 'vitest'
import type { Store } from '../../../src/actors/contracts/store.ts'
import { type ValkeyStoreOptions, valkeyStore } from '../../../src/persistence/valkey/index.ts'
import { showsHistory, TestRun } from '../../../src/testing/store-conformance/test-run.ts'
import { describeOnEachValkey } from '../../servers/describe.ts'
import { ValkeyServer } from '../../servers/valkey.ts'

const partition = { namespace: 'tests', partition: 1 }

describeOnEachValkey('a server that forgot what it acknowledged', program => {
  const ends: (() => Promise<unknown>)[] = []
  afterEach(async () => {
    for (const end of ends.splice(0).reverse()) await end()
  })

  async function started(settings: Readonly<Record<string, string>> = {}): Promise<ValkeyServer> {
    const server = await ValkeyServer.start(settings, program)
    ends.push(() => server.stop())
    return server
  }

  function opened(options: ValkeyStoreOptions): Store {
    const store = valkeyStore(options)
    ends.push(() => store.close())
    return store
  }

  async function restored(server: ValkeyServer, copy: string): Promise<void> {
    await server.kill()
    server.restore(copy)
    await server.restart()
  }

  test('takes nothing more from a store that knows, and all from one that is made anew', async () => {
    const server = await started()
    const store = opened({ url: server.url })
    const run = await new TestRun('sha1', { key: 'a' }).create(store)
    const other = await new TestRun('sha1', { key: 'b' }).create(store)
    const copy = server.copy()
    await run.goOn(store)
    await restored(server, copy)
    // Of a run that it has forgotten something of, and of any other: whatever was decided may rest on what is lost.
    for (const item of [run.goesOn(), other.goesOn(), new TestRun('sha1').creates()]) {
      await expect(store.append([item])).rejects.toMatchObject({ code: 'STORE_ROLLED_BACK' })
    }
    await expect(store.claim({ ...partition, owner: 'p', group: 'g' })).rejects.toMatchObject({
      code: 'STORE_ROLLED_BACK',
    })
    await expect(store.release({ ...partition, epoch: 1 })).rejects.toMatchObject({ code: 'STORE_ROLLED_BACK' })
    await expect(store.renew('p', 1)).rejects.toMatchObject({ code: 'STORE_ROLLED_BACK' })
    const mail = { receiver: other.id, sender: run.id, seq: 0, index: 0, event: { type: 'E' } }
    await expect(store.deliver([mail])).rejects.toMatchObject({ code: 'STORE_ROLLED_BACK' })
    const anew = opened({ url: server.url })
    expect(await anew.head(run.id)).toMatchObject({ seq: 0, revision: 1 })
    expect(await anew.head(other.id)).toMatchObject({ seq: 0, revision: 1 })
    expect(await anew.lease(partition)).toBeUndefined()
    await other.goOn(anew)
    await showsHistory(anew, other)
  })

  test('is noticed also where others have written as much again', async () => {
    const server = await started()
    const store = opened({ url: server.url })
    const run = await new TestRun('sha1').create(store)
    const copy = server.copy()
    await run.goOn(store)
    await restored(server, copy)
    const anew = opened({ url: server.url })
    const item = { ...run.goesOn(), expected: { seq: 0, revision: 1 } }
    const units = [{ ...item.units[0]!, seq: 1, events: [{ type: 'ANOTHER' }] }]
    expect(await anew.append([{ ...item, units }])).toMatchObject([{ status: 'appended', seq: 1, revision: 2 }])
    await expect(store.append([run.goesOn()])).rejects.toMatchObject({ code: 'STORE_ROLLED_BACK' })
    expect((await anew.head(run.id))?.seq).toBe(1)
  })

  test('cannot give an epoch twice without notice', async () => {
    const server = await started()
    const store = opened({ url: server.url })
    const run = await new TestRun('sha1').create(store, {
      lease: await store.claim({ ...partition, owner: 'p', group: 'g' }),
    })
    const copy = server.copy()
    const lease = await store.claim({ ...partition, owner: 'p', group: 'g' })
    await restored(server, copy)
    expect(await opened({ url: server.url }).claim({ ...partition, owner: 'q', group: 'g' })).toMatchObject({
      epoch: 2,
    })
    await expect(store.append([run.goesOn(1, { lease })])).rejects.toMatchObject({ code: 'STORE_ROLLED_BACK' })
  })

  test('is noticed by what a store read, too: the error names the run', async () => {
    const server = await started()
    const [writer, reader] = [opened({ url: server.url }), opened({ url: server.url })]
    const run = await new TestRun('sha1').create(writer)
    await new TestRun('sha1').create(reader)
    const copy = server.copy()
    await run.goOn(writer, 3)
    // Looks where the run stands, and writes nothing: there is no such unit to begin a fork at.
    const fork = new TestRun('sha1', { fork: { of: run, at: 3 } })
    const creation = { ...fork.creation, fork: { ...fork.creation.fork!, at: 99 } }
    const item = { ...fork.creates(), units: [{ ...fork.beginning, seq: 99, creation }] }
    await expect(reader.append([item])).rejects.toThrow(TypeError)
    await restored(server, copy)
    const rolledBack = { code: 'STORE_ROLLED_BACK', details: { run: run.id } }
    const other = new TestRun('sha1')
    await expect(reader.append([other.creates(), run.goesOn()])).rejects.toMatchObject(rolledBack)
    expect(await reader.head(other.id)).toBeUndefined()
  })

  test('is noticed where nothing is on a disk', async () => {
    const server = await started({ appendonly: 'no' })
    const store = opened({ url: server.url, durability: 'memory' })
    const run = await new TestRun('sha1').create(store)
    await server.kill()
    await server.restart()
    await expect(store.append([run.goesOn()])).rejects.toMatchObject({ code: 'STORE_ROLLED_BACK' })
  })

  test('a store that closes takes its mark with it, and one that crashed leaves it for a month', async () => {
    const server = await started()
    const client = server.client()
    ends.push(() => client.quit())
    const month = 30 * 24 * 3600
    const now = Number(((await client.call('time')) as string[])[0])
    await client.hset('{xmachines}:marks', { old: `7 ${now - month - 60}`, young: `7 ${now - month + 60}` })
    const store = valkeyStore({ url: server.url })
    await new TestRun('sha1').create(store)
    expect(Object.keys(await client.hgetall('{xmachines}:marks'))).toHaveLength(2)
    await store.close()
    expect(Object.keys(await client.hgetall('{xmachines}:marks'))).toEqual(['young'])
  })

  test('replicas that were asked for are waited for, and missing ones make an outcome unknown', async () => {
    const [primary, replica] = [await started(), await started()]
    const client = replica.client()
    ends.push(() => client.quit())
    const store = opened({ url: primary.url, replicas: 1, patience: 0 })
    const run = new TestRun('sha1')
    const item = run.creates()
    await expect(store.append([item])).rejects.toMatchObject({ code: 'STORE_OUTCOME_UNKNOWN' })
    await client.replicaof('127.0.0.1', primary.port)
    const patient = opened({ url: primary.url, replicas: 1 })
    const created = await new TestRun('sha1', { key: 'k' }).create(patient)
    // What was acknowledged is on the replica.
    expect(await client.exists(`{xmachines}:run:${created.id}`)).toBe(1)
    // On its disk, where the server can say so.
    const asker = primary.client()
    ends.push(() => asker.quit())
    const knows = ((await asker.command('INFO', 'waitaof')) as unknown[])[0] !== null
    const asked = /cmdstat_(wait|waitaof):calls=\d+,usec=\d+,usec_per_call=[\d.]+,rejected_calls=0,failed_calls=0/g
    const calls = [...(await asker.info('commandstats')).matchAll(asked)].map(([, name]) => name)
    expect(calls).toEqual([knows ? 'waitaof' : 'wait'])
  })
})
