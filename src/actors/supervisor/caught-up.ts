import type { BrokerConsumer, PartitionOffsets } from '../contracts/broker.ts'
import type { Store } from '../contracts/store.ts'
import { aborted } from '../errors.ts'
import type { Pauses } from './backoff.ts'
import { mayPass } from './failures.ts'

/** What is asked of a supervisor by whoever waits for it to be caught up. */
export interface CaughtUpHome {
  readonly store: Store
  readonly consumer: BrokerConsumer
  readonly pauses: Pauses
  /** Whether outputs are sent at all. */
  readonly sendsResults: boolean
  namespaceOf(topic: string): string
  /** How far this member itself has committed; `undefined` for a partition that it does not hold. */
  committed(topic: string, partition: number): number | undefined
  /** Whether this member holds it, and its commit moves by this member's word alone. */
  holds(topic: string, partition: number): boolean
  /** Resolves when all that the runs of this member have to send now is sent. */
  flush(): Promise<void>
  /** Resolves when something happened here: a commit, a lease, a stop. */
  progress(): Promise<void>
  /** @throws why it will never be */
  check(): void
}

/** How long to wait before asking again what other members have done, ms. */
const shortest = 20
const longest = 1000
/** Runs that are asked for at a time. */
const page = 256

/** Waits until all records that the topics hold now are settled and committed, by whichever member, and their outputs sent. */
export async function caughtUp(home: CaughtUpHome, signal?: AbortSignal): Promise<void> {
  const ends = new Map<string, PartitionOffsets>()
  await until(home, signal, async () => {
    for (const topic of home.consumer.topics)
      if (!ends.has(topic)) ends.set(topic, await home.consumer.endOffsets(topic, { signal }))
    return true
  })
  for (const [topic, offsets] of ends) await committedTo(home, topic, offsets, signal)
  await flushed(home, signal)
  if (!home.sendsResults) return
  for (const [topic, offsets] of ends) await outboxesEmpty(home, topic, [...offsets.keys()], signal)
}

async function committedTo(
  home: CaughtUpHome,
  topic: string,
  ends: PartitionOffsets,
  signal: AbortSignal | undefined,
): Promise<void> {
  const missing = new Map(ends)
  const reached = (committed: (partition: number) => number | undefined): void => {
    for (const [partition, end] of missing) if ((committed(partition) ?? -1) >= end) missing.delete(partition)
  }
  await until(
    home,
    signal,
    async () => {
      reached(partition => home.committed(topic, partition))
      if (missing.size === 0) return true
      const committed = await home.consumer.committedOffsets(topic, { signal })
      reached(partition => committed.get(partition))
      return missing.size === 0
    },
    // What is held here tells by itself.
    () => [...missing.keys()].every(partition => home.holds(topic, partition)),
  )
}

async function flushed(home: CaughtUpHome, signal: AbortSignal | undefined): Promise<void> {
  let done = false
  const flushing = home.flush().then(() => {
    done = true
  })
  for (;;) {
    if (signal?.aborted) throw aborted(signal)
    home.check()
    if (done) return
    await orAborted(Promise.race([flushing, home.progress()]), signal)
  }
}

/** Outputs of runs that are not in memory here: every one that is in an outbox now is to be sent. */
async function outboxesEmpty(
  home: CaughtUpHome,
  topic: string,
  partitions: readonly number[],
  signal: AbortSignal | undefined,
): Promise<void> {
  const { store } = home
  const namespace = home.namespaceOf(topic)
  const unsent = new Map<string, number>()
  await until(home, signal, async () => {
    for (const partition of partitions) {
      for (let limit = page; ; limit *= 4) {
        const due = await store.due({ lease: { namespace, partition }, before: 0, limit }, { signal })
        for (const { run } of due) {
          const { outbox = [], parked = null } = (await store.head(run, { signal }))?.beside ?? {}
          // A parked one may have outputs that nobody can read.
          if (outbox.length > 0 && parked === null) unsent.set(run, outbox.at(-1)!)
        }
        if (due.length < limit) break
      }
    }
    return true
  })
  await until(home, signal, async () => {
    await flushed(home, signal)
    for (const [run, last] of unsent) {
      const head = await store.head(run, { signal })
      if ((head?.beside.published?.seq ?? -1) >= last) unsent.delete(run)
    }
    return unsent.size === 0
  })
}

/** Tries until it is so: again when something happened here, or after a while, unless all of it is `here`. */
async function until(
  home: CaughtUpHome,
  signal: AbortSignal | undefined,
  isSo: () => Promise<boolean>,
  here: () => boolean = () => false,
): Promise<void> {
  for (let wait = shortest; ; wait = Math.min(longest, wait * 2)) {
    if (signal?.aborted) throw aborted(signal)
    home.check()
    const progress = home.progress()
    try {
      if (await isSo()) return
    } catch (thrown) {
      if (signal?.aborted || !mayPass(thrown)) throw thrown
      await home.pauses.wait(wait, progress)
      continue
    }
    if (here()) await orAborted(progress, signal)
    else await home.pauses.wait(wait, progress)
  }
}

/** Resolves as `waited` does, or when the signal fires, which the caller looks for; nothing is left at the signal. */
async function orAborted(waited: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  if (signal === undefined) return waited
  if (signal.aborted) return
  let fired!: () => void
  const abort = new Promise<void>(resolve => (fired = resolve))
  signal.addEventListener('abort', fired)
  try {
    await Promise.race([waited, abort])
  } finally {
    signal.removeEventListener('abort', fired)
  }
}
