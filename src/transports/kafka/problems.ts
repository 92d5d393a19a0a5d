import { messageOf, XMachinesError } from '../../actors/errors.ts'
import type { Place } from './cluster.ts'
import { type Asked, missingPermission } from './permission.ts'

/** What kafkajs throws: an error of the protocol has a `type`, one of the connection only a name. */
interface Problem {
  readonly name?: string
  readonly type?: string
  readonly cause?: Problem
  readonly broker?: string
}

/** The protocol's name of what was refused, wherever kafkajs has wrapped it. */
export function typeOf(thrown: unknown): string | undefined {
  for (let problem = thrown as Problem | undefined; problem; problem = problem.cause) {
    if (problem.type !== undefined) return problem.type
  }
  return undefined
}

/** Kafka's names of errors, by number: those that are acted upon here. */
const types: Readonly<Record<number, string>> = {
  1: 'OFFSET_OUT_OF_RANGE',
  2: 'CORRUPT_MESSAGE',
  3: 'UNKNOWN_TOPIC_OR_PARTITION',
  5: 'LEADER_NOT_AVAILABLE',
  6: 'NOT_LEADER_FOR_PARTITION',
  7: 'REQUEST_TIMED_OUT',
  9: 'REPLICA_NOT_AVAILABLE',
  10: 'MESSAGE_TOO_LARGE',
  13: 'NETWORK_EXCEPTION',
  18: 'RECORD_LIST_TOO_LARGE',
  19: 'NOT_ENOUGH_REPLICAS',
  20: 'NOT_ENOUGH_REPLICAS_AFTER_APPEND',
  29: 'TOPIC_AUTHORIZATION_FAILED',
  31: 'CLUSTER_AUTHORIZATION_FAILED',
  32: 'INVALID_TIMESTAMP',
  45: 'OUT_OF_ORDER_SEQUENCE_NUMBER',
  46: 'DUPLICATE_SEQUENCE_NUMBER',
  47: 'INVALID_PRODUCER_EPOCH',
  56: 'KAFKA_STORAGE_ERROR',
  59: 'UNKNOWN_PRODUCER_ID',
  74: 'FENCED_LEADER_EPOCH',
  75: 'UNKNOWN_LEADER_EPOCH',
  87: 'INVALID_RECORD',
}

export function typeOfCode(code: number): string {
  return types[code] ?? `ERROR_${code}`
}

/** An error of the protocol, as kafkajs would throw it. */
export function refusal(type: string, { topic, partition }: Place): Error {
  return Object.assign(new Error(`${type} (${topic}/${partition})`), { type })
}

/** Whether the answer came from a node that does not lead the partition, or the connection broke: ask for the leaders anew. */
export function isStale(type: string | undefined): boolean {
  return (
    type === 'NOT_LEADER_FOR_PARTITION' ||
    type === 'LEADER_NOT_AVAILABLE' ||
    type === 'UNKNOWN_TOPIC_OR_PARTITION' ||
    type === 'FENCED_LEADER_EPOCH' ||
    type === 'UNKNOWN_LEADER_EPOCH' ||
    type === 'REPLICA_NOT_AVAILABLE' ||
    type === 'KAFKA_STORAGE_ERROR'
  )
}

/** Whether a record is refused for what it is: the others of its batch are not to blame. */
export function isOfRecord(type: string | undefined): type is keyof typeof ofRecord {
  return type !== undefined && Object.hasOwn(ofRecord, type)
}

const ofRecord = {
  INVALID_TIMESTAMP:
    "its time is further from the broker's clock than the topic takes. Correct the clock or the time that it is sent with, or the " +
    "topic's message.timestamp.before.max.ms and message.timestamp.after.max.ms.",
  INVALID_RECORD:
    'the topic takes no such record: a compacted one takes none without a key, one whose schemas are checked none without its ' +
    'schema.',
} as const

/**
 * What a caller is told: what another try cannot help has a code of its own, all else is `BROKER_UNAVAILABLE`.
 * @param asked names what may be refused
 */
export function toldOf(thrown: unknown, doing: string, asked: Asked = {}): XMachinesError {
  if (XMachinesError.is(thrown)) return thrown
  const type = typeOf(thrown)
  const details = { ...(type === undefined ? {} : { type }) }
  if (type === 'UNKNOWN_TOPIC_OR_PARTITION' || type === 'INVALID_TOPIC_EXCEPTION') {
    return new XMachinesError(
      'TOPIC_UNKNOWN',
      `${doing}: the cluster has no such topic (${type}). Create it, with as many partitions as the fleet will ever need: ` +
        'kafka-topics.sh --create --topic NAME --partitions N --replication-factor 3',
      { cause: thrown, details },
    )
  }
  const missing = missingPermission(type, asked)
  if (missing !== undefined) {
    const { operation, resource, name } = missing
    return new XMachinesError(
      'BROKER_REFUSED',
      `${doing}: the cluster refuses this user, who has no ${operation} on the ${resource} ${name} (${type}). Grant it: ` +
        `kafka-acls.sh --add --allow-principal User:NAME --operation ${operation} --${resource} ${name}`,
      { cause: thrown, details: { ...details, ...missing } },
    )
  }
  if (type === 'MESSAGE_TOO_LARGE' || type === 'RECORD_LIST_TOO_LARGE') {
    return new XMachinesError(
      'RECORD_TOO_LARGE',
      `${doing}: a record is over what the topic takes (${type}). Raise its max.message.bytes, or send less in one record.`,
      { cause: thrown, details },
    )
  }
  if (isOfRecord(type)) {
    return new XMachinesError('RECORD_REFUSED', `${doing}: ${ofRecord[type]} (${type})`, { cause: thrown, details })
  }
  if (isAuthentication(thrown) || type?.endsWith('_AUTHORIZATION_FAILED')) {
    return new XMachinesError(
      'BROKER_REFUSED',
      `${doing}: the cluster refuses this user (${type ?? 'authentication failed'}). Check \`sasl\` and the ACLs: a worker ` +
        'needs READ on its topic and its group, and WRITE on the topics of results and dead letters.',
      { cause: thrown, details },
    )
  }
  if (type === 'INCONSISTENT_GROUP_PROTOCOL') {
    return new XMachinesError(
      'GROUP_FOREIGN',
      `${doing}: the group is in use by members of another application, which share partitions out in another way. ` +
        'Give this one a group of its own.',
      { cause: thrown, details },
    )
  }
  if (type === 'INVALID_SESSION_TIMEOUT' || type === 'INVALID_GROUP_ID' || type === 'GROUP_MAX_SIZE_REACHED') {
    return new XMachinesError(
      'BROKER_REFUSED',
      `${doing}: the cluster refuses the membership (${type}). Correct \`sessionTimeout\` or the group, or the limits of the cluster ` +
        '(group.min.session.timeout.ms, group.max.session.timeout.ms, group.max.size).',
      { cause: thrown, details },
    )
  }
  return new XMachinesError('BROKER_UNAVAILABLE', `${doing}: ${innermost(thrown)}. It is safe to try again.`, {
    cause: thrown,
    details,
  })
}

/** Whether another try may help. */
export function mayPass(thrown: unknown): boolean {
  return toldOf(thrown, '').retryable
}

function isAuthentication(thrown: unknown): boolean {
  for (let problem = thrown as Problem | undefined; problem; problem = problem.cause) {
    if (problem.name === 'KafkaJSSASLAuthenticationError') return true
  }
  return false
}

/** Nobody answers, wherever was asked. */
class Unreachable extends Error {
  constructor(addresses: readonly string[], cause: unknown) {
    super(`no node answers at ${addresses.join(', ')} (${innermost(cause)})`, { cause })
  }
}

/** What a first connection failed with, with all addresses that were tried where none of them answered. */
export function unreachable(addresses: readonly string[], thrown: unknown): unknown {
  return toldOf(thrown, '').code === 'BROKER_UNAVAILABLE' ? new Unreachable(addresses, thrown) : thrown
}

function innermost(thrown: unknown): string {
  let problem = thrown as Problem
  while (problem?.cause && !(problem instanceof Unreachable)) problem = problem.cause
  return messageOf(problem).replace(/\.$/, '')
}
