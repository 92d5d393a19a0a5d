import { supervise } from 'xmachines'
import { memoryBroker } from 'xmachines/transports/memory'
import { openAt, type StoreAt } from './opened.ts'
import { tally } from './tally.ts'

/** What a worker of a fleet is told. Each has the same records, from a broker of its own: as after a rebalance. */
export interface Task extends StoreAt {
  readonly name: string
  readonly keys: number
  /** Records of each key. */
  readonly records: number
  /** Which append the worker stands still at, as if its machine had: before it is sent, or when it is on its way. */
  readonly stop?: { readonly append: number; readonly when: 'before' | 'sent' }
}

const { keys, records, name, stop, ...place } = JSON.parse(process.argv[2]!) as Task
const store = openAt(place)
const broker = memoryBroker({ id: 'fleet', partitions: 1 })
await broker.producer({ topic: 'tallies' }).send(
  Array.from({ length: keys * records }, (_, index) => ({
    key: `k${index % keys}`,
    value: JSON.stringify({ type: 'ADD', by: `${index}` }),
    timestamp: index,
  })),
)

let appends = 0
let stopped: string | undefined
const append = store.append.bind(store)
store.append = async (items, options) => {
  if (++appends !== stop?.append) return append(items, options)
  if (stop.when === 'before') process.kill(process.pid, 'SIGSTOP')
  const answer = append(items, options)
  if (stop.when === 'sent') setTimeout(() => process.kill(process.pid, 'SIGSTOP'), 1)
  const outcomes = await answer
  stopped = outcomes.map(({ status }) => status).join()
  return outcomes
}

const supervisor = supervise({
  machine: tally,
  store,
  consumer: broker.consumer({ topic: 'tallies', group: 'g' }),
  time: 'source',
  window: 8,
})
await supervisor.caughtUp()
const { duplicates } = supervisor.status()
await supervisor.close()
await broker.close()
await store.close()
process.stdout.write(JSON.stringify({ name, duplicates, stopped }))
