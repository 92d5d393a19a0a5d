import { batchesOf } from '../actors/batch-stream.ts'
import type { RunHead, Store } from '../actors/contracts/store.ts'

/** The id of a run's last unit: of a fork without units of its own, the fork's own commit. */
export async function headId(store: Store, head: RunHead, signal: AbortSignal): Promise<string> {
  for await (const batch of batchesOf(store.read(head.run, { from: head.seq, to: head.seq, signal })))
    for (const unit of batch) return unit.run === head.run ? unit.id : head.run
  return head.run
}
