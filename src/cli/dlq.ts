import { Command, Option } from 'commander'
import { credentialsHelp } from './kafka/connection.ts'
import { listLetters } from './kafka/list-letters.ts'
import { replayLetters } from './kafka/replay-letters.ts'
import { showLetter } from './kafka/show-letter.ts'
import { perform } from './perform.ts'
import { countingNumber } from './whole-number.ts'

/** `xmachines dlq …`: records that runs refused. */
export function dlqCommand(): Command {
  const dlq = new Command('dlq').description('look at the dead letters of a topic of Kafka, and send them again')
  letters(dlq, 'list')
    .description('list dead letters, each once, and count them by reason')
    .option('--reason <code>', 'only those of this reason')
    .option('--key <key>', 'only those of this key')
    .option('--waiting', 'only those that no replay has dealt with')
    .action(perform(listLetters))
  letters(dlq, 'show')
    .description('show a dead letter: its reason, its headers and its value')
    .argument('<letter>', 'PARTITION/OFFSET, as `list` names it')
    .action(perform(showLetter))
  letters(dlq, 'replay')
    .description(
      'send the records of dead letters again, each once, in their order; run again, it goes on where it was',
    )
    .option('--to <topic>', 'where to (default: the topic that each came from)')
    .addOption(
      new Option('--except <code>', 'pass those of this reason over, for good; again for more reasons').argParser(
        (value: string, before: readonly string[] | undefined) => [...(before ?? []), value],
      ),
    )
    .addOption(new Option('--limit <n>', 'end after so many of them').argParser(countingNumber))
    .option(
      '--original-time',
      'with the time that they were of first; what is older than the topic keeps is deleted before it is read',
    )
    .option('--dry-run', 'say what would be sent, and send nothing')
    .action(perform(replayLetters))
  return dlq
}

function letters(dlq: Command, name: string): Command {
  return dlq
    .command(name)
    .requiredOption('--kafka <brokers>', 'the cluster: host:port,…')
    .requiredOption('--topic <topic>', 'the topic of dead letters')
    .option('--group <name>', "the group whose commits say what was replayed (default: the topic's name and .replay)")
    .addHelpText('after', credentialsHelp)
}
