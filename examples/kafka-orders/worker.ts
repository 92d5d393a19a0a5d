import { type LeaseStatus, supervise } from 'xmachines'
import { fileStore } from 'xmachines/persistence/filesystem'
import { postgresStore } from 'xmachines/persistence/postgres'
import { kafkaBroker } from 'xmachines/transports/kafka'
import { order } from './order.ts'
import { group, settings, topics } from './settings.ts'

/** How a worker stands, as it tells the main program. */
export interface Report {
  readonly leases: readonly Pick<LeaseStatus, 'partition' | 'state' | 'lag' | 'oldestAge' | 'committed'>[]
  readonly residents: number
  readonly refused: number
  readonly outputs: number
}

/*
 * A worker: a member of the group, whose partitions' orders it has. Kill it, and the others take over what it had.
 */

const { brokers, databaseUrl, dir } = settings
const store = databaseUrl === undefined ? fileStore(dir) : postgresStore({ connectionString: databaseUrl })
const broker = kafkaBroker({ brokers })
const supervisor = supervise({
  machine: order,
  store,
  consumer: broker.consumer({ topic: topics.orders, group }),
  results: broker.producer({ topic: topics.results }),
  deadLetters: broker.producer({ topic: topics.deadLetters }),
})

const report = (): Report => {
  const { leases, residents, deadLettered: refused, outputsSent: outputs } = supervisor.status()
  return {
    leases: leases.map(({ partition, state, lag, oldestAge, committed }) => {
      return { partition, state, lag, oldestAge, committed }
    }),
    residents,
    refused,
    outputs,
  }
}
const reporting = setInterval(() => process.send?.(report()), 500)

let isClosing = false
const close = async (): Promise<void> => {
  if (isClosing) return
  isClosing = true
  clearInterval(reporting)
  const last = report()
  await supervisor.close()
  await broker.close()
  await store.close()
  process.send?.({ ...last, leases: [] })
  process.disconnect?.()
}

process.on('message', async message => {
  if (message !== 'finish') return
  // What the topic holds by now is settled, and its outputs are sent, before the worker leaves.
  await supervisor.caughtUp()
  await close()
})
// Ctrl-C goes to the main program, too, which says when to leave; without it there is nobody to work for.
process.on('SIGINT', () => {})
process.on('SIGTERM', close)
process.on('disconnect', close)

for await (const event of supervisor.events) {
  if (event.type === 'stopped' || event.type === 'failed' || event.type === 'stalled' || event.type === 'expiring')
    console.error(`worker ${process.pid}: ${event.type}: ${event.error.message}`)
}
