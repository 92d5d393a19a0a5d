import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { AppendItem, MailKey, Refusal } from '../../src/actors/contracts/store.ts'
import type { NewUnit, SourcePosition } from '../../src/actors/contracts/unit.ts'
import { amend, emptyBeside, table } from '../../src/persistence/judge.ts'
import { deepFreeze, testUnit } from '../../src/testing/store-conformance/test-run.ts'

const position: fc.Arbitrary<SourcePosition> = fc.record({
  id: fc.constantFrom('s', 't', '__proto__', 'constructor'),
  position: fc.oneof(fc.nat(9), fc.bigInt({ min: 0n, max: 9n })),
})
const mailKey: fc.Arbitrary<MailKey> = fc.record(
  {
    sender: fc.constantFrom('x', 'y'),
    seq: fc.nat(2),
    index: fc.nat(1),
    failure: fc.boolean(),
  },
  { requiredKeys: ['sender', 'seq', 'index'] },
)
const mark = fc.record({ seq: fc.nat(9), index: fc.nat(2) })

const refusalAt = (at: SourcePosition): Refusal => ({
  ...at,
  at: 0,
  error: { code: 'X', message: '' },
  record: { topic: 't', partition: 0, offset: '0', timestamp: 0, key: null, value: null, headers: [] },
})

const change = fc.record(
  {
    sources: fc.array(position, { maxLength: 3 }),
    outbox: fc.uniqueArray(fc.nat(9), { maxLength: 3 }),
    published: mark,
    taken: fc.array(mailKey, { maxLength: 3 }),
    mailing: fc.uniqueArray(fc.nat(9), { maxLength: 3 }),
    mailed: mark,
    returns: fc.array(
      mailKey.map(key => ({ ...key, receiver: key.sender, event: { type: 'E' } })),
      { maxLength: 2 },
    ),
    returned: fc.array(mailKey, { maxLength: 2 }),
    refused: fc.array(position.map(refusalAt), { maxLength: 2 }),
    acknowledged: fc.array(position, { maxLength: 2 }),
    attempts: fc.dictionary(fc.constantFrom('a', 'b', '__proto__'), fc.option(fc.nat(5)), { noNullPrototype: false }),
    parked: fc.option(fc.constant({ at: 1, code: 'X', message: '' })),
    held: fc.boolean(),
    process: fc.option(fc.constantFrom('p', 'q')),
    owners: fc.dictionary(fc.constantFrom('a', 'b', '__proto__'), fc.option(fc.constantFrom('p', 'q')), {
      noNullPrototype: false,
    }),
  },
  { requiredKeys: [] },
)

const steps = fc.array(
  fc.record({ units: fc.array(fc.array(position, { maxLength: 2 }), { maxLength: 3 }), change: fc.option(change) }),
  { maxLength: 8 },
)

function itemOf(step: { units: SourcePosition[][]; change: AppendItem['beside'] | null }): AppendItem {
  const units: NewUnit[] = step.units.map((sources, seq) => ({ ...testUnit(seq), sources }))
  const beside = step.change === null ? {} : { beside: step.change }
  return deepFreeze({ run: 'run', expected: { seq: -1, revision: 0 }, units, ...beside } as AppendItem)
}

describe('amend', () => {
  test('positions are the greatest that were taken, by source, however they came', () => {
    fc.assert(
      fc.property(steps, list => {
        const greatest = new Map<string, bigint>()
        const take = (at: SourcePosition): void => {
          const value = BigInt(at.position)
          if (!greatest.has(at.id) || value > greatest.get(at.id)!) greatest.set(at.id, value)
        }
        let beside = emptyBeside
        for (const step of list) {
          for (const at of [...step.units.flat(), ...(step.change?.sources ?? []), ...(step.change?.refused ?? [])])
            take(at)
          beside = amend(beside, itemOf(step))
        }
        const got = new Map(Object.entries(beside.sources).map(([id, value]) => [id, BigInt(value)]))
        expect(new Map([...got].sort())).toEqual(new Map([...greatest].sort()))
      }),
    )
  })

  test('everything else is what a plain model says', () => {
    fc.assert(
      fc.property(steps, list => {
        let beside = emptyBeside
        let outbox: number[] = []
        let published: { seq: number; index: number } | null = null
        let refusals: string[] = []
        const attempts = new Map<string, number>()
        const owners = new Map<string, string>()
        let [parked, held, process]: unknown[] = [null, false, null]
        for (const step of list) {
          beside = amend(beside, itemOf(step))
          const { change } = step
          if (change === null) continue
          if (change.published && (!published || compare(change.published, published) > 0)) published = change.published
          outbox = [...outbox, ...(change.outbox ?? [])].filter(seq => published === null || seq > published.seq)
          const gone = (change.acknowledged ?? []).map(name)
          refusals = [...refusals, ...(change.refused ?? []).map(name)].filter(at => !gone.includes(at))
          for (const [key, count] of Object.entries(change.attempts ?? {})) {
            if (count === null) attempts.delete(key)
            else attempts.set(key, count)
            if (count === null) owners.delete(key)
          }
          for (const [key, owner] of Object.entries(change.owners ?? {})) {
            if (owner === null) owners.delete(key)
            else owners.set(key, owner)
          }
          if (change.parked !== undefined) parked = change.parked
          if (change.held !== undefined) held = change.held
          if (change.process !== undefined) process = change.process
        }
        expect(beside.outbox).toEqual(outbox)
        expect(beside.published).toEqual(published)
        expect(beside.refusals.map(name)).toEqual(refusals)
        expect(Object.entries(beside.attempts).sort()).toEqual([...attempts].sort())
        expect(Object.entries(beside.owners).sort()).toEqual([...owners].sort())
        expect([beside.parked, beside.held, beside.process]).toEqual([parked, held, process])
      }),
    )
  })

  test('never changes what it was given, and gives frozen parts', () => {
    fc.assert(
      fc.property(steps, list => {
        let beside = emptyBeside
        for (const step of list) {
          const before = JSON.stringify(beside, bigints)
          const next = amend(beside, itemOf(step))
          expect(JSON.stringify(beside, bigints)).toBe(before)
          for (const part of Object.values(next)) expect(Object.isFrozen(part)).toBe(true)
          expect(Object.isFrozen(next)).toBe(true)
          beside = next
        }
      }),
    )
  })

  test('one item with all the units takes what the items one by one take', () => {
    fc.assert(
      fc.property(fc.array(fc.array(position, { maxLength: 2 }), { maxLength: 5 }), units => {
        const together = amend(emptyBeside, itemOf({ units, change: null }))
        const apart = units.reduce(
          (beside, unit) => amend(beside, itemOf({ units: [unit], change: null })),
          emptyBeside,
        )
        expect(apart).toEqual(together)
      }),
    )
  })

  test('gives back the same object where nothing changes', () => {
    const beside = amend(emptyBeside, itemOf({ units: [[{ id: 's', position: 4 }]], change: { held: true } }))
    expect(amend(beside, itemOf({ units: [[], []], change: null }))).toBe(beside)
    expect(amend(beside, itemOf({ units: [[{ id: 's', position: 4n }]], change: null }))).toBe(beside)
  })
})

function compare(one: { seq: number; index: number }, other: { seq: number; index: number }): number {
  return one.seq - other.seq || one.index - other.index
}

function name(at: SourcePosition): string {
  return `${at.id} ${at.position}`
}

function bigints(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? `${value}n` : value
}

test('table: has own properties only, and takes any name', () => {
  const names = table<number>(JSON.parse('{"a": 1, "__proto__": 2, "constructor": 3}'))
  expect(Object.entries(names)).toEqual([
    ['a', 1],
    ['__proto__', 2],
    ['constructor', 3],
  ])
  expect(table<number>({}).toString).toBeUndefined()
})
