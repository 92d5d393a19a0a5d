import fc from 'fast-check'
import type { BesideChange, LeaseRow, Mail, Store } from 'xmachines'
import { collect, deepFreeze, shown, TestRun, testUnit } from '../../src/testing/store-conformance/test-run.ts'

/** Something that is done to a store; numbers choose among what there is. */
export type Deed =
  | { readonly does: 'create' | 'fork' | 'grow' | 'claim' | 'release' | 'snapshot'; readonly n: number }
  | {
      readonly does: 'mail' | 'take' | 'refuse' | 'acknowledge' | 'publish' | 'send' | 'try' | 'end'
      readonly n: number
    }

/** Many of them. */
export const deeds: fc.Arbitrary<Deed[]> = fc.array(
  fc.record({
    does: fc.constantFrom<Deed['does'][]>(
      ...([
        'create',
        'create',
        'fork',
        'grow',
        'grow',
        'claim',
        'release',
        'snapshot',
        'mail',
        'mail',
        'take',
      ] as const),
      ...(['refuse', 'acknowledge', 'publish', 'send', 'try', 'end'] as const),
    ),
    n: fc.nat(1000),
  }) as fc.Arbitrary<Deed>,
  { maxLength: 40 },
)

/** Whoever writes to a store as deeds say. */
export class Author {
  readonly #store: Store
  readonly #runs: TestRun[] = []
  readonly #leases = new Map<number, LeaseRow>()
  readonly #pinned = new Map<TestRun, number>()
  #keys = 0
  /** The position of a record that was refused last: none is refused twice (semantics 20). */
  #refused = 0
  /** The mail that was answered last: none is answered twice. */
  #answered = 0

  constructor(store: Store) {
    this.#store = store
  }

  async do({ does, n }: Deed): Promise<void> {
    const run = this.#runs[n % (this.#runs.length || 1)]
    if (does === 'create') return this.#create(new TestRun('sha1', n % 2 === 0 ? { key: `k${this.#keys++}` } : {}), n)
    if (does === 'claim') return this.#claim(n % 3)
    if (run === undefined) return
    const { beside, revision } = (await this.#store.head(run.id))!
    // A copy settles mail in its source.
    run.revision = revision
    switch (does) {
      case 'fork':
        return run.seq < 0
          ? undefined
          : this.#create(new TestRun('sha1', { fork: { of: run, at: n % (run.seq + 1) } }), n)
      case 'grow':
        return this.#write(run, { sources: [{ id: `s${n % 2}`, position: n % 5 === 0 ? BigInt(n) : n }] }, (n % 3) + 1)
      case 'release': {
        const row = this.#leases.get(n % 3)
        this.#leases.delete(n % 3)
        if (row !== undefined) await this.#store.release(row)
        return
      }
      case 'snapshot':
        return this.#store.saveSnapshot(run.id, { seq: run.seq, machine: run.machine.oid, format: 1, state: { n } })
      case 'mail': {
        const mail: Mail = { receiver: run.id, sender: this.#runs[0]!.id, seq: n, index: 0, event: { type: 'M', n } }
        if ((await this.#store.deliver([deepFreeze(mail)]))[0] === 'taken') run.revision++
        return
      }
      case 'take':
        return this.#write(run, { taken: beside.inbox.slice(0, 1 + (n % 3)) }, n % 2)
      case 'refuse':
        return this.#write(run, {
          refused: [refusal(++this.#refused)],
          parked: n % 4 === 0 ? { at: n, code: 'X', message: 'x' } : null,
        })
      case 'acknowledge':
        return this.#write(run, { acknowledged: beside.refusals.slice(0, 1) })
      case 'publish':
        return this.#write(
          run,
          { outbox: [run.seq + 1], ...(n % 2 === 0 && { published: { seq: run.seq, index: 0 } }) },
          1,
        )
      case 'send':
        return this.#write(run, {
          returns: [
            { receiver: run.id, sender: run.id, seq: ++this.#answered, index: 0, failure: true, event: { type: 'R' } },
          ],
        })
      case 'try':
        return this.#write(run, {
          attempts: { [`a${n % 3}`]: n % 4 === 0 ? null : n, b: 1 },
          held: n % 5 === 0,
          process: n % 2 === 0 ? 'p' : null,
          owners: { [`a${n % 3}`]: n % 5 < 2 ? null : 'q', b: 'r' },
        })
      case 'end':
        return this.#write(run, { taken: beside.inbox }, 1, 'done')
    }
  }

  async #claim(partition: number): Promise<void> {
    this.#leases.set(partition, await this.#store.claim({ namespace: 'tests', partition, owner: 'p', group: 'g' }))
  }

  async #create(run: TestRun, n: number): Promise<void> {
    const partition = n % 4
    const lease = this.#leases.get(partition)
    if (lease !== undefined) this.#pinned.set(run, partition)
    await run.create(this.#store, { due: n, ...(lease && { lease }), value: { n } })
    this.#runs.push(run)
  }

  async #write(run: TestRun, beside: BesideChange, units = 0, status?: 'done'): Promise<void> {
    const partition = this.#pinned.get(run)
    const lease = partition === undefined ? undefined : this.#leases.get(partition)
    const made = Array.from({ length: units }, (_, at) =>
      testUnit(run.seq + 1 + at, { state: `${run.seq}`, requestId: `r${at}` }),
    )
    await run.goOn(this.#store, made, { beside: deepFreeze(beside), lease, due: units, ...(status && { status }) })
  }
}

function refusal(n: number) {
  const record = { topic: 't', partition: 0, offset: `${n}`, timestamp: n, key: null, value: null, headers: [] }
  return { id: 'r', position: n, at: n, error: { code: 'X', message: 'x' }, record }
}

/** All that a store holds, but for what is its own: revisions, and who owns a partition. */
export async function contentOf(store: Store): Promise<unknown> {
  const runs = []
  for (const listed of await collect(store.list())) {
    const { revision: _, ...head } = (await store.head(listed.run, { mail: 1e9 }))!
    const units = (await collect(store.read(head.run))).map(shown)
    const pinned = head.key === undefined ? undefined : await store.find(head.namespace, head.key)
    const epoch = head.lease && (await store.lease(head.lease))?.epoch
    const snapshot = await store.loadSnapshot(head.run)
    runs.push({ head, units, pinned, epoch, machine: await store.machine(head.machine), snapshot: snapshot?.state })
  }
  return runs
}

/** A copy that is made again claims again, where there is something to write; and looks for no snapshot where nothing was. */
export function lasting(content: unknown): unknown {
  return (content as { readonly epoch?: number; readonly snapshot?: unknown }[]).map(
    ({ epoch, snapshot, ...run }) => run,
  )
}
