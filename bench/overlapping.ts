import { openRun, type Store } from 'xmachines'
import type { Side } from './compare.ts'
import { type OrderEvent, order } from './machines.ts'

const runCount = 1000

/** A thousand runs that take the events in turn, each awaiting its own. @param open makes an empty store for a round */
export function overlapping(
  events: readonly OrderEvent[],
  open: () => Store,
  after: (store: Store) => Promise<void> = store => store.close(),
): Side {
  let store: Store
  let runs: Awaited<ReturnType<typeof openRun<typeof order>>>[] = []
  return {
    name: 'run.apply on 1,000 runs',
    async prepare() {
      store = open()
      runs = await Promise.all(Array.from({ length: runCount }, (_, i) => openRun(order, { store, key: `o-${i}` })))
    },
    async run() {
      let next = 0
      await Promise.all(
        runs.map(async run => {
          while (next < events.length) await run.apply(events[next++]!)
        }),
      )
      return events.length
    },
    after: () => after(store),
  }
}
