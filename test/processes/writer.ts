import { openRun, type Store } from 'xmachines'
import { postgresStore } from 'xmachines/persistence/postgres'
import { valkeyStore } from 'xmachines/persistence/valkey'
import { tally } from './tally.ts'

/** What a process is told. */
export interface Order {
  readonly kind: 'postgres' | 'valkey'
  readonly url: string
  readonly place: string
  readonly name: string
  readonly runs: number
  /** How many events it sends to each run. */
  readonly events: number
}

/** A process that writes to runs which others write to as well, and prints each receipt's seq and output. */
const { kind, url, place, name, runs, events } = JSON.parse(process.argv[2]!) as Order
const store: Store =
  kind === 'postgres' ? postgresStore({ connectionString: url, schema: place }) : valkeyStore({ url, prefix: place })
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
