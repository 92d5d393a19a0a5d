import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Beside } from '../../../src/actors/contracts/store.ts'
import { MailMarks } from '../../../src/persistence/filesystem/mail-marks.ts'
import { type MachineAt, Row } from '../../../src/persistence/filesystem/row.ts'
import { emptyTable } from '../../../src/persistence/filesystem/table.ts'
import { GrowingDictionary, mergeTable, sortedIds } from '../../../src/persistence/filesystem/table-merge.ts'
import { atOnce } from '../../../src/persistence/filesystem/turns.ts'
import { emptyBeside } from '../../../src/persistence/judge.ts'
import { Waiting } from '../../../src/persistence/waiting.ts'

/** Few leading digits, so that ids meet. */
const id = fc
  .tuple(fc.constantFrom('000000000000', 'ffffffffffff', '0000000000', 'a1b2c3', ''), fc.nat(99))
  .map(([lead, n]) => `${lead}${String(n).padStart(40 - lead.length, '0')}`)
const text = fc.oneof(
  fc.constantFrom('', 'a', 'ключ', 'a\u0000b', '__proto__'),
  fc.string({ maxLength: 5, unit: 'binary' }),
)
const machine = fc.constantFrom<MachineAt>(
  { oid: 'm1', id: 'x', version: '1', position: 10_000_000_123 },
  { oid: 'm2', id: 'y', version: '2', position: 5 },
)

const beside = fc.oneof(
  fc.constant(emptyBeside),
  fc
    .record({
      sources: fc.array(fc.tuple(text, fc.oneof(fc.bigInt(), fc.maxSafeInteger()))),
      outbox: fc.array(fc.nat(9)),
      mailing: fc.array(fc.nat(9)),
      mailed: fc.option(fc.constant({ seq: 3, index: 1 })),
      process: fc.option(fc.constant('p')),
      held: fc.boolean(),
      linked: fc.boolean(),
      parent: fc.option(
        fc.record({
          name: fc.record({ namespace: text, key: text }),
          run: id,
          seq: fc.nat(),
          index: fc.nat(9),
          policy: fc.constantFrom('stop' as const, 'escalate' as const, { restart: 2 }),
          linked: fc.boolean(),
          restarts: fc.nat(2),
        }),
      ),
    })
    .map(
      ({ sources, ...rest }): Beside => ({
        ...emptyBeside,
        ...rest,
        sources: Object.assign(Object.create(null), Object.fromEntries(sources)),
      }),
    ),
)

const row = fc
  .record({
    run: id,
    namespace: text,
    key: fc.option(text, { nil: undefined }),
    time: fc.constantFrom('arrival' as const, 'source' as const),
    fork: fc.option(fc.record({ run: id, at: fc.nat(), position: fc.maxSafeNat() }), { nil: undefined }),
    machine,
    seq: fc.nat(),
    revision: fc.maxSafeNat(),
    at: fc.double({ noNaN: true, noDefaultInfinity: true }),
    status: fc.constantFrom('active' as const, 'done' as const, 'error' as const, 'stopped' as const),
    value: fc.option(fc.jsonValue() as fc.Arbitrary<string>, { nil: undefined }),
    due: fc.option(fc.oneof(fc.nat(), fc.constant(-2.5))),
    lease: fc.option(fc.record({ namespace: text, partition: fc.nat() }), { nil: undefined }),
    beside,
    head: fc.maxSafeNat(),
    mark: fc.maxSafeNat(),
    waiting: fc
      .constantFrom(0, 3)
      .map(
        count => new Waiting(Array.from({ length: count }, (_, seq) => ({ position: 9, sender: 's', seq, index: 2 }))),
      ),
    mails: fc.option(
      fc.constant({ last: 7, marks: { s: [1, 2] as const } }).map(marks => MailMarks.of(marks)),
      { nil: undefined },
    ),
  })
  .map(fields => new Row(fields))

/** JSON has no −0, and no own `__proto__` comes through an assignment. */
const plain = (of: Row | undefined): unknown =>
  of &&
  JSON.parse(
    JSON.stringify({
      ...of,
      beside: {
        ...of.beside,
        sources: Object.entries(of.beside.sources)
          .map(([id, position]) => [id, `${typeof position} ${position}`])
          .sort(),
      },
    }),
  )

describe('a table of rows', () => {
  test('holds what was merged into it, in order, and finds it by run and by key', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(fc.tuple(row, fc.option(fc.nat())), { maxLength: 30 }), { maxLength: 4 }),
        async rounds => {
          const dictionary = new GrowingDictionary()
          const rows = new Map<string, Row>()
          const places = new Map<string, number>()
          const pinned = new Map<string, Row>()
          let table = emptyTable('sha1')
          for (const round of rounds) {
            const changed = new Map<string, Row>()
            const snapshots = new Map<string, number>()
            for (const [made, place] of round) {
              // As in a store: a run keeps its key, and a key its run.
              const known = rows.get(made.run)
              const name = JSON.stringify([made.namespace, made.key])
              const key = pinned.has(name) && pinned.get(name)!.run !== made.run ? undefined : made.key
              const kept = new Row(
                known === undefined ? { ...made, key } : { ...made, key: known.key, namespace: known.namespace },
              )
              if (kept.key !== undefined) pinned.set(JSON.stringify([kept.namespace, kept.key]), kept)
              rows.set(kept.run, kept)
              if (place === null || place % 3 > 0 || known !== undefined) changed.set(kept.run, kept)
              else
                rows.delete(kept.run) &&
                  kept.key !== undefined &&
                  pinned.delete(JSON.stringify([kept.namespace, kept.key]))
              if (place !== null && rows.has(kept.run)) snapshots.set(kept.run, place)
            }
            for (const [run, place] of snapshots) places.set(run, place)
            table = atOnce(mergeTable('sha1', table, { rows: changed, snapshots }, dictionary))
            const ids = [...rows.keys()].sort()
            expect(Array.from({ length: table.count }, (_, index) => table.run(index))).toEqual(ids)
            for (const [index, run] of ids.entries()) {
              expect(table.find(run)).toBe(index)
              expect(table.lowerBound(run)).toBe(index)
              expect(table.lowerBound(`${run}0`)).toBe(index + 1)
              expect(plain(table.row(index))).toEqual(plain(rows.get(run)))
              expect(table.snapshot(index)).toBe(places.get(run) ?? 0)
              expect(table.attention(index).process).toBe(rows.get(run)!.beside.process)
            }
            for (const [name, row] of pinned) {
              const [namespace, key] = JSON.parse(name) as [string, string]
              expect(table.pinned(namespace, key)).toBe(row.run)
            }
            expect(table.pinned('nobody', 'no key')).toBeUndefined()
            expect(table.find('b'.repeat(40))).toBe(-1)
            for (const lead of ['', '0', '5', 'a1b', 'fff', 'x']) {
              expect(table.lowerBound(lead)).toBe(ids.filter(run => run < lead).length)
            }
          }
        },
      ),
    )
  })

  test('sorts ids as they compare', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(fc.oneof(id, fc.string())), async ids => {
        expect(atOnce(sortedIds(ids))).toEqual([...ids].sort())
      }),
    )
  })
})
