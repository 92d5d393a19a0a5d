import type { ObjectFormat, TimeMode } from '../../actors/contracts/unit.ts'
import { loadMachines } from '../load-machine.ts'
import { withStore } from '../open-store.ts'
import { type Terminal, usage } from '../terminal.ts'
import { counted } from '../text.ts'
import { kafkaConnection } from './connection.ts'
import { consumeTopic, type TopicConsumption } from './consume-topic.ts'

/** What `run` is told of a topic. */
export interface RunTopicOptions {
  readonly kafka: string
  readonly topic: string
  readonly group: string
  readonly machine: readonly string[]
  readonly store: string
  readonly results?: string
  readonly deadLetters?: string
  readonly from?: 'earliest' | 'latest'
  readonly time?: TimeMode
  readonly tombstones?: 'refuse' | 'stop'
  readonly residents?: number
  readonly objectFormat?: ObjectFormat
  readonly untilCaughtUp?: boolean
}

/** Applies the records of a topic to durable runs, as a member of a group; answers the exit code. */
export async function runTopic(terminal: Terminal, options: RunTopicOptions): Promise<number> {
  const { topic, group, results, deadLetters, residents, objectFormat, tombstones } = options
  const { from = 'earliest', time = 'source', untilCaughtUp = false } = options
  const names = [topic, results, deadLetters].filter(name => name !== undefined)
  if (new Set(names).size < names.length)
    throw usage('--topic, --results and --dead-letters are three topics: what is sent to one of them would come back.')
  const connection = kafkaConnection(terminal, options.kafka)
  const machines = await loadMachines(options.machine)
  return withStore(terminal, options.store, { access: 'create', objectFormat }, async store => {
    const began = performance.now()
    const read = { connection, topic, group, from, tombstones }
    const consuming = { ...read, results, deadLetters, store, machines, time, residents, untilCaughtUp }
    const done = await consumeTopic(terminal, consuming)
    await summarise(terminal, topic, group, done, (performance.now() - began) / 1000)
    return done.refused + done.failed === 0 ? 0 : 1
  })
}

async function summarise(
  terminal: Terminal,
  topic: string,
  group: string,
  done: TopicConsumption,
  seconds: number,
): Promise<void> {
  const { events, duplicates, refused, outputs, failed } = done
  const perSecond = Math.round((events + duplicates) / seconds)
  await terminal.print({ topic, group, ...done, seconds: Number(seconds.toFixed(3)), perSecond }, () => {
    const parts = [
      `${counted(events, 'record')} applied`,
      ...(duplicates === 0 ? [] : [`${counted(duplicates, 'duplicate')} recognised`]),
      ...(refused === 0 ? [] : [`${counted(refused, 'record')} refused: see \`xmachines dlq list\``]),
      ...(outputs === 0 ? [] : [`${counted(outputs, 'output')} sent`]),
      ...(failed === 0 ? [] : [`${counted(failed, 'run')} failed`]),
      `${perSecond.toLocaleString('en-US')} events/s`,
    ]
    return `${parts.join(', ')}.`
  })
}
