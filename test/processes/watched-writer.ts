import { createInterface } from 'node:readline'
import type { Store } from 'xmachines'
import { fileStore } from 'xmachines/persistence/filesystem'
import { archive, gitStore } from 'xmachines/persistence/git'
import { memoryStore } from 'xmachines/persistence/memory'
import { TestRun } from '../../src/testing/store-conformance/test-run.ts'
import { openAt, type StoreAt } from './opened.ts'

/** Where a process writes that another one watches. */
export type WatchedPlace = StoreAt | { readonly kind: 'filesystem' | 'git' | 'archive'; readonly dir: string }

/*
 * A process that appends to a run as it is told: a line is a number of units, and with the last line the run ends. Says the
 * run's id once it may be watched, and then the ids of all units.
 */
const place = JSON.parse(process.argv[2]!) as WatchedPlace
const run = new TestRun('sha1')

const { store, close } = await begun()
process.stdout.write(`${run.id}\n`)
for await (const line of createInterface({ input: process.stdin })) await run.goOn(store, Number(line))
await run.goOn(store, 1, { status: 'done' })
process.stdout.write(`${JSON.stringify(run.history().map(({ id }) => id))}\n`)
await close()

async function begun(): Promise<{ readonly store: Store; close(): Promise<unknown> }> {
  if (place.kind === 'git') {
    const open = () => gitStore({ gitdir: place.dir, interval: 1, fsync: false })
    const first = open()
    await run.create(first)
    // Branches follow: after a close they are there.
    await first.close()
    const store = open()
    return { store, close: () => store.close() }
  }
  if (place.kind === 'archive') {
    const store = memoryStore()
    await run.create(store)
    const archived = archive(store, { gitdir: place.dir, interval: 1 })
    await archived.caughtUp()
    return { store, close: () => archived.caughtUp().then(() => archived.close()) }
  }
  const store = 'dir' in place ? fileStore(place.dir, { fsync: false }) : openAt(place)
  await run.create(store)
  return { store, close: () => store.close() }
}
