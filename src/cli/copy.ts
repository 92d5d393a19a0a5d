import { Command, Option } from 'commander'
import type { Store } from '../actors/contracts/store.ts'
import type { ObjectFormat } from '../actors/contracts/unit.ts'
import { type CopyProgress, type CopyReport, copyStore, StoreCopier } from '../actors/copy/copy-store.ts'
import { follow } from './follow.ts'
import { checkObjectFormat, objectFormatOption } from './object-format-option.ts'
import { openStore } from './open-store.ts'
import { perform } from './perform.ts'
import { showProgress } from './progress.ts'
import { placeOf, storeArgument } from './store-doors.ts'
import { type Terminal, usage } from './terminal.ts'
import { counted } from './text.ts'

interface StoreCopyOptions {
  readonly objectFormat?: ObjectFormat
  readonly source: 'leave' | 'quiet' | 'fence'
  readonly follow?: boolean
}

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
  const { source, follow: follows = false } = options
  await checkTarget(from, to)
  if (follows && source === 'quiet') throw usage('--follow has nothing to follow where --source is quiet.')
  const stores: Store[] = []
  try {
    stores.push(await openStore(terminal, from, { access: source === 'leave' ? 'read' : 'write' }))
    checkObjectFormat(options.objectFormat, stores[0]!.objectFormat)
    stores.push(await openStore(terminal, to, { access: 'create', objectFormat: stores[0]!.objectFormat }))
    const report = await copyAsTold(terminal, stores[0]!, stores[1]!, source, follows)
    for (const { run, error } of report.failed) {
      terminal.fail(error)
      await terminal.print({ run, error: error.toJSON() }, () => undefined)
    }
    const { runs, unchanged, units, failed } = report
    await terminal.print({ runs, unchanged, units, failed: failed.length }, () => undefined)
    terminal.say(
      `${counted(runs, 'run')}: ${counted(units, 'unit')} appended, ${unchanged} as before, ${failed.length} not copied.`,
    )
    if (report.fenced === false && source === 'fence' && !terminal.signal.aborted)
      terminal.say('The source goes on: it is not fenced while runs cannot be copied. Without --follow it is.')
    return failed.length === 0 ? 0 : 1
  } finally {
    for (const store of stores) await store.close()
  }
}

/** Of a store that is its own copy, all runs would be held: nobody would go on with them. @throws USAGE_INVALID */
async function checkTarget(from: string, to: string): Promise<void> {
  const [source, target] = await Promise.all([placeOf(from), placeOf(to)])
  if (source === target) throw usage('A store cannot be copied into itself. Give another place for the copy.')
}

async function copyAsTold(
  terminal: Terminal,
  from: Store,
  to: Store,
  source: StoreCopyOptions['source'],
  follows: boolean,
): Promise<CopyReport & { readonly fenced?: boolean }> {
  const { signal } = terminal
  if (!follows) return withProgress(terminal, onProgress => copyStore(from, to, { source, signal, onProgress }))
  const copier = new StoreCopier(from, to)
  return follow({
    pass: source => withProgress(terminal, onProgress => copier.copy({ source, signal, onProgress })),
    fences: source === 'fence',
    signal,
  })
}

async function withProgress(
  terminal: Terminal,
  copy: (onProgress: (progress: CopyProgress) => void) => Promise<CopyReport>,
): Promise<CopyReport> {
  let runs = 0
  const progress = await showProgress(terminal, 'run', () => ({ done: runs, whole: undefined, count: runs }))
  try {
    return await copy(({ runs: now }) => void (runs = now))
  } finally {
    progress.stop()
  }
}
