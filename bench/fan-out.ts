import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { type ChildDoneEvent, openRun, spawnRun } from 'xmachines'
import { fileStore } from 'xmachines/persistence/filesystem'
import { enqueueActions, setup } from 'xstate'
import type { Measure } from './compare.ts'

const children = Number(process.env.XM_BENCH_CHILDREN ?? 1_000_000)
/** Children that one unit spawns. */
const wave = 1000

const child = setup({ types: {} as { input: { number: number }; output: number } }).createMachine({
  id: 'child',
  context: ({ input }) => input,
  initial: 'done',
  states: { done: { type: 'final' } },
  output: ({ context }) => (context as unknown as { number: number }).number * 2,
})

let heard = (_done: number): void => {}

/** Spawns the next wave when all of the last one are done. */
const parent = setup({
  types: {} as { context: { spawned: number; done: number }; events: { type: 'GO' } | ChildDoneEvent<number> },
  actions: {
    spawnWave: enqueueActions(({ enqueue, context }) => {
      for (let i = 0; i < wave; i++) {
        const number = context.spawned + i
        enqueue(spawnRun(child, { key: `c-${number}`, input: { number } }))
      }
      enqueue.assign({ spawned: context.spawned + wave })
    }),
    count: enqueueActions(({ enqueue }) => {
      enqueue.assign({ done: ({ context }) => context.done + 1 })
      enqueue(({ context }) => heard(context.done))
    }),
  },
}).createMachine({
  id: 'parent',
  context: { spawned: 0, done: 0 },
  on: {
    GO: { actions: 'spawnWave' },
    'xmachines.done.run': [
      {
        guard: ({ context }) => context.done + 1 === context.spawned && context.spawned < children,
        actions: ['count', 'spawnWave'],
      },
      { actions: 'count' },
    ],
  },
})

/** What memory does while one run spawns a million child runs, each of which ends and tells it so: two million units. */
export async function fanOut(): Promise<Measure[]> {
  const dir = mkdtempSync(join(tmpdir(), 'xmachines-bench-'))
  const store = fileStore(dir)
  const run = await openRun(parent, { store, key: 'p' })
  const marks: { readonly heap: number; readonly rss: number }[] = []
  const began = performance.now()
  const every = Math.max(1, children / 10)
  let next = every
  const over = new Promise<void>(resolve => {
    heard = done => {
      if (done === next) {
        next += every
        marks.push(memory())
      }
      if (done === children) resolve()
    }
  })
  await run.apply({ type: 'GO' })
  await over
  const seconds = (performance.now() - began) / 1000
  await nextTurn()
  await run.close()
  await store.close()
  rmSync(dir, { recursive: true, force: true })
  const heaps = marks.map(({ heap }) => Math.round(heap / 1e6))
  const perRun = Math.round((marks.at(-1)!.heap - marks[0]!.heap) / (children - every))
  const note = `heap ${heaps.join(', ')} MB at each tenth; ${Math.round(children / seconds)} children/s`
  return [
    // The file store knows each run by its id: that much stays.
    { bench: 'fan-out: heap a child', value: perRun, unit: 'B', atMost: 300, note },
    {
      bench: 'fan-out: RSS',
      value: Math.round(Math.max(...marks.map(({ rss }) => rss)) / 1e6),
      unit: 'MB',
      atMost: 700,
    },
  ]
}

function memory(): { heap: number; rss: number } {
  const collect = globalThis.gc
  if (collect === undefined) throw new Error('Run with `node --expose-gc`: heaps are compared after a collection.')
  collect()
  const { heapUsed: heap, rss } = process.memoryUsage()
  return { heap, rss }
}
