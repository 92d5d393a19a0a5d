import type { Store } from '../../actors/contracts/store.ts'
import { check, equal, rejects } from '../check.ts'
import type { Bench, StoreCheck } from './place.ts'
import { collect, deepFreeze, showsHistory, TestRun, testMachine, testUnit } from './test-run.ts'

const one = { namespace: 'tests', partition: 1 }

/** A check of what survives: `write`, then look twice, as a store may read what it wrote another way than what it reads. */
function survives<T>(
  name: string,
  write: (store: Store) => Promise<T>,
  look: (store: Store, written: T) => Promise<void>,
): StoreCheck {
  return {
    name: `reopen: ${name}`,
    needs: 'durable',
    async run(bench: Bench) {
      const first = await bench.open()
      const written = await write(first)
      await look(first, written)
      const second = await bench.reopen(first)
      await look(second, written)
      await look(await bench.reopen(second), written)
    },
  }
}

const trace = deepFreeze({ traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' })

/** What survives a close, of stores that say so. */
export const durabilityChecks: readonly StoreCheck[] = [
  survives(
    'histories and their ids',
    async store => {
      const run = await new TestRun('sha1', { key: 'a', input: { text: 'ключ 🔑\u0000' } }).create(store, {}, 5)
      await run.goOn(store, [
        testUnit(6, { requestId: 'r', trace, attempts: 2, state: 'ff', sources: [{ id: 's', position: 2n ** 60n }] }),
      ])
      const lease = await store.claim({ ...one, owner: 'p', group: 'g' })
      await run.goOn(store, 2, { lease })
      const fork = await new TestRun('sha1', { key: 'b', fork: { of: run, at: 4 } }).create(store, {}, 3)
      return [run, fork, await new TestRun('sha1').create(store, {}, 600)]
    },
    async (store, runs) => {
      for (const run of runs) await showsHistory(store, run)
      for (const run of runs) await showsHistory(store, run, { from: 3, to: 5 })
    },
  ),

  survives(
    'heads, with all that is kept beside',
    async store => {
      const run = await new TestRun('sha1', { key: 'a' }).create(store, { value: { a: ['x'] }, due: 5 })
      const refusal = deepFreeze({
        id: 'cluster/topic/3',
        position: 2n ** 60n + 1n,
        at: 7,
        error: { code: 'X', message: 'why' },
        record: { topic: 't', partition: 3, offset: '9', timestamp: 7, key: 'a', value: null, headers: [['h', 'v']] },
      } as const)
      await run.goOn(store, 2, {
        beside: {
          sources: [
            { id: 's', position: 2n ** 60n + 3n },
            { id: '__proto__', position: 1 },
          ],
          outbox: [1, 2],
          published: { seq: 0, index: 1 },
          refused: [refusal],
          attempts: { a: 2, constructor: 1 },
          parked: deepFreeze({ at: 1, code: 'RUN_DAMAGED', message: 'x' }),
          held: true,
          process: 'p',
          owners: { a: 'q', constructor: 'r' },
        },
      })
      await store.deliver([
        deepFreeze({ receiver: run.id, sender: run.id, seq: 1, index: 0, event: { type: 'E' }, trace }),
        deepFreeze({ receiver: run.id, sender: run.id, seq: 1, index: 0, event: { type: 'F' }, failure: true }),
      ])
      run.revision += 2
      await run.goOn(store, 0, { beside: { taken: [{ sender: run.id, seq: 1, index: 0 }] } })
      return { run, head: await store.head(run.id) }
    },
    async (store, { run, head }) => {
      const found = await store.head(run.id)
      equal(found, head, 'the head')
      equal(Object.keys(found!.beside.sources).sort(), ['__proto__', 'cluster/topic/3', 's'], 'the sources')
      for (const name of ['toString', 'valueOf'])
        check(
          !(name in found!.beside.attempts) && !(name in found!.beside.owners),
          `nobody has any attempts of ${name}`,
        )
    },
  ),

  survives(
    'ends, migrations, whose child a run is and what it has yet to send',
    async store => {
      const name = { namespace: 'tests', key: 'child' }
      const parent = deepFreeze({
        name,
        run: 'ab'.repeat(20),
        seq: 3,
        index: 1,
        policy: 'stop',
        linked: true,
        restarts: 1,
      } as const)
      const run = await new TestRun('sha1', { key: 'a' }).create(store, { beside: { parent } })
      const machine = testMachine('sha1', '2')
      const migration = testUnit(1, {
        events: [],
        machine: machine.oid,
        origin: { kind: 'migration', from: run.machine.oid },
      })
      await run.goOn(store, [migration], { machine })
      const answer = deepFreeze({
        receiver: run.id,
        sender: run.id,
        seq: 1,
        index: 0,
        event: { type: 'E' },
        failure: true,
      } as const)
      await run.goOn(store, 2, {
        status: 'done',
        beside: { linked: true, mailing: [2, 3], mailed: { seq: 2, index: 1 }, returns: [answer] },
      })
      return { run, head: await store.head(run.id), mail: { ...answer, seq: 2 } }
    },
    async (store, { run, head, mail }) => {
      equal([head?.status, head?.version, head?.beside.mailing], ['done', '2', [2, 3]], 'what was written of the head')
      equal(await store.head(run.id), head, 'the head')
      equal(await store.deliver([mail]), ['finished'], 'the answer to mail')
      await showsHistory(store, run)
    },
  ),

  survives(
    'pins, machines, leases and the order of the list',
    async store => {
      const machine = testMachine('sha1', '2')
      const runs = [0, 1, 2, 3].map(n => new TestRun('sha1', { key: `${n}`, machine }))
      for (const run of runs) await run.create(store)
      await store.claim({ ...one, owner: 'p', group: 'g' })
      await store.claim({ ...one, owner: 'q', group: 'h' })
      await store.release(await store.claim({ ...one, partition: 2, owner: 'p', group: 'g' }))
      return { machine, runs, ids: runs.map(run => run.id).sort() }
    },
    async (store, { machine, runs, ids }) => {
      for (const run of runs) equal(await store.find('tests', run.creation.key!), run.id, 'the run of a key')
      equal(await store.machine(machine.oid), machine, 'the machine')
      equal(await store.lease(one), { ...one, epoch: 2, owner: 'q', group: 'h' }, 'a row')
      const released = { ...one, partition: 2, epoch: 1, owner: null, group: null }
      equal(await store.lease({ ...one, partition: 2 }), released, 'a row that was released')
      equal(
        (await collect(store.list())).map(head => head.run),
        ids,
        'the list',
      )
    },
  ),

  survives(
    'who is due, and in which partition',
    async store => {
      const lease = await store.claim({ ...one, owner: 'p', group: 'g' })
      const free = await new TestRun('sha1').create(store, { due: 20 })
      const early = await new TestRun('sha1').create(store, { due: 30 })
      await early.goOn(store, 0, { due: 10 })
      const pinned = await new TestRun('sha1').create(store, { due: 5, lease })
      const quiet = await new TestRun('sha1').create(store, { due: 1 })
      await quiet.goOn(store, 0, { due: null })
      const inFlight = await new TestRun('sha1').create(store, { due: 90, beside: { process: 'p' } })
      await store.renew('p', 40)
      const mailed = await new TestRun('sha1').create(store, { due: 80 })
      await store.deliver([
        deepFreeze({ receiver: mailed.id, sender: free.id, seq: 0, index: 0, event: { type: 'E' } }),
      ])
      return { free, early, pinned, inFlight, mailed }
    },
    async (store, { free, early, pinned, inFlight, mailed }) => {
      const due = await store.due({ before: 100, limit: 100 })
      equal(
        due.map(entry => [entry.run, entry.due]),
        [
          [mailed.id, 0],
          [early.id, 10],
          [free.id, 20],
          [inFlight.id, 40],
        ],
        'those of no partition',
      )
      const ofOne = await store.due({ before: 100, limit: 100, lease: one })
      equal(
        ofOne.map(entry => [entry.run, entry.due]),
        [[pinned.id, 5]],
        'those of the partition',
      )
    },
  ),

  {
    name: 'reopen: everything goes on where it stood',
    needs: 'durable',
    async run(bench) {
      let store = await bench.open()
      const run = await new TestRun('sha1', { key: 'a' }).create(store, {}, 2)
      const mail = deepFreeze({ receiver: run.id, sender: run.id, seq: 1, index: 0, event: { type: 'E' } })
      await store.deliver([mail])
      run.revision++
      await run.change(store, { taken: [{ sender: run.id, seq: 1, index: 0 }], sources: [{ id: 's', position: 9 }] })
      const lease = await store.claim({ ...one, owner: 'p', group: 'g' })
      await run.goOn(store, 1, { lease })
      for (let round = 0; round < 3; round++) {
        store = await bench.reopen(store)
        equal(await store.deliver([mail]), ['duplicate'], 'the answer to mail that was taken')
        const behind = { ...run.goesOn([testUnit(1)], { lease }), expected: { seq: 0, revision: 1 } }
        const stands = { status: 'conflict', seq: run.seq, revision: run.revision }
        equal(await store.append([behind]), [stands], 'the outcome of a writer that is behind')
        equal((await store.append([run.goesOn()]))[0]?.status, 'fenced', 'the outcome without the lease')
        await run.goOn(store, 2, { lease, beside: { sources: [{ id: 's', position: 1 }] } })
        equal((await store.head(run.id))?.beside.sources, { s: 9 }, 'the positions')
        const rival = new TestRun('sha1', { key: 'a', input: round })
        equal(await store.append([rival.creates()]), [{ status: 'pinned', run: run.id }], 'the outcome of a rival')
        await showsHistory(store, run)
      }
      equal((await store.claim({ ...one, owner: 'q', group: 'g' })).epoch, 2, 'the epoch of the next claim')
    },
  },

  {
    name: 'reopen: a snapshot is found or lost, and never another one',
    needs: 'durable',
    async run(bench) {
      const first = await bench.open()
      const run = await new TestRun('sha1').create(first, {}, 3)
      const snapshot = deepFreeze({ seq: 3, machine: run.machine.oid, format: 1, state: { text: 'ключ 🔑' } })
      await first.saveSnapshot(run.id, snapshot)
      const found = await (await bench.reopen(first)).loadSnapshot(run.id)
      if (found !== undefined) equal(found, snapshot, 'the snapshot')
    },
  },

  {
    name: 'reopen: with the other hash is OBJECT_FORMAT_MISMATCH, and leaves the store as it was',
    needs: 'durable',
    async run(bench) {
      const first = await bench.open()
      const run = await new TestRun('sha1').create(first, {}, 3)
      await first.close()
      const asOther = async (): Promise<unknown> => (await bench.open('sha256')).head(run.id)
      await rejects(asOther(), 'OBJECT_FORMAT_MISMATCH', 'opening it as sha256')
      await showsHistory(await bench.open(), run)
    },
  },
]
