import { Command, Option } from 'commander'
import type { Store } from '../actors/contracts/store.ts'
import type { ObjectFormat } from '../actors/contracts/unit.ts'
import { type Consumption, consumeLog } from './event-log/consume.ts'
import { openInput } from './input.ts'
import { loadMachines } from './load-machine.ts'
import { machineOption } from './machine-option.ts'
import { objectFormatOption } from './object-format-option.ts'
import { withStore } from './open-store.ts'
import { perform } from './perform.ts'
import { notesDirectory, storeArgument } from './store-doors.ts'
import { type Terminal, usage } from './terminal.ts'
import { counted } from './text.ts'
import { countingNumber } from './whole-number.ts'

interface RunOptions {
  readonly machine: readonly string[]
  readonly store: string
  readonly topic?: string
  readonly strict?: boolean
  readonly residents?: number
  readonly notes?: string
  readonly objectFormat?: ObjectFormat
}

/** `xmachines run LOG --machine M --store S`: an event log becomes durable runs. */
export function runCommand(): Command {
  return new Command('run')
    .description('apply an event log to durable runs, one a key; run again, it goes on where it was')
    .argument('<log>', 'NDJSON of {"key", "at"?, "event"} or {"key", "at"?, "events"}; - for stdin')
    .addOption(machineOption().makeOptionMandatory())
    .requiredOption('--store <store>', `${storeArgument}; it is made if there is none`)
    .option(
      '--topic <name>',
      "what the log is called for ever, and the namespace of its runs (default: the log's base name)",
    )
    .option(
      '--notes <dir>',
      'where it is kept what of the log was consumed, and the dead letters (default: in the store, where that is a directory)',
    )
    .option('--strict', 'stop at the first line that is refused; slower, one line after another')
    .addOption(new Option('--residents <n>', 'how many runs are kept in memory').argParser(countingNumber))
    .addOption(objectFormatOption())
    .action(perform(runLog))
}

async function runLog(terminal: Terminal, log: string, options: RunOptions): Promise<number> {
  const { strict = false, residents, objectFormat } = options
  const dir = options.notes ?? (await notesDirectory(options.store))
  if (dir === undefined)
    throw usage('--notes is needed: a store that is no directory has no place for what the log was.')
  const machines = await loadMachines(options.machine)
  const input = await openInput(log)
  try {
    return await withStore(terminal, options.store, { access: 'create', objectFormat }, async store => {
      const topic = options.topic ?? input.name
      const began = performance.now()
      const done = await consumeLog(terminal, { input, store, dir, machines, topic, strict, residents })
      await summarise(terminal, store, topic, done, (performance.now() - began) / 1000)
      return done.refused + done.failed === 0 ? 0 : 1
    })
  } finally {
    input.chunks.destroy()
  }
}

async function summarise(
  terminal: Terminal,
  store: Store,
  namespace: string,
  { events, duplicates, refused, failed, interrupted }: Consumption,
  seconds: number,
): Promise<void> {
  let runs = 0
  for await (const _ of store.list({ namespace })) runs++
  const perSecond = Math.round((events + duplicates) / seconds)
  const record = {
    topic: namespace,
    runs,
    events,
    duplicates,
    refused,
    failed,
    seconds: Number(seconds.toFixed(3)),
    perSecond,
    interrupted,
  }
  await terminal.print(record, () => {
    const parts = [
      counted(runs, 'run'),
      `${counted(events, 'event')} applied`,
      ...(duplicates === 0 ? [] : [`${counted(duplicates, 'duplicate')} recognised`]),
      ...(refused === 0 ? [] : [`${counted(refused, 'line')} refused: see dead-letters.ndjson`]),
      ...(failed === 0 ? [] : [`${counted(failed, 'run')} failed`]),
      `${perSecond.toLocaleString('en-US')} events/s`,
    ]
    return `${interrupted ? 'Interrupted: ' : ''}${parts.join(', ')}.${interrupted ? ' Run it again to go on.' : ''}`
  })
}
