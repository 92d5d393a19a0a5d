import type { Store } from '../contracts/store.ts'
import type { Environment } from '../environment.ts'
import { Owners, type OwnersDraft, ownerOf, ownersOf } from './owners.ts'
import { residencyOf } from './residency.ts'

/**
 * Says of a run that a failure ended in this process that nothing of it is in flight here any more: the process lives on, and who
 * has the run open elsewhere would wait for it. If the run is open here again, it goes on with that by itself.
 *
 * @returns whether nothing is left to be said
 */
export async function disown(store: Store, run: string, environment: Environment): Promise<boolean> {
  const { process } = environment
  if (await residencyOf(store).lives(run)) return true
  const head = await store.head(run)
  if (head === undefined || !ownersOf(head.beside).has(process)) return true
  const { seq, revision, beside } = head
  const all = new Set([...Object.keys(beside.attempts), ...Object.keys(beside.owners)])
  const others = [...all].filter(key => ownerOf(beside, key) !== process)
  const change: OwnersDraft = {}
  new Owners(process, beside).offer({ all, others }, true, change)
  const due = Math.min(head.due ?? Number.POSITIVE_INFINITY, environment.now())
  const [outcome] = await store.append([{ run, expected: { seq, revision }, units: [], due, beside: change }])
  return outcome!.status !== 'conflict'
}
