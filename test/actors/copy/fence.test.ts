import { describe, expect, test } from 'vitest'
import { type AppendItem, copyStore, type Store } from 'xmachines'
import { memoryStore } from 'xmachines/persistence/memory'
import { faultyStore } from '../../../src/testing/faulty-store.ts'
import { collect, shown, TestRun } from '../../../src/testing/store-conformance/test-run.ts'
import { otherProcess, World } from '../supervisor/world.ts'

const one = { namespace: 'tests', partition: 1 }

/** A source that is written to while it is copied: what was acknowledged must be in the target. */
class Moved {
  readonly from = memoryStore()
  readonly #memory = memoryStore()
  readonly to = faultyStore(this.#memory)
  readonly #acknowledged: { readonly run: string; readonly seq: number }[] = []

  /** @returns whether it was acknowledged */
  async write(run: TestRun, item: AppendItem): Promise<boolean> {
    const [outcome] = await this.from.append([item])
    if (outcome!.status !== 'appended') return false
    run.follow(item, outcome)
    this.#acknowledged.push({ run: run.id, seq: outcome!.seq })
    return true
  }

  /** Copies with a fence; `meanwhile` runs once when the first pass has read the source, and writes to the target. */
  async fence(meanwhile: () => Promise<void>): Promise<Awaited<ReturnType<typeof copyStore>>> {
    const held = this.to.faults.plan('append.delay')
    const copied = copyStore(this.from, this.to, { source: 'fence' })
    await held.met
    await meanwhile()
    held.release()
    return copied
  }

  /** What was acknowledged and is not in the target as it is in the source. */
  async missing(): Promise<readonly object[]> {
    const missing: object[] = []
    for (const { run, seq } of this.#acknowledged) {
      const [want, have] = [await idOf(this.from, run, seq), await idOf(this.#memory, run, seq)]
      if (want === undefined || want !== have) missing.push({ run, seq })
    }
    return missing
  }
}

async function idOf(store: Store, run: string, seq: number): Promise<string | undefined> {
  if ((await store.head(run)) === undefined) return undefined
  return (await collect(store.read(run, { from: seq, to: seq })))[0]?.id
}

describe('a fenced source', () => {
  test('a partition that nobody owns is claimed, too: whoever has a run of it open is refused', async () => {
    const moved = new Moved()
    const lease = await moved.from.claim({ ...one, owner: 'p', group: 'g' })
    const run = new TestRun('sha1')
    await moved.write(run, run.creates({ lease }))
    await moved.from.release(lease)
    await moved.fence(async () => expect(await moved.write(run, run.goesOn(1))).toBe(false))
    expect(await moved.missing()).toEqual([])
  })

  test('a rebalance in that moment: what its new owner writes is copied, and it is fenced again', async () => {
    const moved = new Moved()
    const lease = await moved.from.claim({ ...one, owner: 'p', group: 'g' })
    const run = new TestRun('sha1')
    await moved.write(run, run.creates({ lease }))
    const next = { ...one, epoch: 3 }
    const report = await moved.fence(async () => {
      await moved.from.claim({ ...one, owner: 'q', group: 'g' })
      expect(await moved.write(run, run.goesOn(3, { lease: next }))).toBe(true)
    })
    expect(report).toMatchObject({ runs: 1, units: 4, failed: [] })
    expect(await moved.write(run, run.goesOn(1, { lease: next }))).toBe(false)
    expect(await moved.missing()).toEqual([])
    // Whoever takes over in the target does so above all that wrote in the source.
    expect((await moved.to.claim({ ...one, owner: 'r', group: 'g' })).epoch).toBeGreaterThan(3)
  })

  test('also where the new owner has given it back again', async () => {
    const moved = new Moved()
    const lease = await moved.from.claim({ ...one, owner: 'p', group: 'g' })
    const run = new TestRun('sha1')
    await moved.write(run, run.creates({ lease }))
    await moved.fence(async () => {
      const next = await moved.from.claim({ ...one, owner: 'q', group: 'g' })
      expect(await moved.write(run, run.goesOn(3, { lease: next }))).toBe(true)
      await moved.from.release(next)
    })
    expect(await moved.write(run, run.goesOn(1))).toBe(false)
    expect(await moved.missing()).toEqual([])
  })

  test.each([0, 2, 40])('an owner of partition %i, which has no run yet, creates none any more', async partition => {
    const moved = new Moved()
    const lease = await moved.from.claim({ ...one, owner: 'p', group: 'g' })
    const run = new TestRun('sha1')
    await moved.write(run, run.creates({ lease }))
    const other = await moved.from.claim({ ...one, partition, owner: 'p', group: 'g' })
    await moved.fence(async () => {
      const first = new TestRun('sha1')
      expect(await moved.write(first, first.creates({ lease: other }))).toBe(false)
    })
    const later = new TestRun('sha1')
    expect(await moved.write(later, later.creates({ lease: other }))).toBe(false)
    expect(await moved.missing()).toEqual([])
  })

  test('a partition that is claimed for the first time in that moment is copied and fenced', async () => {
    const moved = new Moved()
    const lease = await moved.from.claim({ ...one, owner: 'p', group: 'g' })
    const run = new TestRun('sha1')
    await moved.write(run, run.creates({ lease }))
    const [first, later] = [new TestRun('sha1'), new TestRun('sha1')]
    const other = { ...one, partition: 2, epoch: 1 }
    await moved.fence(async () => {
      await moved.from.claim({ ...other, owner: 'q', group: 'g' })
      expect(await moved.write(first, first.creates({ lease: other }))).toBe(true)
    })
    expect(await moved.write(later, later.creates({ lease: other }))).toBe(false)
    expect(await moved.missing()).toEqual([])
  })

  test('what a run of no partition goes on with meanwhile is copied when its process has ended', async () => {
    const moved = new Moved()
    const [run, later] = [new TestRun('sha1'), new TestRun('sha1')]
    await moved.write(run, run.creates())
    await moved.fence(async () => {})
    expect(await moved.write(run, run.goesOn(2, { due: 5 }))).toBe(true)
    expect(await moved.write(later, later.creates())).toBe(true)
    expect(await moved.missing()).toHaveLength(2)
    expect(await copyStore(moved.from, moved.to, { source: 'quiet' })).toMatchObject({ units: 3, failed: [] })
    expect(await moved.missing()).toEqual([])
    expect(await moved.to.head(run.id)).toMatchObject({ due: 5, beside: { held: false } })
  })

  test('two that fence one source at once both end', async () => {
    const moved = new Moved()
    const lease = await moved.from.claim({ ...one, owner: 'p', group: 'g' })
    const run = new TestRun('sha1')
    await moved.write(run, run.creates({ lease }))
    const other = memoryStore()
    await Promise.all([moved.fence(async () => {}), copyStore(moved.from, other, { source: 'fence' })])
    expect(await moved.missing()).toEqual([])
    expect((await other.head(run.id))?.seq).toBe(0)
  })
})

describe('a fleet whose source is fenced', () => {
  const keys = [...'abcdefghijkl']

  /** All histories, and what is beside them that a copy brings. */
  async function contentOf(store: Store): Promise<unknown> {
    const content: unknown[] = []
    for await (const { run, status, beside, due } of store.list())
      content.push({ run, status, beside, due, units: (await collect(store.read(run))).map(shown) })
    return content
  }

  test('a supervisor that joins in that moment is fenced, too, and all that it has written is copied', async () => {
    const world = new World({ partitions: 4 })
    const to = faultyStore(memoryStore())
    const first = world.supervise()
    await world.send(...keys.map(key => [key, { type: 'ADD', by: 1 }] as const))
    await first.supervisor.caughtUp()
    const held = to.faults.plan('append.delay')
    const copied = copyStore(world.store, to, { source: 'fence' })
    await held.met
    const second = world.supervise({ store: otherProcess(world.store) })
    const written = second.supervisor.units().getReader()
    await second.event('claimed')
    await world.send(...keys.map(key => [key, { type: 'ADD', by: 2 }] as const))
    // It has a lease that is good, on the source: its senders are answered.
    expect((await written.read()).value).toBeDefined()
    await written.cancel()
    await first.event('stopped')
    held.release()
    expect((await copied).failed).toEqual([])
    const content = await contentOf(world.store)
    expect(await contentOf(to)).toEqual(content)
    await world.send(...keys.map(key => [key, { type: 'ADD', by: 3 }] as const))
    await second.event('stopped')
    expect(await contentOf(world.store)).toEqual(content)
  })
})
