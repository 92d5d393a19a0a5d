import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import type { Store } from 'xmachines'
import { gitStore } from 'xmachines/persistence/git'
import { postgresStore } from 'xmachines/persistence/postgres'
import { TestRun } from '../src/testing/store-conformance/test-run.ts'
import { PostgresServer } from '../test/servers/postgres.ts'
import type { Measure } from './compare.ts'

/** XM_GROWTH=1000000: the largest number of runs. A million takes an hour, and some ten gigabytes. */
const most = Number(process.env.XM_GROWTH ?? 100_000)
const sizes = [1000, 100_000, 1_000_000].filter(size => size <= most)
/** A run has its creation and so many units. */
const units = 5
/** Those that are appended to, at every size the same. */
const active = 1000
const rounds = 7
const atOnce = 1000

/** What appending to the same few runs, and opening, costs beside ever more runs that nobody touches: in PostgreSQL and Git. */
export async function growth(): Promise<Measure[]> {
  const server = await PostgresServer.start()
  const dir = mkdtempSync(join(tmpdir(), 'xmachines-growth-'))
  try {
    return [
      ...(await grown(
        'PostgreSQL',
        () => postgresStore({ connectionString: server.url() }),
        () => settled(server),
      )),
      ...(await grown(
        'Git',
        () => gitStore({ gitdir: join(dir, 'store') }),
        async () => {},
      )),
    ]
  } finally {
    await server.stop()
    rmSync(dir, { recursive: true, force: true })
  }
}

/** What the server does for days after a load of hours, done at once: else it is what is measured. */
async function settled(server: PostgresServer): Promise<void> {
  const client = new pg.Client({ connectionString: server.url() })
  await client.connect()
  await client.query('vacuum analyze')
  await client.query('checkpoint')
  await client.end()
}

/** @param settle awaits what the store's server still does about the runs that were made */
async function grown(name: string, open: () => Store, settle: () => Promise<void>): Promise<Measure[]> {
  let store = open()
  const few = await create(store, 0, active)
  const costs: { readonly size: number; readonly append: number; readonly open: number }[] = []
  for (let runs = active; sizes.some(size => size >= runs); ) {
    if (sizes.includes(runs)) {
      await settle()
      const append = await middle(() => appendTo(store, few))
      const opening = await middle(async () => {
        await store.close()
        const start = performance.now()
        store = open()
        await store.head(few[0]!.id)
        return performance.now() - start
      })
      costs.push({ size: runs, append, open: opening })
      console.error(`${name} ${runs} runs: append ${append.toFixed(1)} µs a unit, open ${opening.toFixed(1)} ms`)
    }
    const next = Math.min(runs + atOnce, sizes.find(size => size > runs) ?? runs + atOnce)
    await create(store, runs, next - runs)
    runs = next
  }
  await store.close()
  const [first] = costs
  return costs
    .slice(1)
    .flatMap(({ size, append, open }) => [
      measure(`growth: append, ${name}`, size, append / first!.append, `${append.toFixed(1)} µs a unit`),
      measure(`growth: open, ${name}`, size, open / first!.open, `${open.toFixed(1)} ms`),
    ])
}

function measure(bench: string, size: number, ratio: number, note: string): Measure {
  const unit = `× of ${active} runs, at ${size}`
  return { bench, value: Math.round(ratio * 100) / 100, unit, atMost: 1.5, note }
}

async function create(store: Store, from: number, count: number): Promise<TestRun[]> {
  const runs = Array.from({ length: count }, (_, n) => new TestRun('sha1', { key: `run ${from + n}` }))
  const items = runs.map(run => run.creates({}, units))
  for (const [at, outcome] of (await store.append(items)).entries()) follow(runs[at]!, outcome)
  return runs
}

/** Gives the cost of a unit, µs. */
async function appendTo(store: Store, runs: readonly TestRun[]): Promise<number> {
  const items = runs.map(run => run.goesOn())
  const start = performance.now()
  const outcomes = await store.append(items)
  const took = performance.now() - start
  for (const [at, outcome] of outcomes.entries()) follow(runs[at]!, outcome)
  return (took * 1000) / runs.length
}

function follow(run: TestRun, outcome: Awaited<ReturnType<Store['append']>>[number]): void {
  if (outcome.status !== 'appended') throw new Error(outcome.status)
  run.seq = outcome.seq
  run.revision = outcome.revision
}

/** The median, after a round that is not counted. */
async function middle(work: () => Promise<number>): Promise<number> {
  const values: number[] = []
  for (let round = -1; round < rounds; round++) {
    const value = await work()
    if (round >= 0) values.push(value)
  }
  return values.sort((a, b) => a - b)[rounds >> 1]!
}
