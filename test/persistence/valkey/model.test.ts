import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { AppendItem, Store } from '../../../src/actors/contracts/store.ts'
import { memoryStore } from '../../../src/persistence/memory.ts'
import { valkeyStore } from '../../../src/persistence/valkey/index.ts'
import { collect, shown, TestRun, testUnit } from '../../../src/testing/store-conformance/test-run.ts'
import { describeOnValkey } from '../../servers/describe.ts'
import { ValkeyServer } from '../../servers/valkey.ts'

const count = 4
const process = fc.constantFrom('p', 'q', null)
const lease = fc.record({ partition: fc.nat(1), epoch: fc.constantFrom(1, 1, 1, 2, 0) })
const due = fc.option(fc.constantFrom(0, 5, 7.5, null), { nil: undefined })

const item = fc.record({
  run: fc.nat(count - 1),
  creates: fc.boolean(),
  /** How far off the truth it is about where the run stands: mostly not. */
  off: fc.constantFrom(0, 0, 0, 0, 1, -1),
  units: fc.nat(2),
  lease: fc.option(lease, { nil: undefined, freq: 2 }),
  due,
  process: fc.option(process, { nil: undefined }),
  takes: fc.nat(2),
  status: fc.constantFrom('active', 'active', 'active', 'done' as const),
})

const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ append: fc.array(item, { minLength: 1, maxLength: 5 }) }) },
  { weight: 1, arbitrary: fc.record({ claim: fc.nat(1) }) },
  { weight: 1, arbitrary: fc.record({ release: lease }) },
  {
    weight: 2,
    arbitrary: fc.record({
      deliver: fc.array(fc.record({ run: fc.nat(count), seq: fc.nat(3) }), { minLength: 1, maxLength: 4 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ renew: fc.record({ process: fc.constantFrom('p', 'q'), until: fc.nat(9) }) }) },
)
type Item = typeof item extends fc.Arbitrary<infer T> ? T : never
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never

/** Does a step, and gives all that can be seen of it and after it. */
async function play(store: Store, step: Step, runs: readonly TestRun[], heads: ReadonlyMap<string, [number, number]>) {
  const partitions = [0, 1].map(partition => ({ namespace: 'tests', partition }))
  const answer = await act()
  const stands = await Promise.all(runs.map(({ id }) => store.head(id)))
  const found = await Promise.all(runs.map(({ creation }) => store.find('tests', creation.key!)))
  const queries = [{}, { namespace: 'tests' }, ...partitions.map(lease => ({ lease }))]
  const dues = await Promise.all(queries.map(query => store.due({ before: 8, limit: 9, ...query })))
  // Of several that are due at one time, any may come first.
  const first = (await store.due({ before: 8, limit: 1 })).map(({ due }) => due)
  return { answer, stands, found, dues, first, leases: await Promise.all(partitions.map(key => store.lease(key))) }

  async function act(): Promise<unknown> {
    if ('append' in step) {
      // Of two runs that want one key in one call, either may get it: items are independent.
      const rivals = step.append.filter(({ run }) => run === 0 || run === 3).length
      return store.append(step.append.filter(({ run }) => run !== 3 || rivals <= 1).map(itemOf))
    }
    if ('claim' in step) return store.claim({ namespace: 'tests', partition: step.claim, owner: 'o', group: 'g' })
    if ('release' in step) return store.release({ namespace: 'tests', ...step.release })
    if ('renew' in step) return store.renew(step.renew.process, step.renew.until)
    return store.deliver(
      step.deliver.map(({ run, seq }) => ({
        receiver: runs[run]?.id ?? 'f'.repeat(40),
        sender: 'a'.repeat(40),
        seq,
        index: 0,
        event: { type: 'E' },
      })),
    )
  }

  function itemOf({ run: which, creates, off, units, lease, due, process, takes, status }: Item): AppendItem {
    const run = runs[which]!
    const rest = {
      status,
      ...(due === undefined ? {} : { due }),
      ...(lease === undefined ? {} : { lease: { namespace: 'tests', ...lease } }),
      beside: {
        ...(process === undefined ? {} : { process }),
        taken: Array.from({ length: takes }, (_, seq) => ({ sender: 'a'.repeat(40), seq, index: 0 })),
      },
    }
    if (creates) return run.creates(rest, units)
    const [seq, revision] = heads.get(run.id) ?? [0, 1]
    const made = Array.from({ length: units }, (_, n) => testUnit(seq + 1 + n))
    return { run: run.id, expected: { seq, revision: revision + off }, units: made, ...rest }
  }
}

describeOnValkey('any steps, by turns through two stores', () => {
  let server: ValkeyServer
  let places = 0
  beforeAll(async () => {
    server = await ValkeyServer.start({ appendfsync: 'everysec' })
  })
  afterAll(() => server.stop())

  test('are answered as the memory store answers them, and leave the same', async () => {
    const seen = new Map<string, number>()
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 25 }), async some => {
        // Both partitions have an owner from the start, or hardly any lease would be one.
        const steps: Step[] = [{ claim: 0 }, { claim: 1 }, ...some]
        const memory = memoryStore()
        const options = { url: server.url, prefix: `model ${++places}`, durability: 'everysec' } as const
        const stores = [valkeyStore(options), valkeyStore(options)]
        // Two of them want one key.
        const runs = Array.from({ length: count }, (_, n) => new TestRun('sha1', { key: `${n % 3}`, input: n }))
        const heads = new Map<string, [number, number]>()
        for (const [at, step] of steps.entries()) {
          const wanted = await play(memory, step, runs, heads)
          expect(await play(stores[at % 2]!, step, runs, heads)).toEqual(wanted)
          for (const head of wanted.stands) if (head !== undefined) heads.set(head.run, [head.seq, head.revision])
          for (const { status } of Array.isArray(wanted.answer) && 'append' in step ? wanted.answer : []) {
            seen.set(status, (seen.get(status) ?? 0) + 1)
          }
        }
        for (const run of heads.keys()) {
          const wanted = (await collect(memory.read(run))).map(shown)
          for (const store of stores) expect((await collect(store.read(run))).map(shown)).toEqual(wanted)
        }
        for (const store of stores) await store.close()
      }),
      { numRuns: 60 },
    )
    // Whatever can become of an item did.
    expect([...seen.keys()].sort()).toEqual(['appended', 'conflict', 'fenced', 'misplaced', 'pinned'])
  }, 120_000)
})
