import type { RecordedEvent } from '../../actors/contracts/json.ts'
import { check, equal } from '../check.ts'
import { on, type StoreCheck } from './place.ts'
import { collect, deepFreeze, showsHistory, TestRun, testMachine, testUnit } from './test-run.ts'

const oddTexts = [
  '',
  ' ',
  '\u0000',
  'a\u0000b',
  '\r\n',
  '\u2028\u2029',
  '\u001b[31m',
  '\uFEFFbom',
  '🔑鍵ключ',
  'é', // one character
  'e\u0301', // the same in two
  '"\\/\b\f\n\r\t',
  '\u202Ertl',
  '{"type":"x"}',
  '__proto__',
]

const oddNumbers = [0, 1e21, -1e-7, 5e-324, Number.MAX_VALUE, Number.MAX_SAFE_INTEGER, 0.1 + 0.2, 1 / 3]

async function comesBack(store: Parameters<typeof showsHistory>[0], events: readonly RecordedEvent[]): Promise<void> {
  const run = await new TestRun('sha1').create(store)
  await run.goOn(store, [testUnit(1, { events: deepFreeze(events), outputs: deepFreeze(events) })])
  await showsHistory(store, run)
  const [unit] = await collect(store.read(run.id, { from: 1 }))
  equal(JSON.stringify(unit?.events), JSON.stringify(events), 'the text of the events, with the order of their keys')
  equal(JSON.stringify(unit?.outputs), JSON.stringify(events), 'the text of the outputs')
}

/** What histories may hold comes back as it was, byte by byte. */
export const contentChecks: readonly StoreCheck[] = [
  on('content: odd texts come back, as values, keys and types', async store => {
    const record = Object.fromEntries(oddTexts.filter(text => text !== '__proto__').map((text, n) => [text, n]))
    await comesBack(store, [
      { type: 'T', texts: oddTexts },
      { type: 'R', record },
      ...oddTexts.map(text => ({ type: text })),
    ])
  }),

  on('content: a unit that is taken over keeps the epoch that it was recorded under', async store => {
    const run = await new TestRun('sha1').create(store)
    await run.goOn(store, [testUnit(1, { epoch: 7 }), testUnit(2), testUnit(3, { epoch: 8 })])
    const lease = await store.claim({ namespace: 'tests', partition: 1, owner: 'p', group: 'g', above: 8 })
    await run.goOn(store, [testUnit(4, { epoch: 3 }), testUnit(5), testUnit(6, { epoch: null })], { lease })
    await showsHistory(store, run)
  }),

  on('content: a unit is JSON, and a position that is a bigint its digits in it', async store => {
    const run = await new TestRun('sha1').create(store)
    const sources = [
      { id: 's', position: 2n ** 64n },
      { id: 't', position: 1 },
    ]
    await run.goOn(store, [testUnit(1, { sources })])
    for (const ids of [true, false]) {
      const [unit] = await collect(store.read(run.id, { from: 1, ids }))
      equal(unit?.sources, sources, 'the positions')
      const json: unknown = JSON.parse(JSON.stringify(unit))
      const written = { seq: 1, sources: [{ id: 's', position: '18446744073709551616' }, sources[1]] }
      const { seq, sources: found, id } = json as Record<string, unknown>
      equal({ seq, sources: found }, written, 'the unit as JSON')
      equal(id, ids ? unit?.id : undefined, 'its id')
    }
  }),

  on('content: odd numbers come back', async store => {
    await comesBack(store, [{ type: 'N', numbers: oddNumbers }])
  }),

  on('content: keys keep their order, numeric ones come as JavaScript has them', async store => {
    await comesBack(store, [{ type: 'K', z: 1, a: 2, m: { y: 1, b: 2, '10': 3, '2': 4 }, '': 5 }])
  }),

  on('content: an event of a megabyte, a batch of a thousand events, a depth of 200', async store => {
    let deep: RecordedEvent['value'] = 'bottom'
    for (let level = 0; level < 200; level++) deep = level % 2 === 0 ? [deep] : { deep }
    await comesBack(store, [{ type: 'LARGE', text: 'ключ 🔑 '.repeat(80_000) }])
    await comesBack(
      store,
      Array.from({ length: 1000 }, (_, n) => ({ type: 'E', n })),
    )
    await comesBack(store, [{ type: 'DEEP', deep }])
  }),

  on('content: many large units in one call', async store => {
    const run = await new TestRun('sha1').create(store)
    const text = 'x'.repeat(100_000)
    const units = Array.from({ length: 50 }, (_, n) => testUnit(n + 1, { events: [{ type: 'L', n, text }] }))
    await run.goOn(store, units)
    await showsHistory(store, run)
  }),

  on('content: names and definitions may be any text', async store => {
    const content = testMachine('sha1', 'версия 2 🔑\n')
    for (const [index, text] of oddTexts.entries()) {
      const run = new TestRun('sha1', {
        namespace: text,
        key: `${text}${index}`,
        machine: content,
        input: deepFreeze({ text, oddNumbers }),
      })
      await run.create(store, { value: deepFreeze({ [`key ${text}`]: text }) })
      equal(await store.find(text, `${text}${index}`), run.id, `the run in namespace ${JSON.stringify(text)}`)
      const head = await store.head(run.id)
      equal([head?.namespace, head?.value], [text, { [`key ${text}`]: text }], 'namespace and value of its head')
      await showsHistory(store, run)
    }
    equal(await store.machine(content.oid), content, 'the machine')
  }),

  on('content: keys of a megabyte are told apart at their last character', async store => {
    const long = 'k'.repeat(1 << 20)
    const runs = [`${long}a`, `${long}b`].map(key => new TestRun('sha1', { key }))
    const items = runs.map(run => run.creates())
    const created = await store.append(items)
    for (const [n, run] of runs.entries()) run.follow(items[n]!, created[n])
    await runs[0]!.goOn(store, [testUnit(1, { events: deepFreeze([{ type: 'K', [long]: 1 }]) })])
    for (const run of runs) {
      equal(await store.find('tests', run.creation.key!), run.id, 'the run of the key')
      check((await store.head(run.id))?.key === run.creation.key, 'its head has the key')
      await showsHistory(store, run)
    }
    equal(await store.find('tests', long), undefined, 'the run of the key without its end')
  }),

  on('content: every kind of origin comes back', async store => {
    const run = await new TestRun('sha1').create(store)
    const other = 'b'.repeat(40)
    const origins = [
      { kind: 'outside' },
      { kind: 'effect', actor: ['child', '0.x'], entered: 0 },
      { kind: 'timer', actor: [], armed: 0, index: 3 },
      { kind: 'mail', run: other, seq: 4, index: 1 },
      { kind: 'undelivered', run: other, seq: 4, index: 1 },
      { kind: 'child', run: other },
      { kind: 'stop', reason: 'tired 🔑' },
    ] as const
    await run.goOn(
      store,
      origins.map((origin, n) => testUnit(n + 1, { origin })),
    )
    await showsHistory(store, run)
  }),

  {
    name: 'content: a sha256 store has ids of 64 digits, by the same chain',
    async run(bench) {
      const store = await bench.open('sha256')
      equal(store.objectFormat, 'sha256', 'the format')
      const run = await new TestRun('sha256', { key: 'a' }).create(store, {}, 5)
      equal(run.id.length, 64, 'the length of a run’s id')
      const fork = await new TestRun('sha256', { fork: { of: run, at: 3 } }).create(store, {}, 2)
      await showsHistory(store, run)
      await showsHistory(store, fork)
      equal(await store.find('tests', 'a'), run.id, 'the run of the key')
    },
  },

  on('content: a store is sha1 unless told otherwise', async store => {
    equal(store.objectFormat, 'sha1', 'the format')
    equal(typeof store.location, 'string', 'the type of its location')
  }),
]
