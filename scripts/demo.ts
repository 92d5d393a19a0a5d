/**
 * A real event log through broker and supervisor into durable runs, while the process is killed in the middle, twice.
 * Then everything is counted from the store. `--json` ends with one line of JSON.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Store } from '../src/index.ts'
import { fileStore } from '../src/persistence/filesystem/index.ts'
import { type Count, countStore } from './demo/count.ts'
import { readPermits } from './demo/permit-log.ts'
import type { WorkerReport } from './demo/worker.ts'

const json = process.argv.includes('--json')
const say = (text = ''): void => void (json ? process.stderr : process.stdout).write(`${text}\n`)
const number = (value: number): string => Math.round(value).toLocaleString('en-US')

const log = readPermits()
const began = performance.now()
const dir = await mkdtemp(join(tmpdir(), 'xmachines-demo-'))
say(`${number(log.length)} events of a municipality's permits → broker → supervisor → durable runs in ${dir}\n`)

let kills = 0
let recognised = 0
let last: WorkerReport | undefined
// Each of the first two is killed when it has applied a quarter of the log itself.
for (let worker = 1; last?.took === undefined; worker++) {
  const killAfter = worker <= 2 ? Math.floor(log.length / 4) : undefined
  const { report, signal } = await work(killAfter)
  last = report
  recognised += report.recognised
  if (signal === 'SIGKILL') kills++
  else if (report.took === undefined) throw new Error(`Worker ${worker} ended without having caught up.`)
  const durable = await inStore(async store => {
    let units = 0
    for await (const { seq } of store.list()) units += seq
    return units
  })
  const end = signal === 'SIGKILL' ? 'killed with SIGKILL' : 'caught up'
  say(
    `  worker ${worker}: ${end}: ${number(durable)} events durable, ${number(report.recognised)} redeliveries recognised`,
  )
}

const count = await inStore(store => countStore(store, log))
const eventsPerSecond = Math.round(((last.applied + last.recognised) / last.took!) * 1000)
show(count)
await inStore(showCase)
await rm(dir, { recursive: true, force: true })

const { runs, events, outputs, duplicatesApplied, lost, verified } = count
const seconds = Number(((performance.now() - began) / 1000).toFixed(1))
const good = kills >= 2 && duplicatesApplied === 0 && lost === 0 && verified === runs && events === log.length
if (json) {
  const line = { runs, events, duplicatesApplied, lost, verified, outputs, kills, recognised, eventsPerSecond, seconds }
  process.stdout.write(`${JSON.stringify(line)}\n`)
}
say(
  `\n${good ? 'Nothing was lost, nothing happened twice.' : 'Something is wrong: see the numbers.'} ${seconds} s in all.`,
)
process.exitCode = good ? 0 : 1

/** Runs a worker to its end, or kills it as soon as it has applied `killAfter` events. */
function work(killAfter: number | undefined): Promise<{ report: WorkerReport; signal: NodeJS.Signals | null }> {
  const child: ChildProcess = fork(fileURLToPath(new URL('./demo/worker.ts', import.meta.url)), [dir])
  let report: WorkerReport = { applied: 0, recognised: 0 }
  child.on('message', (message: WorkerReport) => {
    report = message
    if (killAfter !== undefined && report.applied >= killAfter) child.kill('SIGKILL')
  })
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) => {
      if (code === 0 || signal === 'SIGKILL') resolve({ report, signal })
      else reject(new Error(`The worker ended with ${code ?? signal}.`))
    })
  })
}

async function inStore<T>(look: (store: Store) => Promise<T>): Promise<T> {
  const store = fileStore(dir, { readOnly: true })
  try {
    return await look(store)
  } finally {
    await store.close()
  }
}

function show({ runs, events, outputs, duplicatesApplied, lost, verified, outcomes }: Count): void {
  say(`\n  ${number(runs)} cases, ${number(events)} events, ${number(outputs)} outputs in the store`)
  say(
    `  ${number(lost)} lost, ${number(duplicatesApplied)} applied twice; ${number(recognised)} redeliveries recognised`,
  )
  say(`  ${number(verified)} runs replayed: the recorded outputs and state, and the state of a plain XState actor`)
  say(`  ${number(eventsPerSecond)} records a second in the last worker\n`)
  const rows = [...outcomes].sort(([, a], [, b]) => b - a)
  for (const [outcome, cases] of rows.slice(0, 8)) say(`  ${number(cases).padStart(6)}  ${outcome}`)
  const rest = rows.slice(8).reduce((sum, [, cases]) => sum + cases, 0)
  if (rest > 0) say(`  ${number(rest).padStart(6)}  in ${rows.length - 8} other states`)
}

/** The history of the first case of the log that was put on hold. */
async function showCase(store: Store): Promise<void> {
  const key = log.find(({ event }) => event.type === 'T16')!.key
  const run = (await store.find('permits', key))!
  say(`\n  ${key}, run ${run}`)
  for await (const { seq, at, events, outputs } of store.read(run)) {
    const what = events[0]?.type ?? '(created)'
    const told = outputs.map(({ type }) => type).join(', ')
    say(
      `  ${String(seq).padStart(4)}  ${new Date(at).toISOString()}  ${what.padEnd(16)} ${told && `→ ${told}`}`.trimEnd(),
    )
  }
}
