import { describe, expect, test } from 'vitest'
import { memoryStore } from 'xmachines/persistence/memory'
import { CopyMemory } from '../../../src/actors/copy/copy-memory.ts'
import { StoreCopier } from '../../../src/actors/copy/copy-store.ts'
import { faultyStore } from '../../../src/testing/faulty-store.ts'
import { showsHistory, TestRun } from '../../../src/testing/store-conformance/test-run.ts'

const keys = [...'abcdefghij']

/** A copy between two stores that count what is read of them. */
async function pair() {
  const [from, to] = [faultyStore(memoryStore()), faultyStore(memoryStore())]
  const runs: TestRun[] = []
  for (const key of keys) runs.push(await new TestRun('sha1', { key }).create(from, {}, 3))
  for (const of of runs.slice(0, 3)) runs.push(await new TestRun('sha1', { fork: { of, at: 2 } }).create(from, {}, 1))
  const reads: string[] = []
  for (const store of [from, to]) {
    const read = store.read.bind(store)
    store.read = (run, options) => {
      reads.push(run)
      return read(run, options)
    }
  }
  return { from, to, runs, reads, copier: new StoreCopier(from, to) }
}

describe('a copier', () => {
  test('reads in a further pass only runs that have changed, and of these only what is new', async () => {
    const { from, to, runs, reads, copier } = await pair()
    expect(await copier.copy()).toMatchObject({ runs: 13, units: 46 })
    reads.length = 0
    expect(await copier.copy()).toEqual({ runs: 13, unchanged: 13, units: 0, failed: [] })
    expect(reads).toEqual([])
    await runs[4]!.goOn(from, 2)
    await runs[11]!.goOn(from, 1)
    await runs[6]!.change(from, { parked: { at: 1, code: 'X', message: 'x' } })
    expect(await copier.copy()).toEqual({ runs: 13, unchanged: 10, units: 3, failed: [] })
    expect(reads.toSorted()).toEqual([runs[4]!.id, runs[11]!.id].toSorted())
    for (const run of runs) await showsHistory(to, run)
  })

  test('compares no run again when the source is quiet at last, and lets each go', async () => {
    const { to, runs, reads, copier } = await pair()
    await copier.copy()
    reads.length = 0
    expect(await copier.copy({ source: 'fence' })).toEqual({ runs: 13, unchanged: 0, units: 0, failed: [] })
    expect(reads).toEqual([])
    for (const { id } of runs) expect((await to.head(id))?.beside.held).toBe(false)
  })

  test('looks again where somebody else has written to the target, or nobody knows what was written', async () => {
    const { from, to, runs, copier } = await pair()
    await copier.copy()
    const { seq, revision } = (await to.head(runs[4]!.id))!
    const other = await runs[4]!.goesOn(1).units
    await to.append([
      {
        run: runs[4]!.id,
        expected: { seq, revision },
        units: [{ ...other[0]!, events: [{ type: 'OTHER' }] }],
      },
    ])
    await runs[4]!.goOn(from, 2)
    expect((await copier.copy()).failed).toMatchObject([{ run: runs[4]!.id, error: { code: 'IMPORT_DIFFERS' } }])
    await runs[5]!.goOn(from, 2)
    to.faults.plan('append.after')
    await expect(copier.copy()).rejects.toMatchObject({ code: 'STORE_OUTCOME_UNKNOWN' })
    expect((await copier.copy()).failed).toHaveLength(1)
    await showsHistory(to, runs[5]!)
  })

  test('remembers a bounded number of runs; the others are only looked at again', () => {
    const memory = new CopyMemory(2)
    const head = (run: string, revision: number) => ({ run, revision }) as Parameters<CopyMemory['remember']>[0]
    for (const run of ['a', 'b', 'c']) memory.remember(head(run, 1), 1, true)
    memory.remember(head('a', 2), 5, true)
    const isAsLeft = (run: string, source: number, target: number, held = true) =>
      memory.isAsLeft(head(run, source), head(run, target), held)
    expect([isAsLeft('a', 2, 5), isAsLeft('b', 1, 1), isAsLeft('c', 1, 1)]).toEqual([true, true, false])
    expect([isAsLeft('a', 3, 5), isAsLeft('a', 2, 6), isAsLeft('a', 2, 5, false)]).toEqual([false, false, false])
    memory.remember(head('b', 2), undefined, true)
    expect([isAsLeft('b', 1, 1), memory.isCompared(head('b', 1))]).toEqual([false, false])
  })
})
