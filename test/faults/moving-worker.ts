import { supervise, XMachinesError } from 'xmachines'
import { postgresStore } from 'xmachines/persistence/postgres'
import { memoryBroker } from 'xmachines/transports/memory'
import { tally } from '../processes/tally.ts'
import { type Acknowledgement, type Ending, partitions, recordOf } from './moving-records.ts'

/** Supervises under a steady load until a lease stands stopped; says what was acknowledged to it. */
const [connectionString, schema] = process.argv.slice(2) as [string, string]
const store = postgresStore({ connectionString, schema })
const broker = memoryBroker({ id: 'moving', partitions })
const producer = broker.producer({ topic: 'tallies' })

/** Records on their way, at any time. */
const atOnce = 10
let [sent, acknowledged] = [0, 0]
let sending: Promise<unknown> = Promise.resolve()

/** For each record that is acknowledged another one is sent. */
function sendMore(): void {
  const records: ReturnType<typeof recordOf>[] = []
  while (sent < acknowledged + atOnce) records.push(recordOf(sent++))
  if (records.length > 0) sending = sending.then(() => producer.send(records))
}

function say(line: Acknowledgement | Ending): void {
  process.stdout.write(`${JSON.stringify(line)}\n`)
}

const append = store.append.bind(store)
store.append = async (items, options) => {
  const outcomes = await append(items, options)
  for (const [index, { run, units }] of items.entries()) {
    if (outcomes[index]!.status !== 'appended') continue
    const told = units.map(({ seq, events }) => ({ seq, by: events.map(({ by }) => by as string) }))
    say({ run, units: told })
    for (const { by } of told) acknowledged += by.length
  }
  sendMore()
  return outcomes
}

sendMore()
const consumer = broker.consumer({ topic: 'tallies', group: 'g' })
const supervisor = supervise({ machine: tally, store, consumer })
let stopped: XMachinesError | undefined
for await (const happening of supervisor.events) {
  if (happening.type !== 'stopped') continue
  stopped = happening.error
  break
}
await supervisor.close()
await sending
const { code, cause, message } = stopped!
say({ sent, stopped: { code, cause: XMachinesError.is(cause) ? cause.code : '', message } })
await store.close()
await broker.close()
