import type { LeaseKey, Parked, Store } from '../contracts/store.ts'
import { type ErrorCode, messageOf, XMachinesError } from '../errors.ts'
import type { Leased } from './resident-start.ts'

/** What the store says to somebody who may read it, but not write. */
const readersErrors: ReadonlySet<ErrorCode> = new Set(['STORE_LOCKED', 'STORE_READ_ONLY'])

/** Whether the store may be read, but not written. */
export function isReadersError({ code }: XMachinesError): boolean {
  return readersErrors.has(code)
}

/** A policy of the machine threw, or there is a defect: the unit is neither applied nor refused. */
export function undecided(run: string, thrown: unknown): XMachinesError {
  return new XMachinesError('STEP_FAILED', `Run ${run} could not decide the unit: ${messageOf(thrown)}`, {
    details: { run },
    cause: thrown,
  })
}

/** Timers that arm one another let no time pass: nothing after them would ever be decided. */
export function endlessTimers(run: string, at: number): XMachinesError {
  const text = `In run ${run} timers arm one another without end at one instant (${at}): no time passes between them. Give one of them a delay.`
  return new XMachinesError('TIMERS_ENDLESS', text, { details: { run, at } })
}

/** The error of what was still to be applied when the run was closed. */
export function runClosed(run: string): XMachinesError {
  return new XMachinesError(
    'RUN_CLOSED',
    `Run ${run} was closed before the unit was applied. Open it again and send the unit once more.`,
    { details: { run } },
  )
}

/** The error of a fenced leased append. */
export function leaseLost(
  run: string,
  lease: Leased,
  outcome: { readonly epoch: number; readonly owner: string | null },
): XMachinesError {
  const text = `The lease of ${lease.namespace}/${lease.partition}, under which run ${run} was written with epoch ${lease.epoch}, is over: epoch ${outcome.epoch} belongs to ${outcome.owner ?? 'nobody'}. Reopen the run to read it.`
  return new XMachinesError('LEASE_LOST', text, {
    details: { run, ...lease, current: outcome.epoch, owner: outcome.owner },
  })
}

/** The error of an unleased append to a partition that has an owner. */
export function leaseHeld(
  run: string,
  outcome: { readonly epoch: number; readonly owner: string | null },
): XMachinesError {
  return new XMachinesError(
    'LEASE_HELD',
    `Run ${run} belongs to a partition that ${outcome.owner} owns (epoch ${outcome.epoch}). Send the event through the broker, or to the owner.`,
    { details: { run, epoch: outcome.epoch, owner: outcome.owner } },
  )
}

/** The error of a creation whose key is pinned to another run. */
export function runExists(run: string, pinned: string): XMachinesError {
  return new XMachinesError(
    'RUN_EXISTS',
    `The key of run ${run} is pinned to run ${pinned} already. Use \`openRun\` to go on with that one.`,
    { details: { run, pinned } },
  )
}

/** The error of a run that is pinned to another partition. */
export function misplaced(run: string, lease: LeaseKey | undefined, partition: LeaseKey): XMachinesError {
  const text = `Run ${run} is pinned to partition ${partition.namespace}/${partition.partition} and was written to from ${lease?.namespace}/${lease?.partition}. Restore the partition count or the partitioner of the topic.`
  return new XMachinesError('LEASE_MISPLACED', text, {
    details: { run, pinned: partition, partition: lease?.partition },
  })
}

/** The error of a run that stands parked. */
export function standsParked(run: string, { at, code, message }: Parked): XMachinesError {
  const text = `Run ${run} stands parked (${code}: ${message}). Mend the cause, then \`xmachines unpark STORE ${run.slice(0, 12)}\`, or unparkRun(store, run).`
  return new XMachinesError('RUN_PARKED', text, { details: { run, at, code } })
}

/** The error of a run that the store does not have. @param name its id, or namespace and key */
export function unknownRun(store: Store, name: string): XMachinesError {
  return new XMachinesError(
    'RUN_UNKNOWN',
    `The store ${store.location} has no run ${name}. Check the key, the namespace and the store.`,
    { details: { run: name } },
  )
}
