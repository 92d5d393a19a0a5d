import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createRun, type Run, type Store } from 'xmachines'
import { fileStore } from 'xmachines/persistence/filesystem'
import { memoryStore } from 'xmachines/persistence/memory'
import { createActor } from 'xstate'
import type { Measure } from './compare.ts'
import { order } from './machines.ts'

/** What staying in memory costs: an idle resident run against a bare actor, and a store of a million runs at its opening. */
export async function residency(): Promise<Measure[]> {
  return [...(await heapOfRuns()), ...(await openMillion())]
}

async function heapOfRuns(): Promise<Measure[]> {
  const collect = globalThis.gc
  if (collect === undefined) throw new Error('Run with `node --expose-gc`: heaps are compared after a collection.')
  const heap = (): number => {
    collect()
    collect()
    return process.memoryUsage().heapUsed
  }
  const count = 20_000
  const before = heap()
  const actors = Array.from({ length: count }, () => {
    const actor = createActor(order)
    actor.subscribe(() => {})
    return actor.start()
  })
  const perActor = (heap() - before) / actors.length
  const store = withoutSnapshots(memoryStore())
  let runs: Run<typeof order>[] = []
  for (let i = 0; i < count; i++) runs.push(createRun(order, { store }))
  await Promise.all(runs.map(run => run.apply({ type: 'ADD', sku: 'a', price: 1 })))
  const resident = heap()
  await Promise.all(runs.map(run => run.close()))
  runs = []
  const perRun = (resident - heap()) / count
  const measure = {
    bench: 'residency: heap a run',
    value: Math.round((perRun / perActor) * 100) / 100,
    unit: 'actors',
    atMost: 1.5,
  }
  return [{ ...measure, note: `${Math.round(perRun)} B a run, ${Math.round(perActor)} B an actor` }]
}

/** So that a closed run leaves nothing behind in the store that it did not have before. */
function withoutSnapshots(store: Store): Store {
  const saveSnapshot = async (): Promise<void> => {}
  return new Proxy(store, {
    get(target, key) {
      if (key === 'saveSnapshot') return saveSnapshot
      const value: unknown = Reflect.get(target, key)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

/** What a fresh process does to open the store: prints seconds, and its RSS. */
const opening = `
  import { fileStore } from 'xmachines/persistence/filesystem'
  const start = process.hrtime.bigint()
  const store = fileStore(process.argv[1])
  const found = await store.find('order', 'order-999999')
  const seconds = Number(process.hrtime.bigint() - start) / 1e9
  console.log(JSON.stringify({ seconds, rss: process.memoryUsage().rss, found }))
  await store.close()
`

async function openMillion(): Promise<Measure[]> {
  const runs = 1_000_000
  const dir = mkdtempSync(join(tmpdir(), 'xmachines-bench-'))
  const writer = fileStore(dir, { fsync: false })
  for (let i = 0; i < runs; i += 1000) {
    await Promise.all(
      Array.from({ length: 1000 }, (_, k) => createRun(order, { store: writer, key: `order-${i + k}` }).close()),
    )
  }
  await writer.close()
  const printed = execFileSync(process.execPath, ['--input-type=module', '-e', opening, dir], { encoding: 'utf8' })
  const { seconds, rss, found } = JSON.parse(printed) as { seconds: number; rss: number; found?: string }
  rmSync(dir, { recursive: true, force: true })
  if (found === undefined) throw new Error('The store of a million runs has lost the last one.')
  return [
    { bench: 'residency: open 1 M runs', value: Math.round(seconds * 100) / 100, unit: 's', atMost: 2 },
    { bench: 'residency: RSS with 1 M runs', value: Math.round(rss / 1e6), unit: 'MB', atMost: 400 },
  ]
}
