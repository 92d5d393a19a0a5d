import type { XMachinesError } from '../../../actors/errors.ts'
import { type Cluster, coordinatorOf, type Node, type Place, refresh } from '../cluster.ts'
import type { KafkaLogger } from '../log.ts'
import { mayPass, refusal, toldOf, typeOf } from '../problems.ts'
import { wait } from '../wait.ts'
import { strangerIn } from './protocol.ts'
import { shareOut } from './share-out.ts'
import {
  decodeAssignment,
  decodeSubscription,
  encodeAssignment,
  encodeSubscription,
  type Subscription,
} from './subscription.ts'

/** How long a leave waits for its answer, ms. */
const goodbye = 2_000
/** And before, for that of a first join: an empty group waits for others, by default 3 s. */
const admission = 5_000

/** A commit, as it goes to the coordinator. */
export interface OffsetToCommit extends Place {
  readonly offset: number
  readonly metadata: string
}

export interface MembershipOptions {
  readonly cluster: Cluster
  readonly group: string
  /** ms */
  readonly sessionTimeout: number
  /** ms */
  readonly heartbeatInterval: number
  /** How long a first join is tried, ms. */
  readonly patience: number
  readonly logger: KafkaLogger
}

/** Who is told what the group decides. All calls are synchronous. */
export interface Member {
  /** The name of what all members of the group must speak. */
  readonly protocol: string
  /** Asked right before each join. */
  subscription(): Subscription
  /** Called after each join. */
  assigned(places: readonly Place[], generation: number): void
  /** The group has given this member up, or may have: what it held is another's. */
  expelled(why: string): void
  /** Nothing but a person can help. */
  failed(error: XMachinesError): void
}

/**
 * A membership in a consumer group: joins, says that it is alive, joins again whenever the group or the member wants.
 *
 * Kafka's classic protocol, spoken in the cooperative manner: what a member holds goes on while it joins.
 */
export class Membership {
  readonly #options: MembershipOptions
  readonly #member: Member
  readonly #leaving = new AbortController()
  /** Cuts a heartbeat's wait short. */
  #wake = new AbortController()
  #rejoins = false
  #coordinator: Node | undefined
  #memberId = ''
  #generation = -1
  #joined: Promise<void>
  #settleJoined!: () => void
  #watch: ReturnType<typeof setTimeout> | undefined
  #interrupt: ((error: Error) => void) | undefined
  #life: Promise<void> | undefined
  /** The last join, which may have been interrupted. */
  #joining: Promise<void> = Promise.resolve()
  #isGone = false
  #failures = 0
  #attempt = 0
  #everJoined = false
  #startedAt = 0

  constructor(options: MembershipOptions, member: Member) {
    this.#options = options
    this.#member = member
    this.#joined = this.#unsettle()
  }

  start(): void {
    this.#startedAt = Date.now()
    this.#life ??= this.#live()
  }

  /** What the member holds has changed: the group is to share out anew. */
  rejoin(): void {
    this.#rejoins = true
    this.#wake.abort()
  }

  /** Leaves the group; others take over at once. */
  async leave(): Promise<void> {
    this.#leaving.abort()
    this.#wake.abort()
    this.#interrupt?.(new Left())
    await this.#life
  }

  /**
   * Commits under the generation of this very moment, when the group is at rest. Rejects with what the coordinator
   * answers; `REBALANCE_IN_PROGRESS` and the like say that it is to be tried again.
   */
  async commit(makeOffsets: () => readonly OffsetToCommit[]): Promise<void> {
    await this.#joined
    const node = this.#coordinator
    if (node === undefined || this.#memberId === '') throw new Error('The member has no coordinator.')
    const offsets = makeOffsets()
    if (offsets.length === 0) return
    const topics = new Map<string, object[]>()
    for (const { topic, partition, offset, metadata } of offsets) {
      const partitions = topics.get(topic) ?? []
      topics.set(topic, partitions)
      partitions.push({ partition, offset: String(offset), metadata })
    }
    try {
      await node.offsetCommit({
        groupId: this.#options.group,
        groupGenerationId: this.#generation,
        memberId: this.#memberId,
        topics: [...topics].map(([topic, partitions]) => ({ topic, partitions })),
      })
    } catch (error) {
      this.#seeCoordinator(error)
      throw error
    }
  }

  async #live(): Promise<void> {
    while (!this.#leaving.signal.aborted) {
      try {
        this.#joining = this.#join()
        await this.#within(this.#joining)
        await this.#stay()
      } catch (error) {
        if (!(await this.#recover(error))) break
      }
    }
    clearTimeout(this.#watch)
    this.#settleJoined()
    await this.#sayGoodbye()
  }

  async #join(): Promise<void> {
    const { cluster, group, sessionTimeout, logger } = this.#options
    const attempt = ++this.#attempt
    // Whoever was interrupted goes on in the background, and has no say any more.
    const isOver = () => attempt !== this.#attempt || this.#leaving.signal.aborted
    const coordinator = await this.#findCoordinator()
    if (isOver()) return
    this.#arm(2 * sessionTimeout, 'the group did not answer its join in time')
    this.#rejoins = false
    this.#wake = new AbortController()
    this.#joined = this.#unsettle()
    const subscription = this.#member.subscription()
    const memberId = this.#memberId
    const joined = await coordinator.joinGroup({
      groupId: group,
      sessionTimeout,
      rebalanceTimeout: sessionTimeout,
      memberId,
      groupProtocols: [{ name: this.#member.protocol, metadata: encodeSubscription(subscription) }],
    })
    if (isOver()) {
      // The group has taken somebody in who is no more.
      if (memberId === '' && !this.#isGone) await this.#tellLeave(coordinator, joined.memberId)
      return
    }
    this.#memberId = joined.memberId
    this.#generation = joined.generationId
    const groupAssignment = joined.leaderId === joined.memberId ? await this.#shareOut(joined.members) : []
    const { memberAssignment } = await coordinator.syncGroup({
      groupId: group,
      generationId: joined.generationId,
      memberId: joined.memberId,
      groupAssignment,
    })
    await cluster.refreshMetadataIfNecessary()
    if (isOver()) return
    this.#failures = 0
    this.#everJoined = true
    this.#arm(sessionTimeout, 'the group did not hear of it in time')
    const places = decodeAssignment(memberAssignment)
    logger.info('Joined the group', { group, generation: this.#generation, partitions: places.length })
    this.#member.assigned(places, this.#generation)
    this.#settleJoined()
  }

  async #shareOut(members: readonly { readonly memberId: string; readonly memberMetadata: Buffer }[]) {
    const { cluster } = this.#options
    const sharers = members.map(({ memberId, memberMetadata }) => ({
      memberId,
      subscription: decodeSubscription(memberMetadata),
    }))
    const topics = [...new Set(sharers.flatMap(({ subscription }) => subscription.topics))].sort()
    const gone = await refresh(cluster, topics)
    const unknown = topics.find(topic => gone.includes(topic))
    if (unknown !== undefined) throw refusal('UNKNOWN_TOPIC_OR_PARTITION', { topic: unknown, partition: 0 })
    const places = topics.flatMap(topic =>
      cluster
        .findTopicPartitionMetadata(topic)
        .map(({ partitionId }) => ({ topic, partition: partitionId }))
        .sort((a, b) => a.partition - b.partition),
    )
    const shares = shareOut(sharers, places)
    return members.map(({ memberId }) => ({ memberId, memberAssignment: encodeAssignment(shares.get(memberId) ?? []) }))
  }

  /** Beats until it is time to join again. */
  async #stay(): Promise<void> {
    const { group, sessionTimeout, heartbeatInterval } = this.#options
    while (!this.#rejoins && !this.#leaving.signal.aborted) {
      await wait(heartbeatInterval, this.#wake.signal)
      if (this.#rejoins || this.#leaving.signal.aborted) return
      const sent = Date.now()
      const coordinator = await this.#within(this.#findCoordinator())
      await this.#within(
        coordinator.heartbeat({ groupId: group, groupGenerationId: this.#generation, memberId: this.#memberId }),
      )
      this.#failures = 0
      this.#arm(sessionTimeout - (Date.now() - sent), 'the group did not hear of it in time')
    }
  }

  /** Whether life goes on. */
  async #recover(thrown: unknown): Promise<boolean> {
    if (this.#leaving.signal.aborted) return false
    const error = await this.#explain(thrown)
    const { logger, group, patience } = this.#options
    const type = typeOf(error)
    if (type === 'REBALANCE_IN_PROGRESS') return true
    if (
      error instanceof Expelled ||
      type === 'UNKNOWN_MEMBER_ID' ||
      type === 'ILLEGAL_GENERATION' ||
      type === 'FENCED_INSTANCE_ID'
    ) {
      if (type === 'UNKNOWN_MEMBER_ID' || type === 'FENCED_INSTANCE_ID') this.#memberId = ''
      this.#coordinator = undefined
      clearTimeout(this.#watch)
      this.#member.expelled(error instanceof Expelled ? error.message : 'the group has given it up.')
      return true
    }
    const isTooLate = !this.#everJoined && Date.now() > this.#startedAt + patience
    if (!mayPass(error) || isTooLate) {
      const told = toldOf(error, `Joining the group ${group}`, { group })
      this.#member.expelled('its member cannot go on.')
      this.#member.failed(told)
      return false
    }
    this.#seeCoordinator(error)
    this.#failures += 1
    logger.warn('The coordinator of the group cannot be asked; trying again', {
      group,
      error: String(error),
      tries: this.#failures,
    })
    await wait(Math.min(2_000, 50 * 2 ** Math.min(this.#failures, 6)), this.#leaving.signal)
    return !this.#leaving.signal.aborted
  }

  /** Who is in the group, where its coordinator has refused how this member speaks. */
  async #explain(error: unknown): Promise<unknown> {
    if (typeOf(error) !== 'INCONSISTENT_GROUP_PROTOCOL' || this.#coordinator === undefined) return error
    try {
      return (await strangerIn(this.#coordinator, this.#options.group, this.#member.protocol)) ?? new Unsettled(error)
    } catch {
      return error
    }
  }

  async #findCoordinator(): Promise<Node> {
    const { cluster, group } = this.#options
    if (this.#coordinator === undefined) {
      await cluster.connect()
      this.#coordinator = await coordinatorOf(cluster, group)
    }
    return this.#coordinator
  }

  /** Another node may be the coordinator by now, or the connection may be gone: ask anew. */
  #seeCoordinator(error: unknown): void {
    // It has answered, and will have to be told of the leave.
    if (!mayPass(error)) return
    const type = typeOf(error)
    if (type !== 'REBALANCE_IN_PROGRESS' && type !== 'ILLEGAL_GENERATION' && type !== 'UNKNOWN_MEMBER_ID')
      this.#coordinator = undefined
  }

  /** A session that the group may have ended is over here too, whether or not the group can be asked. */
  #arm(ms: number, why: string): void {
    clearTimeout(this.#watch)
    this.#watch = setTimeout(() => {
      const expelled = new Expelled(`${why}.`)
      if (this.#interrupt) this.#interrupt(expelled)
      else {
        this.#member.expelled(expelled.message)
        this.rejoin()
      }
    }, ms)
  }

  /** An answer, unless the session ends before it comes. */
  async #within<Answer>(answer: Promise<Answer>): Promise<Answer> {
    const interrupted = new Promise<never>((_, reject) => {
      this.#interrupt = reject
    })
    answer.catch(() => {})
    try {
      return await Promise.race([answer, interrupted])
    } finally {
      this.#interrupt = undefined
    }
  }

  async #sayGoodbye(): Promise<void> {
    // Who leaves before its first join is answered does not know yet whom the group takes it for.
    if (this.#memberId === '') await Promise.race([this.#joining, wait(admission)]).catch(() => {})
    else if (this.#coordinator !== undefined) await this.#tellLeave(this.#coordinator, this.#memberId)
    this.#memberId = ''
    this.#isGone = true
  }

  async #tellLeave(coordinator: Node, memberId: string): Promise<void> {
    const { group, logger } = this.#options
    const left = coordinator.leaveGroup({ groupId: group, memberId })
    // Who cannot be told learns it from the silence.
    await Promise.race([left, wait(goodbye)]).catch(error => {
      logger.debug('The group could not be told of the leave', { group, error: String(error) })
    })
  }

  #unsettle(): Promise<void> {
    this.#settleJoined?.()
    return new Promise(resolve => {
      this.#settleJoined = resolve
    })
  }
}

/** The session is over, by the group's word or by the clock. */
class Expelled extends Error {}

/** The group does not take this member now, and has not settled whom it takes. */
class Unsettled extends Error {
  constructor(cause: unknown) {
    super(`its members are changing (${String(cause)})`)
  }
}

/** The member leaves while it waits for an answer. */
class Left extends Error {}
