/**
 * The process that is killed: a broker in memory, to which the whole log is sent from the start each time, and a supervisor
 * that applies it to durable runs in the directory of its first argument.
 */

import { permit } from '../../examples/permits/machine.ts'
import { supervise } from '../../src/index.ts'
import { fileStore } from '../../src/persistence/filesystem/index.ts'
import { memoryBroker } from '../../src/transports/memory/index.ts'
import { clusterId, readPermits, topic } from './permit-log.ts'

/** What a worker tells the process that watches it. */
export interface WorkerReport {
  /** Events that this worker has applied, and that are durable. */
  readonly applied: number
  /** Redeliveries that it has recognised. */
  readonly recognised: number
  /** At the end: how long it took from the first record to the last, ms. */
  readonly took?: number
}

const store = fileStore(process.argv[2]!)
const broker = memoryBroker({ id: clusterId, partitions: 8 })
await broker
  .producer({ topic })
  .send(readPermits().map(({ key, at, event }) => ({ key, value: JSON.stringify(event), timestamp: at })))

// Counts what the store acknowledges, to tell how far it is.
let applied = 0
const { append } = store
store.append = async (items, options) => {
  const outcomes = await append.call(store, items, options)
  for (let i = 0; i < items.length; i++) {
    if (outcomes[i]!.status === 'appended') applied += items[i]!.units.filter(({ events }) => events.length > 0).length
  }
  report()
  return outcomes
}

const began = performance.now()
const supervisor = supervise({
  machine: permit,
  store,
  consumer: broker.consumer({ topic, group: 'permit-runs' }),
  deadLetters: broker.producer({ topic: 'permits.dlq' }),
  time: 'source',
  // Small, so that there is a middle to be killed in.
  window: 64,
})
await supervisor.caughtUp()
report(performance.now() - began)
await supervisor.close()
await broker.close()
await store.close()
process.disconnect()

function report(took?: number): void {
  const { duplicates: recognised } = supervisor.status()
  const message: WorkerReport = { applied, recognised, ...(took === undefined ? {} : { took }) }
  process.send!(message)
}
