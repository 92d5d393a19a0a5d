import type { Beside, ParentLink, Refusal, Store } from '../../actors/contracts/store.ts'
import { check, equal } from '../check.ts'
import { on, type StoreCheck } from './place.ts'
import { deepFreeze, TestRun, testUnit } from './test-run.ts'

async function besideOf(store: Store, run: TestRun): Promise<Beside> {
  const head = await store.head(run.id)
  check(head !== undefined, `the store has run ${run.id}`)
  return head.beside
}

function refusal(id: string, position: bigint | number): Refusal {
  return deepFreeze({
    id,
    position,
    at: 5000,
    error: { code: 'EVENT_INVALID', message: 'no type' },
    record: {
      topic: 'orders',
      partition: 3,
      offset: String(position),
      timestamp: 4000,
      key: 'bzEx',
      value: null,
      headers: [['trace', 'AAEC']],
    },
  })
}

/** What is kept beside a history: it changes with the item, or not at all. */
export const besideChecks: readonly StoreCheck[] = [
  on('beside: positions are taken by units, and by items without units', async store => {
    const run = await new TestRun('sha1').create(store)
    const units = [
      testUnit(1, { sources: [{ id: 's', position: 4 }] }),
      testUnit(2, { sources: [{ id: 's', position: 5 }] }),
    ]
    await run.goOn(store, units)
    equal((await besideOf(store, run)).sources, { s: 5 }, 'the positions after two units')
    await run.change(store, {
      sources: [
        { id: 's', position: 9 },
        { id: 't', position: 1 },
      ],
    })
    equal((await besideOf(store, run)).sources, { s: 9, t: 1 }, 'the positions after an item without units')
    await run.goOn(store)
    equal((await besideOf(store, run)).sources, { s: 9, t: 1 }, 'the positions after a unit without any')
  }),

  on('beside: a creation takes positions too', async store => {
    const run = await new TestRun('sha1').create(store, { beside: { sources: [{ id: 's', position: 0 }] } })
    equal((await besideOf(store, run)).sources, { s: 0 }, 'the positions')
  }),

  on('beside: positions never go back, and are exact beyond 2⁵³', async store => {
    const run = await new TestRun('sha1').create(store)
    const high = 9_007_199_254_740_993n
    await run.goOn(store, [testUnit(1, { sources: [{ id: 's', position: high }] })])
    await run.goOn(store, [testUnit(2, { sources: [{ id: 's', position: high - 1n }] })])
    await run.change(store, { sources: [{ id: 's', position: 7 }] })
    equal((await besideOf(store, run)).sources, { s: high }, 'the positions')
    await run.change(store, { sources: [{ id: 's', position: high + 1n }] })
    equal((await besideOf(store, run)).sources, { s: high + 1n }, 'the positions after the next')
  }),

  on('beside: any name may be a source’s or an invocation’s', async store => {
    const run = await new TestRun('sha1').create(store)
    const before = await besideOf(store, run)
    for (const name of ['constructor', '__proto__', 'toString']) {
      check(before.sources[name] === undefined, `there is no position of source ${name}`)
      check(before.attempts[name] === undefined, `there are no attempts of ${name}`)
      check(before.owners[name] === undefined, `nobody has ${name}`)
    }
    const position = (id: string): { id: string; position: number } => ({ id, position: 3 })
    const attempts = Object.fromEntries([
      ['__proto__', 2],
      ['constructor', 1],
      ['ключ 🔑', 4],
    ])
    const owners = Object.fromEntries(Object.keys(attempts).map(name => [name, name]))
    await run.change(store, { sources: ['constructor', '__proto__', '', 'ключ 🔑'].map(position), attempts, owners })
    const beside = await besideOf(store, run)
    equal(Object.keys(beside.sources).sort(), ['', '__proto__', 'constructor', 'ключ 🔑'], 'the sources')
    equal(Object.entries(beside.attempts).sort(), Object.entries(attempts).sort(), 'the attempts')
    equal(Object.entries(beside.owners).sort(), Object.entries(owners).sort(), 'the owners')
    await run.goOn(store)
    equal(
      Object.entries((await besideOf(store, run)).sources).length,
      4,
      'how many sources there are after another item',
    )
  }),

  on('beside: units enter the outbox, and leave it up to the published mark', async store => {
    const run = await new TestRun('sha1').create(store, { beside: { outbox: [0] } })
    await run.goOn(store, 3, { beside: { outbox: [1, 3] } })
    equal((await besideOf(store, run)).outbox, [0, 1, 3], 'the outbox')
    await run.change(store, { published: { seq: 1, index: 2 } })
    let beside = await besideOf(store, run)
    equal([beside.outbox, beside.published], [[3], { seq: 1, index: 2 }], 'outbox and mark')
    await run.change(store, { published: { seq: 0, index: 9 } })
    equal((await besideOf(store, run)).published, { seq: 1, index: 2 }, 'the mark after an older one')
    await run.goOn(store, 1, { beside: { outbox: [4], published: { seq: 3, index: 0 } } })
    beside = await besideOf(store, run)
    equal([beside.outbox, beside.published], [[4], { seq: 3, index: 0 }], 'outbox and mark after both at once')
  }),

  on('beside: units with mail wait until the mark of what is delivered has passed them', async store => {
    const run = await new TestRun('sha1').create(store, { beside: { mailing: [0] } })
    await run.goOn(store, 3, { beside: { mailing: [1, 3] } })
    equal((await besideOf(store, run)).mailing, [0, 1, 3], 'the units')
    await run.change(store, { mailed: { seq: 1, index: 2 } })
    const beside = await besideOf(store, run)
    equal([beside.mailing, beside.mailed], [[1, 3], { seq: 1, index: 2 }], 'the units and the mark within one')
    await run.change(store, { mailed: { seq: 0, index: 9 } })
    equal((await besideOf(store, run)).mailed, { seq: 1, index: 2 }, 'the mark after an older one')
    await run.goOn(store, 1, { beside: { mailing: [4], mailed: { seq: 4, index: 0 } } })
    equal((await besideOf(store, run)).mailing, [4], 'the units after both at once')
  }),

  on('beside: answers to mail stay until they are returned', async store => {
    const run = await new TestRun('sha1').create(store)
    const answer = (seq: number) => ({
      receiver: 'a'.repeat(40),
      sender: 'a'.repeat(40),
      seq,
      index: 0,
      failure: true,
      event: { type: 'NO', why: { code: 'X' } },
    })
    await run.change(store, { returns: [answer(1), answer(2)] })
    equal((await besideOf(store, run)).returns, [answer(1), answer(2)], 'the answers')
    const { sender, seq, index, failure } = answer(1)
    await run.change(store, { returns: [answer(3)], returned: [{ sender, seq, index, failure }] })
    equal((await besideOf(store, run)).returns, [answer(2), answer(3)], 'the answers after one was returned')
  }),

  on('beside: refusals take their position and stay until they are acknowledged', async store => {
    const run = await new TestRun('sha1').create(store)
    const [first, second, other] = [refusal('s', 4), refusal('s', 9_007_199_254_740_993n), refusal('t', 4)]
    await run.change(store, { refused: [first!, second!] })
    await run.goOn(store, 1, { beside: { refused: [other!] } })
    let beside = await besideOf(store, run)
    equal(beside.refusals, [first, second, other], 'the refusals')
    equal(beside.sources, { s: second!.position, t: 4 }, 'the positions')
    await run.change(store, { acknowledged: [{ id: 's', position: 4 }] })
    beside = await besideOf(store, run)
    equal(beside.refusals, [second, other], 'the refusals after one was acknowledged')
    await run.change(store, {
      acknowledged: [
        { id: 's', position: 4 },
        { id: 't', position: 4 },
      ],
    })
    beside = await besideOf(store, run)
    equal(beside.refusals, [second], 'the refusals after another was')
    equal(beside.sources, { s: second!.position, t: 4 }, 'the positions then')
  }),

  on('beside: attempts are set and removed by key', async store => {
    const run = await new TestRun('sha1').create(store)
    await run.change(store, { attempts: { a: 1, b: 1 } })
    await run.change(store, { attempts: { a: 2 } })
    equal((await besideOf(store, run)).attempts, { a: 2, b: 1 }, 'the attempts')
    await run.goOn(store, 1, { beside: { attempts: { a: null, c: 1, never: null } } })
    equal((await besideOf(store, run)).attempts, { b: 1, c: 1 }, 'the attempts after one ended')
  }),

  on('beside: who has an invocation is set and removed by key, and goes with its attempts', async store => {
    const run = await new TestRun('sha1').create(store, { beside: { owners: { a: 'p' } } })
    equal((await besideOf(store, run)).owners, { a: 'p' }, 'the owners after the creation')
    await run.change(store, { attempts: { a: 1, b: 1 }, owners: { b: 'q', c: 'q', d: 'q' }, process: 'r' })
    equal((await besideOf(store, run)).owners, { a: 'p', b: 'q', c: 'q', d: 'q' }, 'the owners')
    await run.goOn(store)
    await run.change(store, { owners: { a: 'r', d: null, never: null } })
    equal((await besideOf(store, run)).owners, { a: 'r', b: 'q', c: 'q' }, 'the owners after another change')
    await run.goOn(store, 1, { beside: { attempts: { a: 2, b: null } } })
    const beside = await besideOf(store, run)
    equal([beside.owners, beside.process], [{ a: 'r', c: 'q' }, 'r'], 'the owners after the attempts of one went')
  }),

  on('beside: parked, held and process are set and cleared', async store => {
    const run = await new TestRun('sha1').create(store)
    const parked = deepFreeze({ at: 9, code: 'RUN_DAMAGED', message: 'unit 7 is missing' })
    await run.change(store, { parked, held: true, process: 'p1' })
    let beside = await besideOf(store, run)
    equal([beside.parked, beside.held, beside.process], [parked, true, 'p1'], 'them')
    await run.goOn(store, 1, { beside: { sources: [{ id: 's', position: 1 }] } })
    beside = await besideOf(store, run)
    equal([beside.parked, beside.held, beside.process], [parked, true, 'p1'], 'them after an item that names none')
    await run.change(store, { parked: null, held: false, process: null })
    beside = await besideOf(store, run)
    equal([beside.parked, beside.held, beside.process], [null, false, null], 'them when cleared')
  }),

  on('beside: whose child a run is, is said with its creation and stays', async store => {
    const parent: ParentLink = deepFreeze({
      name: { namespace: 'tests', key: 'ключ 🔑' },
      run: 'ab'.repeat(20),
      seq: 3,
      index: 1,
      policy: { restart: 2 },
      linked: true,
      restarts: 1,
    })
    const run = await new TestRun('sha1').create(store, { beside: { parent } })
    await run.goOn(store, 1, { beside: { linked: true } })
    await run.change(store, { attempts: { a: 1 } })
    const beside = await besideOf(store, run)
    equal([beside.parent, beside.linked], [parent, true], 'its parent, and that it has children')
  }),

  on('beside: what an item does not name stays as it is', async store => {
    const run = await new TestRun('sha1').create(store)
    const change = {
      sources: [{ id: 's', position: 1 }],
      outbox: [0],
      refused: [refusal('t', 2)],
      attempts: { a: 1 },
      held: true,
      process: 'p',
      owners: { a: 'q' },
    }
    await run.change(store, change)
    const before = await besideOf(store, run)
    await run.goOn(store)
    await run.goOn(store, 0)
    await run.change(store, {})
    equal(await besideOf(store, run), before, 'what is kept beside')
  }),

  on('beside: an earlier head stays as it was', async store => {
    const run = await new TestRun('sha1').create(store, { beside: { attempts: { a: 1 }, outbox: [0] } })
    const before = await store.head(run.id)
    const copy = structuredClone(before)
    await run.goOn(store, 1, {
      beside: {
        attempts: { a: 2, b: 1 },
        owners: { a: 'q' },
        outbox: [1],
        sources: [{ id: 's', position: 1 }],
        held: true,
      },
      value: 'other',
      due: 4,
    })
    equal(before, copy, 'the head that was read before')
  }),
]
