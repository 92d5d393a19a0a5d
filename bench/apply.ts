import { createRun } from 'xmachines'
import { createActor } from 'xstate'
import { type Comparison, compare, type Side } from './compare.ts'
import { order, orderEvents } from './machines.ts'

const events = orderEvents(100_000)

/** Bare XState on the same machine, with one subscriber as any app has. */
export function bareSend(count: number): Side {
  return {
    name: 'actor.send',
    run() {
      const actor = createActor(order).start()
      actor.subscribe(() => {})
      for (let i = 0; i < count; i++) actor.send(events[i]!)
      return count
    },
  }
}

/** `apply` and `in` on a memory store, against bare `actor.send`. */
export async function apply(): Promise<Comparison[]> {
  const batches = await compare('apply: batches of 100', 1, bareSend(100_000), {
    name: 'run.apply([100])',
    async run() {
      const run = createRun(order)
      for (let i = 0; i < events.length; i += 100) await run.apply(events.slice(i, i + 100))
      return events.length
    },
  })
  const overlapped = await compare('apply: single, overlapped', 0.7, bareSend(100_000), {
    name: 'run.apply(1)',
    async run() {
      const run = createRun(order)
      for (let i = 0; i < events.length; i += 64) {
        const receipts = []
        for (let k = i; k < i + 64 && k < events.length; k++) receipts.push(run.apply(events[k]!))
        await Promise.all(receipts)
      }
      return events.length
    },
  })
  const awaited = await compare('apply: awaited writes', 0.5, bareSend(30_000), {
    name: 'writer.write',
    async run() {
      const writer = createRun(order).in.getWriter()
      for (let i = 0; i < 30_000; i++) await writer.write(events[i]!)
      return 30_000
    },
  })
  return [batches, overlapped, awaited]
}
