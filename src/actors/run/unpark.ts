import type { Parked, RunHead, Store } from '../contracts/store.ts'
import { XMachinesError } from '../errors.ts'
import { givenStore } from '../given.ts'
import { knownHead } from './loading.ts'
import { residencyOf } from './residency.ts'

/**
 * Lets a run go on that stands parked, once what it failed of is mended: what comes from then on is applied, and its timers,
 * mail and outcomes wait no longer. It is written under the lease of whoever owns the run, who finds out: in this process at once,
 * in another one within ten seconds. What was refused meanwhile is among the dead letters.
 *
 * @example
 * for (const { run } of supervisor.status().parked) await unparkRun(store, run)
 *
 * @param run the run's id
 * @returns why it stood parked; `null`: it did not
 * @throws rejects with `RUN_UNKNOWN`, `LEASE_HELD` where the owner changes meanwhile, and what the store fails with
 */
export async function unparkRun(store: Store, run: string): Promise<Parked | null> {
  givenStore({ store })
  for (;;) {
    const head = await knownHead(store, run)
    const { parked } = head.beside
    if (parked === null) return null
    // If it is not lifted, somebody else wrote first: mail that came, say.
    if (!(await lift(store, head))) continue
    residencyOf(store).notice(run)
    return parked
  }
}

/** Whether it is lifted. @throws LEASE_HELD */
async function lift(store: Store, { run, seq, revision, lease, beside }: RunHead): Promise<boolean> {
  const row = lease && (await store.lease(lease))
  const owned = row !== undefined && row.owner !== null
  const [outcome] = await store.append([
    {
      run,
      expected: { seq, revision },
      units: [],
      ...(owned && { lease: { ...lease!, epoch: row.epoch } }),
      beside: { parked: null },
      // Its timers, mail and outcomes have waited: whoever looks after it looks now. Nobody looks after one that is held.
      ...(!beside.held && { due: 0 }),
    },
  ])
  if (outcome!.status === 'fenced') {
    const text = `'${outcome!.owner}' has taken the partition of run ${run} over. Try again.`
    throw new XMachinesError('LEASE_HELD', text, { details: { ...outcome } })
  }
  return outcome!.status === 'appended'
}
