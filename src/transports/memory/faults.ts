import type { BrokerConsumer } from '../../actors/contracts/broker.ts'
import { MemoryConsumer } from './consumer.ts'
import {
  ArmedFault,
  type CommitDelay,
  type Failure,
  type Fault,
  type FaultPoints,
  type FaultScope,
} from './fault-points.ts'
import type { Group } from './group.ts'
import type { Timers } from './options.ts'
import type { Session } from './session.ts'

/** A member that is cut off. */
export interface PausedMember extends Fault {
  /** The session timeout is over: its partitions go to others. It does not learn it before `resume`. */
  expire(): void
  /** It is back: it learns what happened meanwhile, and joins anew if it was given up. */
  resume(): void
}

/** Faults on demand. Each answers with something that can say whether it happened. */
export interface MemoryFaults {
  /** Delivers the last `count` records of the leases in scope once more. @param count @default 1 */
  redeliver(scope?: FaultScope, count?: number): Fault
  /** Takes the leases in scope away at once; the group hands the partitions out anew. */
  lose(scope?: FaultScope): Fault
  /**
   * Stops a member as a frozen process or a cut cable would: no record, lease or signal reaches it, its commits reject
   * with `BROKER_UNAVAILABLE`, its partitions stay its own until `sessionTimeout` is over.
   */
  pause(consumer: BrokerConsumer): PausedMember
  /** Holds commits back until `release`. What was lost meanwhile is refused then. */
  delayCommits(scope?: FaultScope): CommitDelay
  /** Commits reject with `BROKER_UNAVAILABLE`. */
  failCommits(failure?: Failure & FaultScope): Fault
  /** Sends reject with `BROKER_UNAVAILABLE`. */
  failSends(failure?: Failure & Pick<FaultScope, 'topic'>): Fault
  /** Sends are appended twice, as by a producer that repeats what was taken. @param times @default 1 */
  duplicateSends(scope?: Pick<FaultScope, 'topic'>, times?: number): Fault
}

/** The faults of one broker. */
export class Faults implements MemoryFaults {
  readonly #points: FaultPoints
  readonly #groups: () => Iterable<Group>
  readonly #timers: Timers

  constructor(points: FaultPoints, groups: () => Iterable<Group>, timers: Timers) {
    this.#points = points
    this.#groups = groups
    this.#timers = timers
  }

  redeliver(scope: FaultScope = {}, count: number = 1): Fault {
    const fault = new ArmedFault('redeliver', scope)
    for (const [place, lease] of this.#leases()) {
      if (fault.covers(place) && lease.rewind(count) > 0) fault.strikes(place)
    }
    return fault
  }

  lose(scope: FaultScope = {}): Fault {
    const fault = new ArmedFault('lose', scope)
    for (const [place, lease, group] of this.#leases()) {
      if (fault.strikes(place)) group.lose(lease, 'the broker took it away.')
    }
    return fault
  }

  pause(consumer: BrokerConsumer): PausedMember {
    if (!(consumer instanceof MemoryConsumer)) throw new TypeError('Expected a consumer of this broker.')
    return new Pause(consumer, this.#timers)
  }

  delayCommits(scope: FaultScope = {}): CommitDelay {
    return this.#points.delayCommits(scope)
  }

  failCommits(failure: Failure & FaultScope = {}): Fault {
    return this.#points.failCommits(failure, failure)
  }

  failSends(failure: Failure & Pick<FaultScope, 'topic'> = {}): Fault {
    return this.#points.failSends(failure, failure)
  }

  duplicateSends(scope: Pick<FaultScope, 'topic'> = {}, times: number = 1): Fault {
    return this.#points.duplicateSends(scope, times)
  }

  *#leases() {
    for (const group of this.#groups()) {
      for (const lease of group.leases()) {
        const { topic, partition } = lease
        yield [{ group: group.name, topic, partition }, lease, group] as const
      }
    }
  }
}

class Pause extends ArmedFault implements PausedMember {
  readonly #consumer: MemoryConsumer
  readonly #timers: Timers
  readonly #session: Session | undefined
  readonly #timer: unknown
  #expired = false

  constructor(consumer: MemoryConsumer, timers: Timers) {
    super('pause', { group: consumer.group }, 1)
    this.#consumer = consumer
    this.#timers = timers
    this.#session = consumer.interrupt()
    if (!this.#session) return
    this.strikes({ group: consumer.group })
    this.#timer = timers.setTimeout(() => this.expire(), this.#session.options.sessionTimeout)
  }

  expire(): void {
    if (!this.#session?.cut) return
    this.#timers.clearTimeout(this.#timer)
    this.#expired ||= this.#consumer.expire(this.#session)
  }

  resume(): void {
    if (!this.#session?.cut) return
    this.#timers.clearTimeout(this.#timer)
    this.#consumer.mend(this.#session, this.#expired)
  }
}
