import type { BrokerRecord } from '../contracts/broker.ts'
import { XMachinesError } from '../errors.ts'

/** Which partition a lease is of. */
export interface LeasePlace {
  readonly topic: string
  readonly partition: number
}

/** The error of a lease that stands stopped. @param record what it stopped at */
export function leaseStopped(
  { topic, partition }: LeasePlace,
  cause: XMachinesError,
  record?: BrokerRecord,
): XMachinesError {
  const at = record === undefined ? '' : ` at offset ${record.offset}`
  const next = record === undefined ? '' : ' Pass `deadLetters`, or mend what refuses the record.'
  return new XMachinesError(
    'SUPERVISOR_STOPPED',
    `The lease of ${topic}/${partition} stands stopped${at}: ${cause.message}${next}`,
    { details: { topic, partition, offset: record?.offset, code: cause.code }, cause },
  )
}

/** The error of what was in memory under a lease that is over. @param how such as `was given back` */
export function leaseOver({ topic, partition }: LeasePlace, how: string): XMachinesError {
  return new XMachinesError('LEASE_LOST', `The lease of ${topic}/${partition} ${how}.`, {
    details: { topic, partition },
  })
}
