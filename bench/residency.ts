import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { createRun, openRun, type Run } from 'xmachines'
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
  const count = 20_000
  const before = await heap()
  let actors = Array.from({ length: count }, () => {
    const actor = createActor(order).start()
    actor.send({ type: 'ADD', sku: 'a', price: 1 })
    return actor
  })
  const perActor = ((await heap()) - before) / actors.length
  actors = []
  const store = memoryStore()
  for (let i = 0; i < count; i++) {
    const run = createRun(order, { store, key: `order-${i}` })
    await run.apply({ type: 'ADD', sku: 'a', price: 1 })
    await run.close()
  }
  const stored = await heap()
  // Opened from the store, so that what the store itself holds is the same before and after.
  const runs: Run<typeof order>[] = []
  for (let i = 0; i < count; i++) runs.push(await openRun(order, { store, key: `order-${i}` }))
  const perRun = ((await heap()) - stored) / runs.length
  await store.close()
  const measure = {
    bench: 'residency: heap a run',
    value: Math.round((perRun / perActor) * 100) / 100,
    unit: 'actors',
    atMost: 1.5,
  }
  return [{ ...measure, note: `${Math.round(perRun)} B a run, ${Math.round(perActor)} B an actor` }]
}

/** Bytes in use once everything that is over is gone: what a turn of the event loop still holds is not gone within it. */
async function heap(): Promise<number> {
  const collect = globalThis.gc
  if (collect === undefined) throw new Error('Run with `node --expose-gc`: heaps are compared after a collection.')
  for (let turn = 0; turn < 3; turn++) {
    await nextTurn()
    collect()
  }
  return process.memoryUsage().heapUsed
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
