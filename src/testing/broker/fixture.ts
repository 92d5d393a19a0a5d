import type { Broker, BrokerConsumer, PartitionLease } from '../../actors/contracts/broker.ts'

/** What the suite may lean on beyond the contract; what is left out is not checked. */
export interface BrokerCapabilities {
  /** How long something that must happen may take, ms. @default 30_000 */
  readonly patience?: number
  /** A `drainTimeout` that the broker keeps, ms, for leases that are not given back. @default 200 */
  readonly shortDrain?: number
  /** The offset before which everything of the lease was fetched. */
  fetched?(lease: PartitionLease): number | Promise<number>
  /** Most records that are fetched before they are read. Needs `fetched`. @default 10_000 */
  readonly readAhead?: number
  /** Freezes a member until the group has given it up. */
  silence?(consumer: BrokerConsumer): Promise<void>
  /** Thaws what `silence` froze. Needs `silence`. */
  thaw?(consumer: BrokerConsumer): Promise<void>
  /** Forgets the records before `offset`. */
  trim?(topic: string, partition: number, offset: number): Promise<void>
}

/** A broker to check, fresh or shared: the suite uses topics and groups of its own. */
export interface BrokerFixture {
  readonly broker: Broker
  /** Makes a topic; resolves once it can be used. */
  createTopic(topic: string, partitions: number): Promise<void>
  close(): Promise<void>
  readonly capabilities?: BrokerCapabilities
}
