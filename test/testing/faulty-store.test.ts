import { describe, expect, test } from 'vitest'
import type { AppendOutcome } from '../../src/actors/contracts/store.ts'
import { memoryStore } from '../../src/persistence/memory.ts'
import { type FaultyStore, faultyStore, type StoreFaultPoint } from '../../src/testing/faulty-store.ts'
import { operations } from '../../src/testing/store-conformance/operations.ts'
import { collect, TestRun } from '../../src/testing/store-conformance/test-run.ts'

function stores() {
  const inner = memoryStore()
  return { inner, store: faultyStore(inner) }
}

async function codeOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => 'resolved',
    error => error.code ?? error,
  )
}

/** Whether a promise has settled by now, as far as microtasks go. */
async function settled(promise: Promise<unknown>): Promise<boolean> {
  let done = false
  const mark = () => {
    done = true
  }
  promise.then(mark, mark)
  for (let turn = 0; turn < 20; turn++) await Promise.resolve()
  return done
}

describe('append', () => {
  test('before: nothing is written, and the next call passes', async () => {
    const { inner, store } = stores()
    const fault = store.faults.plan('append.before')
    const run = new TestRun('sha1')
    expect(await codeOf(store.append([run.creates()]))).toBe('STORE_UNAVAILABLE')
    expect(await inner.head(run.id)).toBeUndefined()
    await run.create(store)
    expect(fault.fired).toBe(1)
    store.faults.assertAllFired()
  })

  test('after: it is written, and the outcome is unknown', async () => {
    const { inner, store } = stores()
    store.faults.plan('append.after')
    const run = new TestRun('sha1')
    expect(await codeOf(store.append([run.creates()]))).toBe('STORE_OUTCOME_UNKNOWN')
    expect((await inner.head(run.id))?.seq).toBe(0)
    store.faults.assertAllFired()
  })

  test('torn: the first half of the items is written, each whole', async () => {
    const { inner, store } = stores()
    store.faults.plan('append.torn')
    const runs = Array.from({ length: 5 }, () => new TestRun('sha1'))
    expect(await codeOf(store.append(runs.map(run => run.creates({}, 2))))).toBe('STORE_OUTCOME_UNKNOWN')
    const heads = await Promise.all(runs.map(run => inner.head(run.id)))
    expect(heads.map(head => head?.seq)).toEqual([2, 2, undefined, undefined, undefined])
    store.faults.assertAllFired()
  })

  test('duplicate: it reaches the store twice and is written once', async () => {
    const { inner, store } = stores()
    const run = await new TestRun('sha1').create(store)
    store.faults.plan('append.duplicate')
    await run.goOn(store, 2)
    expect((await inner.head(run.id))?.revision).toBe(2)
    expect((await collect(inner.read(run.id))).length).toBe(3)
    store.faults.assertAllFired()
  })

  test('delay: it reaches the store when it is released', async () => {
    const { inner, store } = stores()
    const fault = store.faults.plan('append.delay')
    const run = new TestRun('sha1')
    const answer = store.append([run.creates()])
    await fault.met
    expect(await settled(answer)).toBe(false)
    expect(await inner.head(run.id)).toBeUndefined()
    fault.release()
    expect((await answer)[0]?.status).toBe('appended')
    expect((await inner.head(run.id))?.seq).toBe(0)
  })

  test('delay: an abort ends it, and nothing is written', async () => {
    const { inner, store } = stores()
    const fault = store.faults.plan('append.delay', { times: 2 })
    const run = new TestRun('sha1')
    const aborting = new AbortController()
    const answer = store.append([run.creates()], { signal: aborting.signal })
    aborting.abort()
    expect(await codeOf(answer)).toBe('ABORTED')
    expect(await codeOf(store.append([run.creates()], { signal: aborting.signal }))).toBe('ABORTED')
    fault.release()
    expect(await inner.head(run.id)).toBeUndefined()
  })

  test('late: it is written at once, and acknowledged when it is released', async () => {
    const { inner, store } = stores()
    const fault = store.faults.plan('append.late')
    const run = new TestRun('sha1')
    const answer = store.append([run.creates()])
    expect(await settled(answer)).toBe(false)
    expect((await inner.head(run.id))?.seq).toBe(0)
    fault.release()
    expect((await answer)[0]?.status).toBe('appended')
  })

  test('a claim that overtakes a delayed append fences it', async () => {
    const { store } = stores()
    const key = { namespace: 'tests', partition: 0 }
    const run = await new TestRun('sha1').create(store)
    const lease = await store.claim({ ...key, owner: 'p', group: 'g' })
    const fault = store.faults.plan('append.delay')
    const answer: Promise<readonly AppendOutcome[]> = store.append([run.goesOn(1, { lease })])
    await store.claim({ ...key, owner: 'q', group: 'g' })
    fault.release()
    expect(await answer).toEqual([{ status: 'fenced', epoch: 2, owner: 'q' }])
  })
})

test('deliver: torn and duplicate leave each mail once', async () => {
  const { inner, store } = stores()
  const run = await new TestRun('sha1').create(store)
  const mail = [0, 1, 2].map(seq => ({ receiver: run.id, sender: run.id, seq, index: 0, event: { type: 'E' } }))
  store.faults.plan('deliver.torn')
  store.faults.plan('deliver.duplicate')
  expect(await codeOf(store.deliver(mail))).toBe('STORE_OUTCOME_UNKNOWN')
  expect((await inner.head(run.id))?.beside.inbox.length).toBe(1)
  expect(await store.deliver(mail)).toEqual(['duplicate', 'taken', 'taken'])
  expect((await inner.head(run.id))?.beside.inbox.length).toBe(3)
  store.faults.assertAllFired()
})

describe('streams', () => {
  test('before: errors at the first read', async () => {
    const { store } = stores()
    const run = await new TestRun('sha1').create(store)
    store.faults.plan('read.before')
    store.faults.plan('list.before')
    expect(await codeOf(collect(store.read(run.id)))).toBe('STORE_UNAVAILABLE')
    expect(await codeOf(collect(store.list()))).toBe('STORE_UNAVAILABLE')
    expect((await collect(store.read(run.id))).length).toBe(1)
  })

  test('torn: gives the beginning, then errors', async () => {
    const { store } = stores()
    const run = await new TestRun('sha1').create(store, {}, 5)
    store.faults.plan('read.torn')
    const seen: number[] = []
    const reading = (async () => {
      for await (const unit of store.read(run.id)) seen.push(unit.seq)
    })()
    expect(await codeOf(reading)).toBe('STORE_UNAVAILABLE')
    expect(seen).toEqual([0, 1, 2, 3, 4, 5])
  })
})

describe('every operation', () => {
  for (const { name, run: operate, writes, stream } of operations) {
    test(`${name}: fails where it is planned to, and not otherwise`, async () => {
      const { store } = stores()
      const run = await new TestRun('sha1', { key: 'a' }).create(store)
      const before = store.faults.plan(`${name}.before` as StoreFaultPoint)
      expect(await codeOf(operate(store, run))).toBe('STORE_UNAVAILABLE')
      if (writes) {
        store.faults.plan(`${name}.after` as StoreFaultPoint)
        expect(await codeOf(operate(store, run))).toBe('STORE_OUTCOME_UNKNOWN')
      }
      if (!stream) {
        const late = store.faults.plan(`${name}.late` as StoreFaultPoint)
        const answer = operate(store, run)
        expect(await settled(answer)).toBe(false)
        late.release()
        await answer
      }
      await operate(store, run)
      expect(before.fired).toBe(1)
      store.faults.assertAllFired()
    })
  }
})

describe('planning', () => {
  const creations = async (store: FaultyStore, count: number): Promise<unknown[]> => {
    const codes: unknown[] = []
    for (let call = 0; call < count; call++) codes.push(await codeOf(store.append([new TestRun('sha1').creates()])))
    return codes
  }

  test('skip and times name the calls', async () => {
    const { store } = stores()
    store.faults.plan('append.before', { skip: 1, times: 2 })
    expect(await creations(store, 4)).toEqual(['resolved', 'STORE_UNAVAILABLE', 'STORE_UNAVAILABLE', 'resolved'])
    store.faults.assertAllFired()
  })

  test('when names the calls by what they were called with', async () => {
    const { store } = stores()
    const run = await new TestRun('sha1').create(store)
    store.faults.plan('head.before', { when: called => called === run.id })
    expect(await codeOf(store.head('other'))).toBe('resolved')
    expect(await codeOf(store.head(run.id))).toBe('STORE_UNAVAILABLE')
  })

  test('assertAllFired names what did not happen, in part or at all', async () => {
    const { store } = stores()
    store.faults.plan('append.before', { times: 2 })
    store.faults.plan('claim.after')
    await creations(store, 1)
    expect(() => store.faults.assertAllFired()).toThrow('append.before (1 of 2), claim.after (0 of 1)')
  })

  test('a point that does not exist is a TypeError', () => {
    const { store } = stores()
    expect(() => store.faults.plan('head.after' as StoreFaultPoint)).toThrow(TypeError)
  })
})
