import type { AbortOptions } from './store.ts'

/**
 * A record of a topic. Its bytes are the receiver's own: nobody else sees what is done to them, and they may be kept. They
 * may be views of a larger buffer, shared with other records of the same lease.
 */
export interface BrokerRecord {
  readonly topic: string
  readonly partition: number
  /** Grows within the partition; gaps are allowed. */
  readonly offset: number
  readonly key: Uint8Array | null
  readonly value: Uint8Array | null
  /** Milliseconds since 1970, as the producer or the broker stamped it. */
  readonly timestamp: number
  /** In their order; names may come again. A value may be `null`, which is not the empty one. */
  readonly headers: readonly (readonly [name: string, value: Uint8Array | null])[]
}

/** A record to send. Strings are UTF-8. */
export interface OutgoingRecord {
  readonly key?: Uint8Array | string | null | undefined
  readonly value: Uint8Array | string | null
  /** @default the broker's clock */
  readonly timestamp?: number | undefined
  readonly headers?:
    | Readonly<Record<string, Uint8Array | string | null>>
    | readonly (readonly [string, Uint8Array | string | null])[]
    | undefined
  /** @default Kafka's own choice: murmur2 of the key; without a key, in turn */
  readonly partition?: number | undefined
  /**
   * The place of the record that this one repeats, and how many partitions there are: it goes to the partition of that number
   * where this topic has as many.
   * @default `partition` says
   */
  readonly mirrors?: { readonly partition: number; readonly partitions: number } | undefined
  /** What is sent in its place where the topic does not take it for its size. @default the send rejects with `RECORD_TOO_LARGE` */
  readonly smaller?: OutgoingRecord | undefined
}

/**
 * A partition, held for a while by one member of a group.
 *
 * Its life: delivered on `leases` → records flow as they are read (nobody reads: nothing is fetched) → either
 * *revoked* (`revoked` fires: stop reading, drain, `commit`, `release`; the next owner starts when that is done or the
 * broker's deadline is over) or *lost* (`signal` fires at once: stop, do not commit).
 */
export interface PartitionLease {
  readonly topic: string
  readonly partition: number
  /** How many partitions the topic has. @default unknown */
  readonly partitions?: number | undefined
  /** The group's generation, for diagnosis only. */
  readonly generation: number
  /**
   * Records from the committed offset on, in order. Ends when the lease is revoked or over; errors with
   * `OFFSET_OUT_OF_RANGE` where the records to come are gone. Cancelling stops the fetching, not the lease.
   */
  readonly records: ReadableStream<BrokerRecord>
  /**
   * Says that every record before `nextOffset` is settled. One below an earlier commit changes nothing, so commits may
   * overlap. Rejects with `LEASE_LOST` once the lease is over, with `OFFSET_OUT_OF_RANGE` beyond the partition's end, with
   * `BROKER_UNAVAILABLE` where it may or may not have happened.
   */
  commit(nextOffset: number, options?: AbortOptions): Promise<void>
  /**
   * How far the group's commit is, of a broker that moves it by itself past what is no record: the mark of a transaction, what
   * compaction has taken. @default what was committed last
   */
  readonly committed?: number | undefined
  /** Gives the partition back: the answer to `revoked`. Idempotent. Unasked, the group hands it out anew, maybe to this member. */
  release(): Promise<void>
  /** Fires when the group wants the partition back. */
  readonly revoked: AbortSignal
  /** Fires when the lease is over: lost, or released. `reason` is an `XMachinesError` `LEASE_LOST` when it was lost. */
  readonly signal: AbortSignal
}

/** What all members of a group must have alike, by name; what is left out is as by default. */
export type GroupTerms = Readonly<Record<string, string>>

/** Offsets by partition. */
export type PartitionOffsets = ReadonlyMap<number, number>

/** A member of a consumer group: a stream of leases. */
export interface BrokerConsumer {
  /** Names the cluster for ever: part of a supervisor's source id. Known once the first lease is delivered. */
  readonly clusterId: string
  readonly topics: readonly string[]
  readonly group: string
  /** Names a partition as a source of positions, for ever. @default `<cluster id>/<topic>/<partition>` */
  sourceId?(topic: string, partition: number): string
  /**
   * The leases of this member, as the group hands them out. Reading it joins the group; cancelling it begins to leave, as
   * `close` does, without waiting for the releases. A lease that is revoked before it was read is never delivered.
   */
  readonly leases: ReadableStream<PartitionLease>
  /**
   * Says, before `leases` is read, what all members of the group must have alike. Beside members that have it otherwise
   * `leases` errors with `GROUP_MISMATCH`; they go on.
   * @default nothing is compared
   */
  agreeOn?(terms: GroupTerms): void
  /** The next offset that each partition of the topic will give out: where its end is now. */
  endOffsets(topic: string, options?: AbortOptions): Promise<PartitionOffsets>
  /** What the group has committed, whichever member holds the partition; where nothing is, where `from` starts it. */
  committedOffsets(topic: string, options?: AbortOptions): Promise<PartitionOffsets>
  /**
   * How long the topic keeps a record after the time that it is stamped with, ms; `undefined`: it deletes none for its age.
   * @default it deletes none
   */
  retention?(topic: string, options?: AbortOptions): Promise<number | undefined>
  /** Leaves the group: revokes what it holds, waits for the releases. Idempotent. */
  close(): Promise<void>
}

/** Sends to one topic. */
export interface BrokerProducer {
  readonly topic: string
  /** Sends in order, also sends that overlap; resolves when all are acknowledged by the broker, with their places. */
  send(
    records: readonly OutgoingRecord[],
    options?: AbortOptions,
  ): Promise<readonly { readonly partition: number; readonly offset: number }[]>
  close(): Promise<void>
}

/** Where a new group starts. */
export type StartFrom = 'earliest' | 'latest' | { readonly timestamp: number } | { readonly offset: number }

/** What every broker's `consumer` takes. */
export interface ConsumerOptions {
  readonly topic: string | readonly string[]
  readonly group: string
  /**
   * Where a group starts that has committed nothing. Settled once a partition: the first lease keeps it as the group's
   * commit, so that 'latest' skips nothing later.
   * @default 'earliest'
   */
  readonly from?: StartFrom | undefined
  /** How long a silent member keeps its partitions, ms. @default 30_000 */
  readonly sessionTimeout?: number | undefined
  /** How long a revoked lease may drain before it is lost, ms. @default 30_000 */
  readonly drainTimeout?: number | undefined
}

/** A broker, as the core sees it. */
export interface Broker {
  consumer(options: ConsumerOptions): BrokerConsumer
  producer(options: { readonly topic: string }): BrokerProducer
  /** Closes its consumers, as their own `close` does, then everything else. Later calls reject or throw `BROKER_CLOSED`. */
  close(): Promise<void>
}
