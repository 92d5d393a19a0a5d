import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { verifyRun } from 'xmachines'
import { collect } from '../../src/testing/store-conformance/test-run.ts'
import { nodeScript } from '../node-script.ts'
import { hasPostgres, PostgresServer } from '../servers/postgres.ts'
import { hasValkey, ValkeyServer } from '../servers/valkey.ts'
import { openAt, type StoreAt } from './opened.ts'
import { tally } from './tally.ts'
import type { Task } from './worker.ts'

vi.setConfig({ testTimeout: 120_000, hookTimeout: 60_000 })

const script = nodeScript(new URL('./worker.ts', import.meta.url))

interface Report {
  readonly name: string
  readonly duplicates: number
  readonly stopped?: string
}

const children: ChildProcess[] = []
// One that a failed test left standing still would stand there for ever.
afterEach(() => children.splice(0).forEach(child => void child.kill('SIGKILL')))

function start(task: Task): { readonly child: ChildProcess; readonly report: Promise<Report> } {
  const child = spawn(process.execPath, [script, JSON.stringify(task)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  children.push(child)
  return { child, report: text(child.stdout!).then(out => JSON.parse(out) as Report) }
}

/** Resolves when the process stands still: the system says so, it cannot. */
async function standsStill({ pid }: ChildProcess): Promise<void> {
  while (!/^State:\s+T/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))) await new Promise(setImmediate)
}

const keys = 3
const records = 20

async function fenced(place: StoreAt, stop: NonNullable<Task['stop']>): Promise<void> {
  const slow = start({ ...place, name: 'slow', keys, records, stop })
  await standsStill(slow.child)
  // Its partition is given to another process, which finishes while the first one stands still.
  const { duplicates } = await start({ ...place, name: 'quick', keys, records }).report
  slow.child.kill('SIGCONT')
  const late = await slow.report
  // What it was about to write is refused; what was on its way is there, or refused.
  if (stop.when === 'before') expect(late.stopped).toMatch(/^fenced(,fenced)*$/)
  else expect(late.stopped).toMatch(/^(fenced|appended)/)
  expect(late.duplicates + duplicates).toBeGreaterThan(0)
  const store = openAt(place)
  const heads = await collect(store.list())
  expect(heads).toHaveLength(keys)
  for (const head of heads) {
    const units = (await collect(store.read(head.run))).slice(1)
    const first = Number(head.key!.slice(1))
    expect(units.map(({ events }) => events[0]!.by)).toEqual(
      Array.from({ length: records }, (_, index) => `${first + index * keys}`),
    )
    const epochs = units.map(({ epoch }) => epoch!)
    expect(epochs).toEqual([...epochs].sort((a, b) => a - b))
    expect(await verifyRun(store, tally, head)).toEqual({ run: head.run, units: head.seq })
  }
  await store.close()
}

const stops: readonly NonNullable<Task['stop']>[] = [
  { append: 1, when: 'before' },
  { append: 4, when: 'before' },
  { append: 4, when: 'sent' },
]

// A process that stands still is told from one that waits by what Linux says of it.
describe.skipIf(process.platform !== 'linux' || !hasPostgres())('a fleet on PostgreSQL', () => {
  let server: PostgresServer
  beforeAll(async () => {
    server = await PostgresServer.start()
  })
  afterAll(() => server.stop())

  test.each(stops.map(stop => [stop]))('a worker that stands still at %o is fenced', async stop => {
    await fenced({ kind: 'postgres', url: server.url(), place: `fleet${stop.append}${stop.when}` }, stop)
  })
})

describe.skipIf(process.platform !== 'linux' || !hasValkey())('a fleet on Valkey', () => {
  let server: ValkeyServer
  beforeAll(async () => {
    server = await ValkeyServer.start()
  })
  afterAll(() => server.stop())

  test.each(stops.map(stop => [stop]))('a worker that stands still at %o is fenced', async stop => {
    await fenced({ kind: 'valkey', url: server.url, place: `fleet${stop.append}${stop.when}` }, stop)
  })
})
