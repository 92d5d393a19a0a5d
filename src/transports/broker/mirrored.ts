import type { OutgoingRecord } from '../../actors/contracts/broker.ts'

/** Where a record goes for the sake of the one that it repeats, in a topic of so many partitions; `undefined`: that says nothing. */
export function mirrored({ mirrors }: OutgoingRecord, partitions: number): number | undefined {
  return mirrors?.partitions === partitions ? mirrors.partition : undefined
}
