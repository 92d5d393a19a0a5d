import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { AppendItem, AppendOutcome, LeaseKey, LeaseRow } from '../../src/actors/contracts/store.ts'
import { type JudgedRun, judge, judgeMail } from '../../src/persistence/judge.ts'
import { validateItem } from '../../src/persistence/misuse.ts'
import { deepFreeze, TestRun, testMachine, testUnit } from '../../src/testing/store-conformance/test-run.ts'

const partitions: readonly LeaseKey[] = [
  { namespace: 'a', partition: 0 },
  { namespace: 'a', partition: 1 },
  { namespace: 'b', partition: 0 },
]

const anyPartition = fc.constantFrom(...partitions)
const same = (one: LeaseKey | undefined, other: LeaseKey | undefined): boolean =>
  JSON.stringify([one?.namespace, one?.partition]) === JSON.stringify([other?.namespace, other?.partition])

interface Situation {
  readonly item: AppendItem
  readonly row: JudgedRun | undefined
  readonly pinned: string | undefined
  readonly rows: readonly LeaseRow[]
}

/** Small numbers, so that every kind of match and mismatch is common. */
const situation: fc.Arbitrary<Situation> = fc
  .record({
    creates: fc.boolean(),
    expected: fc.record({ seq: fc.nat(2), revision: fc.integer({ min: 1, max: 3 }) }),
    count: fc.nat(3),
    lease: fc.option(fc.record({ key: anyPartition, epoch: fc.integer({ min: 1, max: 3 }) }), { nil: undefined }),
    row: fc.option(
      fc.record({
        seq: fc.nat(2),
        revision: fc.integer({ min: 1, max: 3 }),
        lease: fc.option(anyPartition, { nil: undefined }),
      }),
      { nil: undefined },
    ),
    pinned: fc.constantFrom(undefined, 'run', 'other'),
    rows: fc
      .subarray([...partitions])
      .chain(keys =>
        fc.tuple(
          ...keys.map(key =>
            fc
              .record({ epoch: fc.integer({ min: 1, max: 3 }), owner: fc.constantFrom(null, 'p') })
              .map(held => ({ ...key, ...held, group: held.owner && 'g' })),
          ),
        ),
      ),
  })
  .map(({ creates, expected, count, lease, row, pinned, rows }) => {
    const start = creates ? 0 : expected.seq + 1
    const units = Array.from({ length: creates ? count + 1 : count }, (_, index) => testUnit(start + index))
    const item: AppendItem = {
      run: 'run',
      expected: creates ? null : expected,
      units,
      ...(lease === undefined ? {} : { lease: { ...lease.key, epoch: lease.epoch } }),
    }
    return deepFreeze({ item, row, pinned, rows })
  })

/** The rule as a table: the first line whose condition holds decides. */
function byTable({ item, row, pinned, rows }: Situation): AppendOutcome {
  const rowOf = (key: LeaseKey): LeaseRow | undefined => rows.find(other => same(other, key))
  const fencedBy = (held: LeaseRow | undefined): AppendOutcome => ({
    status: 'fenced',
    epoch: held ? held.epoch : 0,
    owner: held ? held.owner : null,
  })
  const mine = item.lease && rowOf(item.lease)
  const owner = row?.lease && rowOf(row.lease)
  const creates = item.expected === null
  const stands = { seq: row ? row.seq : -1, revision: row ? row.revision : 0 }
  const lines: [boolean, AppendOutcome][] = [
    [item.lease !== undefined && !(mine?.owner && mine.epoch === item.lease.epoch), fencedBy(mine)],
    [
      Boolean(item.lease && row?.lease && !same(item.lease, row.lease)),
      { status: 'misplaced', partition: row?.lease ?? partitions[0]! },
    ],
    [creates && pinned === 'other', { status: 'pinned', run: 'other' }],
    [creates && row !== undefined, { status: 'conflict', ...stands }],
    [!creates && !item.lease && Boolean(owner?.owner), fencedBy(owner)],
    [!creates && JSON.stringify(item.expected) !== JSON.stringify(stands), { status: 'conflict', ...stands }],
    [true, { status: 'appended', seq: item.units.at(-1)?.seq ?? stands.seq, revision: stands.revision + 1 }],
  ]
  return lines.find(([holds]) => holds)![1]
}

describe('judge', () => {
  test('decides as the table of the rule does', () => {
    const met = new Set<string>()
    fc.assert(
      fc.property(situation, given => {
        const { item, row, pinned, rows } = given
        const outcome = judge(item, row, pinned, key => rows.find(other => same(other, key)))
        met.add(outcome.status)
        expect(outcome).toEqual(byTable(given))
      }),
      { numRuns: Number(process.env.FC_RUNS) || 2000 },
    )
    expect([...met].sort()).toEqual(['appended', 'conflict', 'fenced', 'misplaced', 'pinned'])
  })

  test('of two items that expect the same, never takes both', () => {
    fc.assert(
      fc.property(situation, ({ item, row, pinned, rows }) => {
        const leaseOf = (key: LeaseKey): LeaseRow | undefined => rows.find(other => same(other, key))
        const first = judge(item, row, pinned, leaseOf)
        if (first.status !== 'appended') return
        const lease = row?.lease ?? item.lease
        const after = { seq: first.seq, revision: first.revision, lease }
        expect(judge(item, after, item.expected === null ? 'run' : pinned, leaseOf).status).toBe('conflict')
      }),
    )
  })
})

test('judgeMail: unknown, then duplicate, then finished, then taken', () => {
  expect(judgeMail(undefined, true)).toBe('unknown')
  expect(judgeMail({ status: 'done' }, true)).toBe('duplicate')
  expect(judgeMail({ status: 'stopped' }, false)).toBe('finished')
  expect(judgeMail({ status: 'active' }, false)).toBe('taken')
})

describe('validateItem', () => {
  const run = new TestRun('sha1')
  const fork = (() => {
    const origin = new TestRun('sha1')
    origin.follow(origin.creates({}, 4), { status: 'appended', seq: 4, revision: 1 })
    return new TestRun('sha1', { fork: { of: origin, at: 3 } })
  })()
  run.seq = 4
  run.revision = 5
  const machine = testMachine('sha1', '2')
  const migration = testUnit(5, { machine: machine.oid })

  const right: Record<string, AppendItem> = {
    'a creation': run.creates(),
    'a creation with more units': run.creates({}, 3),
    'the creation of a fork': fork.creates({}, 2),
    'no units': run.goesOn(0),
    'units that go on': run.goesOn(3),
    'a migration': run.goesOn([migration], { machine }),
    'a creation that migrates at once': {
      ...run.creates({ machine }),
      units: [run.beginning, { ...migration, seq: 1 }],
    },
  }
  for (const [what, item] of Object.entries(right)) {
    test(`takes ${what}`, () => validateItem(item))
  }

  const { machine: _, ...bare } = run.creates()
  const wrong: Record<string, [unknown, RegExp]> = {
    'no run': [{ ...run.goesOn(), run: '' }, /`run`/],
    'units that are no list': [{ ...run.goesOn(), units: undefined }, /`units`/],
    'a creation without units': [{ ...run.creates(), units: [] }, /creation/],
    'a creation without a machine': [bare, /machine\.oid/],
    'a creation with another machine': [{ ...run.creates(), machine }, /machine\.oid/],
    'a creation at another seq': [{ ...run.creates(), units: [{ ...run.beginning, seq: 1 }] }, /to be 0; got 1/],
    'a fork at another seq': [{ ...fork.creates(), units: [{ ...fork.beginning, seq: 0 }] }, /to be 3; got 0/],
    'an expectation that is none': [{ ...run.goesOn(), expected: undefined }, /`expected`/],
    'an expectation without a revision': [{ ...run.goesOn(), expected: { seq: 4 } }, /`expected`/],
    'a gap': [run.goesOn([testUnit(6)]), /to be 5; got 6/],
    'a gap between': [run.goesOn([testUnit(5), testUnit(7)]), /units\[1\]\.seq` .* to be 6; got 7/],
    'a unit without a time': [run.goesOn([{ ...testUnit(5), at: undefined as never }]), /with at/],
    'a unit without events': [run.goesOn([{ ...testUnit(5), events: undefined as never }]), /events/],
    'a second creation': [run.goesOn([{ ...run.beginning, seq: 5 }]), /exists already/],
    'a migration without its machine': [run.goesOn([migration]), /machine\.oid/],
    'a machine for nothing': [run.goesOn(1, { machine }), /machine\.oid/],
    'a time that is no number': [run.goesOn([testUnit(5, { at: Number.NaN })]), /with at/],
    'an endless due time': [
      run.goesOn(1, { due: Number.POSITIVE_INFINITY }),
      /`due` .* to be a time or null; got Infinity/,
    ],
    'a position of a unit that is no number': [
      run.goesOn([testUnit(5, { sources: [{ id: 's', position: Number.NaN }] })]),
      /`position` of source s .* got NaN/,
    ],
    'a position of a source without a name': [
      run.goesOn([testUnit(5, { sources: [{ position: 1 } as never] })]),
      /`id` of a source/,
    ],
    'an endless position beside': [
      run.goesOn(0, { beside: { sources: [{ id: 's', position: Number.NEGATIVE_INFINITY }] } }),
      /got -Infinity/,
    ],
    'a refusal at no position': [
      run.goesOn(0, { beside: { refused: [{ id: 's', position: undefined } as never] } }),
      /got undefined/,
    ],
  }
  for (const [what, [item, text]] of Object.entries(wrong)) {
    test(`refuses ${what}`, () => {
      expect(() => validateItem(item as AppendItem)).toThrow(TypeError)
      expect(() => validateItem(item as AppendItem)).toThrow(text)
    })
  }
})
