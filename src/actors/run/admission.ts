import type { LeaseKey, RunHead } from '../contracts/store.ts'
import type { TimeMode } from '../contracts/unit.ts'
import { XMachinesError } from '../errors.ts'
import { Lineage } from './lineage.ts'
import { inUse } from './mismatch.ts'
import { closeTimeout, residencyOf } from './residency.ts'
import type { Resident } from './resident.ts'
import type { Leased } from './resident-start.ts'
import { leaseHeld, leaseLost, misplaced, standsParked } from './run-errors.ts'
import type { Versions } from './versions.ts'

/** What must not be brought into memory, by a driver or by anybody. @param lease the driver's */
export function checkHead({ run, lease: pinned, beside: { parked } }: RunHead, lease: Leased | undefined): void {
  if (lease !== undefined && pinned !== undefined && !samePartition(pinned, lease)) throw misplaced(run, lease, pinned)
  if (parked !== null) throw standsParked(run, parked)
}

function samePartition(a: LeaseKey, b: LeaseKey): boolean {
  return a.partition === b.partition && a.namespace === b.namespace
}

/** Whether the run is in memory under this very claim. */
export function isUnder({ lease }: Resident, { namespace, partition, epoch }: Leased): boolean {
  return lease !== undefined && lease.epoch === epoch && samePartition(lease, { namespace, partition })
}

/** A run that is in memory under another epoch, or under none, ends there: this epoch's owner takes it over. */
export async function replace(resident: Resident, lease: Leased): Promise<void> {
  const { run, store, lease: other } = resident
  if (other !== undefined && !samePartition(other, lease)) {
    await residencyOf(store).release(resident, closeTimeout)
    throw misplaced(run, lease, other)
  }
  const outcome = { epoch: Math.max(lease.epoch, other?.epoch ?? 0), owner: resident.environment.process }
  if (other !== undefined && other.epoch > lease.epoch) {
    await residencyOf(store).release(resident, closeTimeout)
    throw leaseLost(run, lease, outcome)
  }
  resident.end(other === undefined ? leaseHeld(run, outcome) : leaseLost(run, other, outcome))
  await residencyOf(store).forget(resident)
}

/** A run in memory goes on with its machine: it is migrated when it is opened, not under the hands of others. */
export async function checkMachine(resident: Resident, programs: Versions): Promise<void> {
  const { run, program, store } = resident
  if (programs.some(({ record }) => record.oid === program.record.oid)) return
  await residencyOf(store).release(resident, closeTimeout)
  throw inUse(run, program.record, new Lineage(programs))
}

/** How a run reads time is fixed at its creation. */
export async function checkTime(resident: Resident, time: TimeMode | undefined): Promise<void> {
  if (time === undefined || time === resident.time) return
  await residencyOf(resident.store).release(resident, closeTimeout)
  throw new XMachinesError(
    'TIME_MODE_MISMATCH',
    `Run ${resident.run} was created with time: '${resident.time}', which is fixed. Open it without \`time\`, or with that one.`,
    { details: { run: resident.run, time: resident.time } },
  )
}
