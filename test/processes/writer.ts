import { openRun } from 'xmachines'
import { openAt, type StoreAt } from './opened.ts'
import { tally } from './tally.ts'

/** What a process is told. */
export interface Order extends StoreAt {
  readonly name: string
  readonly runs: number
  /** How many events it sends to each run. */
  readonly events: number
}

/** A process that writes to runs which others write to as well, and prints each receipt's seq and output. */
const order = JSON.parse(process.argv[2]!) as Order
const { name, runs, events } = order
const store = openAt(order)
const receipts = await Promise.all(
  Array.from({ length: runs }, async (_, run) => {
    const handle = await openRun(tally, { store, key: `k${run}` })
    const applied = Array.from({ length: events }, (_, index) =>
      handle.apply({ type: 'ADD', by: name }, { id: `${name}-${index}` }),
    )
    const receipts = await Promise.all(applied)
    await handle.close()
    return receipts.map(receipt => ({
      run: handle.id,
      ok: receipt.ok,
      seq: receipt.ok ? receipt.seq : -1,
      count: receipt.ok ? receipt.outputs.map(({ count }) => count) : [],
    }))
  }),
)
await store.close()
process.stdout.write(JSON.stringify(receipts.flat()))
