import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { LeaseKey } from '../../src/actors/contracts/store.ts'
import { Attention, AttentionIndex } from '../../src/persistence/attention.ts'

const namespaces = ['a', 'b'] as const
const leases: readonly (LeaseKey | undefined)[] = [
  undefined,
  undefined,
  { namespace: 'a', partition: 1 },
  { namespace: 'b', partition: 1 },
]

interface Row {
  readonly run: string
  readonly namespace: string
  due: number | null
  process: string | null
  lease: LeaseKey | undefined
}

const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('set' as const),
      run: fc.nat(11),
      due: fc.option(fc.nat(20)),
      process: fc.option(fc.constantFrom('p', 'q')),
      pin: fc.boolean(),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('renew' as const),
      process: fc.constantFrom('p', 'q'),
      until: fc.nat(20),
    }),
  },
)

const query = fc.record(
  {
    before: fc.integer({ min: -1, max: 21 }),
    limit: fc.nat(14),
    namespace: fc.constantFrom(...namespaces),
    lease: fc.constantFrom(...leases.slice(2)) as fc.Arbitrary<LeaseKey>,
  },
  { requiredKeys: ['before', 'limit'] },
)

const same = (one: LeaseKey | undefined, other: LeaseKey | undefined): boolean =>
  one?.namespace === other?.namespace && one?.partition === other?.partition

describe('AttentionIndex', () => {
  test('tells what a scan of all runs tells, after any changes', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(step, query), { maxLength: 60 }), list => {
        const index = new AttentionIndex()
        const until = new Map<string, number>()
        const rows: Row[] = Array.from({ length: 12 }, (_, n) => ({
          run: `run ${String(n).padStart(2, '0')}`,
          namespace: namespaces[n % 2]!,
          due: null,
          process: null,
          lease: undefined,
        }))
        const entries = rows.map(row => new Attention(row.run, row.namespace))
        for (const [change, asked] of list) {
          if (change.kind === 'renew') {
            until.set(change.process, change.until)
            index.renew(change.process, change.until)
          } else {
            const row = rows[change.run]!
            Object.assign(row, { due: change.due, process: change.process })
            if (change.pin) row.lease ??= leases[change.run % leases.length]
            index.set(entries[change.run]!, row.due, row.process, row.lease)
          }
          const wanted = rows
            .filter(row => same(row.lease, asked.lease))
            .filter(row => asked.namespace === undefined || row.namespace === asked.namespace)
            .map(row => {
              const ranOut = row.process === null ? null : (until.get(row.process) ?? 0)
              const times = [row.due, ranOut].filter(time => time !== null)
              return { row, due: Math.min(...times) }
            })
            .filter(({ due }) => due <= asked.before)
            .sort((one, other) => one.due - other.due)
            .map(({ row: { run, namespace, lease }, due }) => ({ run, namespace, due, ...(lease && { lease }) }))
          const got = index.due(asked)
          expect(got.map(entry => entry.due)).toEqual(wanted.slice(0, asked.limit).map(entry => entry.due))
          expect(new Set(got.map(entry => entry.run)).size).toBe(got.length)
          for (const entry of got) expect(wanted).toContainEqual(entry)
        }
      }),
    )
  })

  test('asking for the first few does not look at all that are due', () => {
    const index = new AttentionIndex()
    let looks = 0
    for (let n = 0; n < 20_000; n++) {
      const entry = new Attention(`run ${n}`, 'a')
      let due: number | null = null
      Object.defineProperty(entry, 'due', {
        get: () => {
          looks++
          return due
        },
        set: value => {
          due = value
        },
      })
      index.set(entry, (n * 7919) % 20_011, null, undefined)
    }
    looks = 0
    expect(index.due({ before: 30_000, limit: 10 }).length).toBe(10)
    expect(looks).toBeGreaterThan(10)
    expect(looks).toBeLessThan(3000)
  })
})
