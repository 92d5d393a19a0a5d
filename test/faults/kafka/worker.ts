import { connect } from 'node:net'
import { createInterface } from 'node:readline'
import { Kafka, logLevel } from 'kafkajs'
import { Doom } from './doom.ts'
import { joinFleet } from './member.ts'
import type { Counts, WorkerLine, WorkerOrder, WorkerTask } from './orders.ts'

/** A worker of the fleet, in a process of its own, whose ways to the brokers are the test's. */
const task = JSON.parse(process.argv[2]!) as WorkerTask
const say = (line: WorkerLine): void => void process.stdout.write(`${JSON.stringify(line)}\n`)

const kafka = new Kafka({
  brokers: [...task.brokers],
  clientId: task.name,
  connectionTimeout: 3_000,
  requestTimeout: 10_000,
  retry: { initialRetryTime: 100, maxRetryTime: 1_000, retries: 4 },
  logLevel: logLevel.NOTHING,
  socketFactory: ({ host, port, onConnect }) => connect(task.routes[`${host}:${port}`]!, '127.0.0.1', onConnect),
})
const doom = new Doom()
const { supervisor, close } = joinFleet(task, kafka, doom, say)

let said = ''
function sayCounts(): void {
  const { duplicates, deadLettered, outputsSent } = supervisor.status()
  const counts: Counts = { duplicates, deadLettered, outputsSent }
  if (JSON.stringify(counts) !== said) say({ type: 'counts', ...counts })
  said = JSON.stringify(counts)
}
const saying = setInterval(sayCounts, 200)

createInterface({ input: process.stdin }).on('line', async line => {
  const order = JSON.parse(line) as WorkerOrder
  if (order.type === 'arm') return doom.arm(order.place, order.signal)
  if (order.type === 'catch-up') {
    await supervisor.caughtUp()
    return say({ type: 'caught-up' })
  }
  await close()
  clearInterval(saying)
  sayCounts()
  say({ type: 'closed' })
  process.stdin.destroy()
})
