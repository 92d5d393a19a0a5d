import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Mail } from '../../../src/actors/contracts/store.ts'
import { deepFreeze, TestRun } from '../../../src/testing/store-conformance/test-run.ts'
import { temporaryDirectory } from './directory.ts'
import { openStore } from './stores.ts'

let place: ReturnType<typeof temporaryDirectory>
let dir: string
beforeEach(() => {
  place = temporaryDirectory()
  dir = join(place.dir, 'store')
})
afterEach(() => place.remove())

const [one, two] = ['a'.repeat(40), 'b'.repeat(40)]

function mail(run: TestRun, sender: string, seq: number, index: number, failure?: true): Mail {
  return deepFreeze({ receiver: run.id, sender, seq, index, event: { type: 'E' }, ...(failure && { failure }) })
}

test('a mail is known for ever, in whatever order mails come, before and after a reopen', async () => {
  for (const checkpointBytes of [0, 1e9]) {
    dir = join(place.dir, `${checkpointBytes}`)
    let { store } = openStore(dir, { checkpointBytes, segmentBytes: 600 })
    const [run, other] = [await new TestRun('sha1').create(store), await new TestRun('sha1').create(store)]
    const order = [
      [one, 5, 0],
      [one, 3, 2],
      [two, 1, 0],
      [one, 4, 0],
      [one, 5, 1],
      [two, 0, 9],
      [one, 3, 1],
    ] as const
    for (const [at, [sender, seq, index]] of order.entries()) {
      const now = mail(run, sender, seq, index)
      expect(await store.deliver([now, now, mail(other, sender, seq, index)])).toEqual(['taken', 'duplicate', 'taken'])
      await store.append([{ run: run.id, expected: await head(), units: [], beside: { taken: [now] } }])
      if (at % 2 === 1) {
        await store.close()
        ;({ store } = openStore(dir, { checkpointBytes, segmentBytes: 600 }))
      }
      const before = order.slice(0, at + 1).map(([sender, seq, index]) => mail(run, sender, seq, index))
      expect(await store.deliver(before)).toEqual(before.map(() => 'duplicate'))
      const failures = before.slice(-1).map(({ sender, seq, index }) => mail(run, sender, seq, index, true))
      expect(await store.deliver(failures)).toEqual(['taken'])
      expect(await store.deliver([...failures, ...before].reverse())).toEqual(
        [...failures, ...before].map(() => 'duplicate'),
      )
    }
    async function head(): Promise<{ seq: number; revision: number }> {
      const { seq, revision } = (await store.head(run.id))!
      return { seq, revision }
    }
    expect((await store.head(run.id))!.beside.inbox.map(entry => entry.failure)).toEqual(order.map(() => true))
    await store.close()
  }
})

test('a mail of one in very many senders is known, also once that sender is forgotten, and what is new is new', async () => {
  for (const checkpointBytes of [0, 1e9]) {
    dir = join(place.dir, `many-${checkpointBytes}`)
    let { store } = openStore(dir, { checkpointBytes, fsync: false })
    const run = await new TestRun('sha1').create(store)
    const senders = await Promise.all(Array.from({ length: 300 }, () => new TestRun('sha1').create(store)))
    const first = senders.map(sender => mail(run, sender.id, 1, 0))
    for (const [at, sender] of senders.entries()) {
      expect(await store.deliver([first[at]!])).toEqual(['taken'])
      // Every other one knows that it is delivered.
      if (at % 2 === 0) await sender.change(store, { mailed: { seq: 2, index: 0 } })
    }
    for (const reopens of [false, true]) {
      if (reopens) {
        await store.close()
        ;({ store } = openStore(dir, { checkpointBytes, fsync: false }))
      }
      expect(new Set(await store.deliver(first))).toEqual(new Set(['duplicate']))
    }
    const second = senders.map(sender => mail(run, sender.id, 2, 0))
    expect(new Set(await store.deliver(second))).toEqual(new Set(['taken']))
    // An answer that a run gives after its own mail is delivered.
    const late = mail(run, senders[0]!.id, 0, 7)
    expect(await store.deliver([late, late])).toEqual(['taken', 'duplicate'])
    await store.close()
  }
})
