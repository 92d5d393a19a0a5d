#!/usr/bin/env node
import { readFileSync } from 'node:fs'
import { Command, CommanderError, Help } from 'commander'
import { archiveCommand } from './archive.ts'
import { bisectCommand } from './bisect.ts'
import { copyCommand } from './copy.ts'
import { diffCommand } from './diff.ts'
import { dlqCommand } from './dlq.ts'
import { exportCommand } from './export.ts'
import { forkCommand } from './fork.ts'
import { gitCommand } from './git.ts'
import { importCommand } from './import.ts'
import { leaseCommand } from './lease.ts'
import { logCommand } from './log.ts'
import { replayCommand } from './replay.ts'
import { runCommand } from './run.ts'
import { runsCommand } from './runs.ts'
import { printableLines } from './text.ts'
import { unparkCommand } from './unpark.ts'
import { verifyCommand } from './verify.ts'

const commands = [
  runCommand,
  runsCommand,
  logCommand,
  replayCommand,
  verifyCommand,
  diffCommand,
  bisectCommand,
  forkCommand,
  exportCommand,
  importCommand,
  copyCommand,
  archiveCommand,
  unparkCommand,
  leaseCommand,
  gitCommand,
  dlqCommand,
]

const program = new Command('xmachines')
  .description('XState machines as durable runs')
  .version(packageVersion())
  .exitOverride()
  .configureOutput({
    outputError: (text, write) => write(printableLines(text.replace(/^error: /, 'USAGE_INVALID: '))),
  })
  .configureHelp({
    optionDescription(option) {
      const text = Help.prototype.optionDescription.call(this, option)
      return option.mandatory ? `${text} (required)` : text
    },
  })
  .showHelpAfterError('`xmachines help` lists the commands.')

for (const make of commands) {
  const command = make().copyInheritedSettings(program)
  for (const leaf of command.commands.length > 0 ? command.commands : [command]) {
    leaf
      .copyInheritedSettings(program)
      .showHelpAfterError(`\`${callOf(command, leaf)} --help\` says what it takes.`)
      .option('--json', 'NDJSON on stdout')
      .option('--debug', 'errors with their stack')
  }
  program.addCommand(command)
}

try {
  await program.parseAsync()
} catch (thrown) {
  if (!(thrown instanceof CommanderError)) throw thrown
  // Help and version that were asked for are no mistake.
  process.exitCode = thrown.exitCode === 0 ? 0 : 2
}
// Whatever is still open (stdin of an interrupted command) has nothing more to say.
process.exit()

/** What is typed to call a command. */
function callOf(command: Command, leaf: Command): string {
  return [program, command, ...(leaf === command ? [] : [leaf])].map(each => each.name()).join(' ')
}

function packageVersion(): string {
  const { version }: { version: string } = JSON.parse(readFileSync(new URL(packageFile(), import.meta.url), 'utf8'))
  return version
}

/** The package's own description: one folder up when built, two from the source. */
function packageFile(): string {
  return import.meta.url.endsWith('.ts') ? '../../package.json' : '../package.json'
}
