import type { Mail, Store } from '../../actors/contracts/store.ts'
import { collect, deepFreeze, TestRun } from './test-run.ts'

/** One operation of the contract, with arguments that fit any state of the store. */
export interface Operation {
  readonly name: keyof Store
  /** @param run a run that may or may not be in the store */
  run(store: Store, run: TestRun, signal?: AbortSignal): Promise<unknown>
  /** What a store without any run answers. */
  readonly empty: unknown
  /** A stream, which need not outlive a close. */
  readonly stream?: true
  readonly writes?: true
}

const key = { namespace: 'tests', partition: 7 }

function mailTo(run: TestRun): Mail {
  return deepFreeze({ receiver: run.id, sender: 'a'.repeat(40), seq: 8, index: 8, event: { type: 'E' } })
}

/** Every operation of a store. */
export const operations: readonly Operation[] = [
  {
    name: 'append',
    run: (store, run, signal) => {
      const item = run.seq < 0 ? run.creates({ due: 3 }, 2) : run.goesOn(3, { due: 3, beside: { attempts: { a: 1 } } })
      return store.append([item], { signal })
    },
    empty: [{ status: 'appended', seq: 2, revision: 1 }],
    writes: true,
  },
  {
    name: 'read',
    run: async (store, run, signal) => (await collect(store.read(run.id, { signal }))).map(unit => unit.id),
    empty: 'RUN_UNKNOWN',
    stream: true,
  },
  { name: 'head', run: (store, run, signal) => store.head(run.id, { signal }), empty: undefined },
  {
    name: 'find',
    run: (store, run, signal) => store.find('tests', run.creation.key ?? '', { signal }),
    empty: undefined,
  },
  { name: 'list', run: (store, _, signal) => collect(store.list({ signal })), empty: [], stream: true },
  { name: 'machine', run: (store, run, signal) => store.machine(run.machine.oid, { signal }), empty: undefined },
  {
    name: 'saveSnapshot',
    run: (store, run, signal) =>
      store.saveSnapshot(run.id, { seq: 0, machine: run.machine.oid, format: 1, state: 'saved' }, { signal }),
    empty: undefined,
    writes: true,
  },
  { name: 'loadSnapshot', run: (store, run, signal) => store.loadSnapshot(run.id, { signal }), empty: undefined },
  {
    name: 'claim',
    run: (store, _, signal) => store.claim({ ...key, owner: 'other', group: 'other' }, { signal }),
    empty: { ...key, epoch: 1, owner: 'other', group: 'other' },
    writes: true,
  },
  {
    name: 'release',
    run: (store, _, signal) => store.release({ ...key, epoch: 1 }, { signal }),
    empty: false,
    writes: true,
  },
  { name: 'lease', run: (store, _, signal) => store.lease(key, { signal }), empty: undefined },
  {
    name: 'deliver',
    run: (store, run, signal) => store.deliver([mailTo(run)], { signal }),
    empty: ['unknown'],
    writes: true,
  },
  { name: 'due', run: (store, _, signal) => store.due({ before: 9, limit: 9 }, { signal }), empty: [] },
  { name: 'renew', run: (store, _, signal) => store.renew('p', 99, { signal }), empty: undefined, writes: true },
  { name: 'livesUntil', run: (store, _, signal) => store.livesUntil(['p', 'nobody'], { signal }), empty: [0, 0] },
]

/** A store's whole content, as far as the contract shows it, after `prepare`. */
export async function contentOf(store: Store, run: TestRun): Promise<unknown> {
  return {
    heads: await collect(store.list()),
    units: (await collect(store.read(run.id))).map(unit => [unit.id, unit.epoch]),
    lease: await store.lease(key),
    due: await store.due({ before: 1000, limit: 1000 }),
    lives: await store.livesUntil(['p']),
    pinned: await store.find('tests', run.creation.key ?? ''),
  }
}

/** A run and a lease for the operations to meet. The run is due when process `p` ran out. */
export async function prepare(store: Store): Promise<TestRun> {
  const run = new TestRun('sha1', { key: 'prepared' })
  await run.create(store, { beside: { process: 'p' }, due: 500 }, 2)
  await store.renew('p', 400)
  await store.claim({ ...key, owner: 'p', group: 'g' })
  return run
}
