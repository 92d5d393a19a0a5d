import { setTimeout as sleep } from 'node:timers/promises'
import { Command, Option } from 'commander'
import type { Store } from '../actors/contracts/store.ts'
import { type CopyOptions, type CopyReport, copyStore } from '../actors/copy/copy-store.ts'
import { objectFormatOption } from './object-format-option.ts'
import { openStore } from './open-store.ts'
import { perform } from './perform.ts'
import { showProgress } from './progress.ts'
import { storeArgument } from './store-doors.ts'
import { type Terminal, usage } from './terminal.ts'
import { counted } from './text.ts'

interface StoreCopyOptions {
  readonly source: 'leave' | 'quiet' | 'fence'
  readonly follow?: boolean
}

/** How long a copy that follows waits after it found nothing new, ms. */
const followEvery = 500

/** A copy that finds no more new units than that has caught up. */
const caughtUp = 100

/** `xmachines copy FROM TO`: a store's runs into another one. */
export function copyCommand(): Command {
  return new Command('copy')
    .description('copy the runs of a store into another one, or what that one has not got of them')
    .argument('<from>', storeArgument)
    .argument('<to>', 'the same; made if it is not there')
    .addOption(
      new Option(
        '--source <what>',
        'what becomes of the source: it goes on, and its runs are held in the copy; it is quiet, and the copy goes on; or whoever runs it is fenced off now',
      )
        .choices(['leave', 'quiet', 'fence'])
        .default('leave'),
    )
    .option('--follow', 'go on copying: until interrupted, or with --source fence until the copy has caught up')
    .addOption(objectFormatOption())
    .action(perform(copy))
}

async function copy(terminal: Terminal, from: string, to: string, options: StoreCopyOptions): Promise<number> {
  const { source, follow = false } = options
  if (follow && source === 'quiet') throw usage('--follow has nothing to follow where --source is quiet.')
  const stores: Store[] = []
  try {
    stores.push(await openStore(terminal, from, { access: source === 'leave' ? 'read' : 'write' }))
    stores.push(await openStore(terminal, to, { access: 'create', objectFormat: stores[0]!.objectFormat }))
    const report = await copyAsTold(terminal, stores[0]!, stores[1]!, source, follow)
    for (const { run, error } of report.failed) {
      terminal.fail(error)
      await terminal.print({ run, error: error.toJSON() }, () => undefined)
    }
    const { runs, unchanged, units, failed } = report
    await terminal.print({ runs, unchanged, units, failed: failed.length }, () => undefined)
    terminal.say(
      `${counted(runs, 'run')}: ${counted(units, 'unit')} appended, ${unchanged} as before, ${failed.length} not copied.`,
    )
    return failed.length === 0 ? 0 : 1
  } finally {
    for (const store of stores) await store.close()
  }
}

async function copyAsTold(
  terminal: Terminal,
  from: Store,
  to: Store,
  source: StoreCopyOptions['source'],
  follow: boolean,
): Promise<CopyReport> {
  const { signal } = terminal
  if (!follow) return copyOnce(terminal, from, to, { source, signal })
  let before = 0
  for (;;) {
    const report = await copyOnce(terminal, from, to, { source: 'leave', signal })
    const units = before + report.units
    if (source === 'fence' && report.units <= caughtUp) {
      const last = await copyOnce(terminal, from, to, { source, signal })
      return { ...last, units: units + last.units }
    }
    before = units
    if (report.units === 0) await sleep(followEvery, undefined, { signal }).catch(() => {})
    if (signal.aborted) return { ...report, units }
  }
}

async function copyOnce(terminal: Terminal, from: Store, to: Store, options: CopyOptions): Promise<CopyReport> {
  let runs = 0
  const progress = await showProgress(terminal, 'run', () => ({ done: runs, whole: undefined, count: runs }))
  try {
    return await copyStore(from, to, { ...options, onProgress: ({ runs: now }) => void (runs = now) })
  } finally {
    progress.stop()
  }
}
