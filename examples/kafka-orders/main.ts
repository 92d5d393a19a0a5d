import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { extname, join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { kafkaBroker } from 'xmachines/transports/kafka'
import { makeTopics } from './cluster.ts'
import type { OrderEvent } from './order.ts'
import { settings, topics } from './settings.ts'
import { tableOf } from './table.ts'
import type { Report } from './worker.ts'

/*
 * Sends what happens to orders, and shows how the workers do. The first argument is how many orders there are; without it,
 * they go on until Ctrl-C. Every 50th order has a line without a price, which is refused.
 */

const orders = Number(process.argv[2] ?? Number.POSITIVE_INFINITY)
if (!(orders > 0)) throw new TypeError(`Expected a number of orders, got ${process.argv[2]}.`)
const stop = new AbortController()
process.once('SIGINT', () => stop.abort())

await makeTopics()
const reports = new Map<number, Report>()
const workers = Array.from({ length: settings.databaseUrl === undefined ? 1 : 3 }, startWorker)
const broker = kafkaBroker({ brokers: settings.brokers })
const producer = broker.producer({ topic: topics.orders })
let sent = 0
let last = { at: Date.now(), settled: 0 }
const drawing = setInterval(draw, process.stdout.isTTY ? 500 : 2000)

const began = Date.now().toString(36)
for (let number = 1; number <= orders && !stop.signal.aborted; ) {
  const batch = Array.from({ length: Math.min(20, orders - number + 1) }, () => recordsOf(number++)).flat()
  await producer.send(batch)
  sent += batch.length
  await wait(100, undefined, { signal: stop.signal }).catch(() => {})
}

// Each leaves when all that was sent is settled.
for (const worker of workers) if (worker.connected) worker.send('finish')
const codes = await Promise.all(workers.map(async worker => worker.exitCode ?? (await once(worker, 'exit'))[0]))
clearInterval(drawing)
await broker.close()
const total = (name: 'outputs' | 'refused'): number => [...reports.values()].reduce((sum, each) => sum + each[name], 0)
console.log(`${sent} records sent, ${total('outputs')} results, ${total('refused')} dead letters`)
process.exitCode = codes.every(code => code === 0) ? 0 : 1

function startWorker(): ChildProcess {
  const file = fileURLToPath(import.meta.url)
  // Older Nodes need help with TypeScript.
  const strips = 'typescript' in process.features && process.features.typescript !== false
  const execArgv = extname(file) === '.ts' && !strips ? ['--import', 'jiti/register'] : []
  const worker = fork(join(file, '..', `worker${extname(file)}`), { execArgv })
  worker.on('message', report => reports.set(worker.pid!, report as Report))
  return worker
}

/** An order's records. Its key keeps them in one partition, in their order. */
function recordsOf(number: number): { readonly key: string; readonly value: string }[] {
  const price = 5 + (number % 20)
  const events: OrderEvent[] = [
    { type: 'ADD', sku: 'tea', price },
    ...(number % 50 === 0 ? [{ type: 'ADD' as const, sku: 'gift', price: 0 }] : []),
    { type: 'PLACE' },
    { type: 'PAID', amount: price },
    { type: 'SHIPPED' },
  ]
  return events.map(event => ({ key: `o-${began}-${number}`, value: JSON.stringify(event) }))
}

function draw(): void {
  const settled = [...reports.values()]
    .flatMap(({ leases }) => leases)
    .reduce((sum, each) => sum + (each.committed ?? 0), 0)
  const now = Date.now()
  const perSecond = Math.max(0, Math.round(((settled - last.settled) * 1000) / Math.max(1, now - last.at)))
  last = { at: now, settled }
  if (process.stdout.isTTY) process.stdout.write('\u001b[H\u001b[2J')
  console.log(tableOf(reports, sent, perSecond))
}
