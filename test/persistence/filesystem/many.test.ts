import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { AppendItem } from '../../../src/actors/contracts/store.ts'
import { collect, TestRun, testMachine } from '../../../src/testing/store-conformance/test-run.ts'
import { bytesInUse } from '../../bytes-in-use.ts'
import { temporaryDirectory } from './directory.ts'
import { openStore } from './stores.ts'

let place: ReturnType<typeof temporaryDirectory>
let dir: string
beforeEach(() => {
  place = temporaryDirectory()
  dir = join(place.dir, 'store')
})
afterEach(() => place.remove())

const machine = testMachine('sha1')
const idOf = (index: number): string => createHash('sha1').update(`run ${index}`).digest('hex')

function creates(index: number): AppendItem {
  const creation = { machine: machine.oid, namespace: 'tests', key: `k${index}`, time: 'arrival' } as const
  const origin = { kind: 'outside' } as const
  const units = [{ seq: 0, at: index, events: [], outputs: [], origin, creation }]
  return { run: idOf(index), expected: null, units, machine, value: index, due: index % 10 === 0 ? index : null }
}

function goesOn(index: number, revision: number): AppendItem {
  const origin = { kind: 'outside' } as const
  const units = [{ seq: revision, at: index, events: [{ type: 'E' }], outputs: [], origin }]
  return { run: idOf(index), expected: { seq: revision - 1, revision }, units, value: index + 0.5 }
}

describe('many runs', () => {
  const went = new Set<number>()
  test('are packed while others go on, and nothing is lost', async () => {
    const { store, warnings } = openStore(dir, { segmentBytes: 4 << 20 })
    const total = 80_000
    for (let from = 0; from < total; from += 1000) {
      const indices = Array.from({ length: 1000 }, (_, index) => from + index)
      await store.append(indices.map(creates))
      // Old ones go on meanwhile: rows that are being packed, rows that are packed, rows that are neither.
      const again = indices.filter(index => index % 7 === 0).map(index => (index * 31) % (from + 1000))
      const fresh = [...new Set(again)].filter(index => !went.has(index))
      for (const index of fresh) went.add(index)
      const outcomes = await store.append(fresh.map(index => goesOn(index, 1)))
      expect(outcomes.every(outcome => outcome.status === 'appended')).toBe(true)
    }
    async function holds(store: ReturnType<typeof openStore>['store']): Promise<void> {
      const heads = await collect(store.list())
      expect(heads.length).toBe(total)
      let last = ''
      for (const head of heads) {
        if (head.run <= last) throw new Error(`${head.run} comes after ${last}`)
        last = head.run
        const index = head.at
        const seq = went.has(index) ? 1 : 0
        if (
          head.run !== idOf(index) ||
          head.seq !== seq ||
          head.revision !== seq + 1 ||
          head.value !== index + seq / 2
        ) {
          throw new Error(`the head of run ${index} is ${JSON.stringify(head)}`)
        }
      }
      for (let index = 0; index < total; index += 997) expect(await store.find('tests', `k${index}`)).toBe(idOf(index))
      expect((await store.due({ before: total, limit: total })).length).toBe(total / 10)
    }
    await holds(store)
    await store.close()
    expect(warnings).toEqual([])
    const again = openStore(dir)
    await holds(again.store)
    await again.store.close()
  })
})

describe('a reader that stands still', () => {
  test('holds a bounded piece of the log, however long the history is', async () => {
    const { store } = openStore(dir)
    const runs = [new TestRun('sha1'), new TestRun('sha1')]
    const text = 'x'.repeat(2000)
    for (const run of runs) await run.create(store)
    for (let call = 0; call < 100; call++) {
      for (const run of runs) {
        const item = run.goesOn(100)
        const units = item.units.map(unit => ({ ...unit, events: [{ type: 'E', text }], outputs: [] }))
        const [outcome] = await store.append([{ ...item, units }])
        if (outcome?.status !== 'appended') throw new Error('not appended')
        run.seq = outcome.seq
        run.revision = outcome.revision
      }
    }
    const before = await bytesInUse()
    const readers = runs.flatMap(run =>
      [0, 3000, 9000].map(from => store.read(run.id, { from, ids: false }).getReader()),
    )
    for (const reader of readers) for (let count = 0; count < 100; count++) await reader.read()
    // 48 MB of log; each reader holds at most 2 MB of windows and a batch of 256 KB, as bytes and as objects.
    expect((await bytesInUse()) - before).toBeLessThan(readers.length * 4_000_000)
    for (const reader of readers) await reader.cancel()
    await store.close()
  })
})
