import { Command, Option } from 'commander'
import type { TimeMode } from '../actors/contracts/unit.ts'
import { credentialsHelp } from './kafka/connection.ts'
import { type RunTopicOptions, runTopic } from './kafka/run-topic.ts'
import { machineOption } from './machine-option.ts'
import { objectFormatOption } from './object-format-option.ts'
import { perform } from './perform.ts'
import { type RunLogOptions, runLog } from './run-log.ts'
import { storeArgument } from './store-doors.ts'
import { type Terminal, usage } from './terminal.ts'
import { countingNumber } from './whole-number.ts'

interface RunOptions extends RunLogOptions {
  readonly kafka?: string
  readonly group?: string
  readonly results?: string
  readonly deadLetters?: string
  readonly from?: 'earliest' | 'latest'
  readonly time?: TimeMode
  readonly tombstones?: 'refuse' | 'stop'
  readonly untilCaughtUp?: boolean
}

/** What is of a log alone, and of Kafka alone, by the names of the options. */
const ofLogs = { strict: '--strict', notes: '--notes' } as const
const ofKafka = {
  group: '--group',
  results: '--results',
  deadLetters: '--dead-letters',
  from: '--from',
  time: '--time',
  tombstones: '--tombstones',
  untilCaughtUp: '--until-caught-up',
} as const

/** `xmachines run LOG --machine M --store S`, or `--kafka B --topic T --group G` for the log: events become durable runs. */
export function runCommand(): Command {
  return new Command('run')
    .description(
      'apply an event log, or a topic of Kafka, to durable runs, one a key; run again, it goes on where it was',
    )
    .argument('[log]', 'NDJSON of {"key", "at"?, "event"} or {"key", "at"?, "events"}; - for stdin')
    .addOption(machineOption().makeOptionMandatory())
    .requiredOption('--store <store>', `${storeArgument}; it is made if there is none`)
    .option(
      '--topic <name>',
      "what the log is called for ever, and the namespace of its runs (default: the log's base name); with --kafka, the topic",
    )
    .option(
      '--notes <dir>',
      'where it is kept what of the log was consumed, and the dead letters (default: in the store, where that is a directory)',
    )
    .option('--strict', 'stop at the first line that is refused; slower, one line after another')
    .addOption(new Option('--residents <n>', 'how many runs are kept in memory').argParser(countingNumber))
    .addOption(objectFormatOption())
    .option('--kafka <brokers>', 'take part in a group of this cluster until Ctrl-C: host:port,…; in place of a log')
    .option('--group <name>', 'the consumer group, which nothing else may use')
    .option('--results <topic>', 'where outputs go (default: they are kept in the history only)')
    .option('--dead-letters <topic>', 'where refused records go (default: the first one ends the command)')
    .addOption(
      new Option('--from <where>', 'where a group starts that has committed nothing (default: earliest)').choices([
        'earliest',
        'latest',
      ]),
    )
    .addOption(
      new Option(
        '--time <mode>',
        "what the runs take for the time: their records' (source, the default), or the clock (arrival)",
      ).choices(['source', 'arrival']),
    )
    .addOption(
      new Option(
        '--tombstones <what>',
        'what a record without a value means: it is refused (default), or it stops the run of its key',
      ).choices(['refuse', 'stop']),
    )
    .option('--until-caught-up', 'end when all that the topic holds now is settled and its outputs are sent')
    .addHelpText('after', credentialsHelp)
    .action(perform(run))
}

async function run(terminal: Terminal, log: string | undefined, options: RunOptions): Promise<number> {
  const { kafka, topic, group } = options
  if (kafka === undefined) {
    if (log === undefined) throw usage('Nothing to run: give a log, or --kafka BROKERS --topic TOPIC --group GROUP.')
    refuse(options, ofKafka, 'It is for --kafka.')
    return runLog(terminal, log, options)
  }
  if (log !== undefined) throw usage('Either a log or --kafka: there is one place where records come from.')
  refuse(options, ofLogs, 'It is for logs.')
  if (topic === undefined) throw usage('--kafka needs --topic: the topic that the records are in.')
  if (group === undefined) throw usage('--kafka needs --group: the consumer group to take part in.')
  return runTopic(terminal, { ...options, kafka, topic, group } satisfies RunTopicOptions)
}

function refuse(options: RunOptions, names: Readonly<Record<string, string>>, why: string): void {
  for (const [key, name] of Object.entries(names))
    if (options[key as keyof RunOptions] !== undefined) throw usage(`${name} has no meaning here. ${why}`)
}
