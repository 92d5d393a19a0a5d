import type { StartFrom } from '../../actors/contracts/broker.ts'
import type { Store } from '../../actors/contracts/store.ts'
import type { TimeMode } from '../../actors/contracts/unit.ts'
import { XMachinesError } from '../../actors/errors.ts'
import type { Machines } from '../../actors/run/types.ts'
import { supervise } from '../../actors/supervisor/index.ts'
import { type KafkaBroker, kafkaBroker } from '../../transports/kafka/index.ts'
import type { KafkaConnection } from '../../transports/kafka/options.ts'
import { SupervisorWatch, until } from '../supervisor-watch.ts'
import type { Terminal } from '../terminal.ts'
import { AppliedCount } from './applied-count.ts'
import { groupLag, showMember } from './topic-progress.ts'

/** How a topic is consumed. */
export interface ConsumeTopicOptions {
  readonly connection: KafkaConnection
  readonly topic: string
  readonly group: string
  readonly results: string | undefined
  readonly deadLetters: string | undefined
  readonly from: StartFrom
  readonly store: Store
  readonly machines: Machines
  readonly time: TimeMode
  readonly tombstones: 'refuse' | 'stop' | undefined
  readonly residents: number | undefined
  /** End when all that the topic held at the start is settled, whichever member holds it. */
  readonly untilCaughtUp: boolean
}

/** What a member of a group has done. */
export interface TopicConsumption {
  /** Records that were applied. */
  readonly events: number
  /** Records that had been applied before, and were recognised. */
  readonly duplicates: number
  /** Records that went to the dead letters. */
  readonly refused: number
  /** Outputs that went to the results. */
  readonly outputs: number
  /** Runs that ended with an error, or are parked. */
  readonly failed: number
  readonly interrupted: boolean
}

/** Takes part in a group until the signal, or until it is caught up: drains, commits, leaves. */
export async function consumeTopic(terminal: Terminal, options: ConsumeTopicOptions): Promise<TopicConsumption> {
  const broker = kafkaBroker(options.connection)
  try {
    await checkTopics(broker, options)
    return await takePart(terminal, broker, options)
  } finally {
    await broker.close()
  }
}

async function takePart(
  terminal: Terminal,
  broker: KafkaBroker,
  options: ConsumeTopicOptions,
): Promise<TopicConsumption> {
  const { topic, group, from, store, machines, time, tombstones, residents, results, deadLetters, untilCaughtUp } =
    options
  const consumer = broker.consumer({ topic, group, from })
  const applied = new AppliedCount()
  const supervisor = supervise({
    machine: machines,
    store,
    consumer,
    results: results === undefined ? undefined : broker.producer({ topic: results }),
    deadLetters: deadLetters === undefined ? undefined : broker.producer({ topic: deadLetters }),
    time,
    tombstones,
    // As in production: docs/decisions/0009-strict-mode.md.
    strict: false,
    residents,
    telemetry: applied,
  })
  const watch = new SupervisorWatch(terminal, supervisor)
  const look = () => ({
    leases: supervisor.status().leases.length,
    events: applied.count,
    refused: supervisor.status().deadLettered,
  })
  const progress = showMember(terminal, look, () => groupLag(consumer, topic))
  try {
    const ends = untilCaughtUp ? [supervisor.caughtUp({ signal: terminal.signal })] : []
    await until(terminal.signal, Promise.race([...ends, watch.stopped])).catch((error: unknown) => {
      throw XMachinesError.is(error) ? blamed(error) : error
    })
  } finally {
    progress.stop()
    await supervisor.close()
  }
  const { duplicates, deadLettered, outputsSent } = supervisor.status()
  return {
    events: applied.count,
    duplicates,
    refused: deadLettered,
    outputs: outputsSent,
    failed: watch.failed,
    interrupted: terminal.signal.aborted,
  }
}

/** A name that is misspelt shows before the first record, not with the first output or refusal. */
async function checkTopics(broker: KafkaBroker, options: ConsumeTopicOptions): Promise<void> {
  const { topic, group, results, deadLetters } = options
  const names = [topic, results, deadLetters].filter(name => name !== undefined)
  const checks = names.map(async name => {
    // Nobody reads its leases, so it never joins.
    const consumer = broker.consumer({ topic: name, group })
    try {
      await consumer.endOffsets(name)
    } catch (thrown) {
      // A cluster that is not reached now may be in a moment: the supervisor has the patience.
      if (!XMachinesError.is(thrown) || !thrown.retryable) throw thrown
    } finally {
      await consumer.close()
    }
  })
  await Promise.all(checks)
}

/** The reason itself, with the place of the record where it is one that is to blame. */
function blamed(error: XMachinesError): XMachinesError {
  const { cause, details } = error
  if (!XMachinesError.is(error, 'SUPERVISOR_STOPPED') || !XMachinesError.is(cause)) return error
  const { topic, partition, offset } = details
  if (offset === undefined) return cause
  return new XMachinesError(
    cause.code,
    `${topic}/${partition}/${offset}: ${cause.message} Give --dead-letters, or mend what refuses the record.`,
    {
      details: { ...cause.details, ...details },
      cause,
    },
  )
}
