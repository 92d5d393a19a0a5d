import { availableParallelism } from 'node:os'
import { Command, InvalidArgumentError } from 'commander'
import type { RunHead, Store } from '../actors/contracts/store.ts'
import { messageOf, XMachinesError } from '../actors/errors.ts'
import { replay } from '../actors/replay/replay.ts'
import { type Verification, verifyRecorded, verifyRun } from '../actors/replay/verify.ts'
import type { Machines } from '../actors/run/types.ts'
import { isRecorded } from '../persistence/git/clone.ts'
import { nameOf } from './find-run.ts'
import { headsOf, type LeftOut } from './heads.ts'
import { loadMachines } from './load-machine.ts'
import { machineOption } from './machine-option.ts'
import { withStore } from './open-store.ts'
import { perform } from './perform.ts'
import { storeArgument } from './store-doors.ts'
import { type Terminal, usage } from './terminal.ts'
import { counted, divergenceText, printable, shortId } from './text.ts'
import { openPush } from './verify-pushed.ts'
import { inShares, isInShare, type Share } from './verify-shares.ts'
import { countingNumber } from './whole-number.ts'

interface VerifyOptions {
  readonly machine?: readonly string[]
  readonly namespace?: string
  readonly jobs?: number
  readonly share?: Share
  readonly pushed?: boolean
}

/** What was found of one run: its line of JSON. */
export type VerifiedRun = Verification &
  Pick<RunHead, 'namespace'> & { readonly key: string | null; readonly ok: boolean }

/** Units from which on more processes are worth their start. */
const manyUnits = 100_000

/** `xmachines verify STORE --machine M`: decides every run again and compares; migrations are tried, not written. */
export function verifyCommand(): Command {
  return new Command('verify')
    .description('decide every run of a store again, and compare with what was recorded')
    .argument('<store>', storeArgument)
    .addOption(machineOption())
    .option('--namespace <name>', 'only runs of this namespace')
    .option(
      '--jobs <count>',
      'processes to share the runs among (default: one a core where there is much)',
      countingNumber,
    )
    .option('--share <which>', 'only this share of the runs, by their ids: 0/4, 1/4 …', shareOf)
    .option('--pushed', 'for a `pre-receive` hook: only what stdin tells is pushed, with --machine or without')
    .action(perform(verifyStore))
}

async function verifyStore(terminal: Terminal, location: string, options: VerifyOptions): Promise<number> {
  const { machine = [], pushed = false } = options
  if (machine.length === 0 && !pushed)
    throw usage("required option '--machine <file[#export]>' not specified: only --pushed goes without it.")
  const machines = machine.length === 0 ? undefined : await loadMachines(machine)
  if (pushed) return verifyPush(terminal, location, machines)
  return withStore(terminal, location, { access: 'read' }, async store => {
    const { share } = options
    const jobs = share === undefined ? (options.jobs ?? (await jobsFor(store, options, terminal.signal))) : 1
    const own = verified(
      store,
      machines!,
      jobs > 1 ? { ...options, share: { index: 0, of: jobs } } : options,
      terminal.signal,
    )
    const found = jobs > 1 ? inShares(jobs, ['verify', location, ...flagsOf(options)], own, terminal.signal) : own
    const { runs, wrong } = await report(terminal, found, share === undefined)
    // A name that is mistyped must not pass for a store in which all is well.
    if (runs === 0 && share === undefined && options.namespace !== undefined)
      throw usage(`The store has no run of the namespace ${printable(options.namespace)}.`)
    return wrong === 0 ? 0 : 1
  })
}

async function* verified(
  store: Store,
  machines: Machines,
  { namespace, share = { index: 0, of: 1 } }: VerifyOptions,
  signal: AbortSignal,
): AsyncGenerator<VerifiedRun> {
  for await (const head of headsOf(store, { namespace, signal })) {
    if (!isInShare(head.run, share)) continue
    yield 'error' in head ? damaged(head) : named(head, await verifyOne(store, machines, head))
  }
}

function named({ key, namespace }: RunHead, found: Verification): VerifiedRun {
  return { key: key ?? null, namespace, ok: found.divergence === undefined && found.error === undefined, ...found }
}

function damaged({ run, namespace = '', key, error: { code, message } }: LeftOut): VerifiedRun {
  return { run, namespace, key: key ?? null, ok: false, units: 0, error: { code, message } }
}

/** Verifies the runs that a push adds to; without machines, that their commits are what their ids say. */
async function verifyPush(terminal: Terminal, location: string, machines: Machines | undefined): Promise<number> {
  const { store, heads, recorded, takeTurn } = await openPush(location)
  const found = async function* (): AsyncGenerator<VerifiedRun> {
    for (const head of heads) {
      if (machines !== undefined) yield named(head, await verifyOne(store, machines, head, () => recorded(head.run)))
      else for await (const _unit of store.read(head.run));
    }
  }
  try {
    const { wrong } = await report(terminal, found(), machines !== undefined)
    if (wrong > 0) return 1
    await takeTurn()
    return 0
  } finally {
    await store.close()
  }
}

/**
 * Of a run whose clone has not got what was recorded, all that can be said is whether it can be decided.
 *
 * @param recorded the units of which it is, if that is known
 */
async function verifyOne(
  store: Store,
  machines: Machines,
  head: RunHead,
  recorded?: () => ReadonlySet<number>,
): Promise<Verification> {
  if (isRecorded(store, head)) return verifyRun(store, machines, head)
  const { run, seq } = head
  const seqs = recorded?.()
  if (seqs?.size) return verifyRecorded(store, machines, head, seq => seqs.has(seq))
  try {
    for await (const _step of replay(machines, store.read(run, { to: seq }), { store }));
    return { run, units: seq, ...(seq > 0 && { uncompared: seq }) }
  } catch (thrown) {
    const code = XMachinesError.is(thrown) ? thrown.code : 'RUN_DAMAGED'
    return { run, units: 0, error: { code, message: messageOf(thrown) } }
  }
}

/** Prints what was found, run by run. Answers how many runs there were, and how many are not as recorded. */
async function report(
  terminal: Terminal,
  found: AsyncIterable<VerifiedRun>,
  sums: boolean,
): Promise<{ readonly runs: number; readonly wrong: number }> {
  let [runs, units, uncompared, wrong, migrating, diverging] = [0, 0, 0, 0, 0, 0]
  for await (const one of found) {
    const { run, key, namespace, ok, divergence, error, migratesTo } = one
    runs++
    units += one.units
    uncompared += one.uncompared ?? 0
    if (!ok) wrong++
    if (divergence !== undefined) diverging++
    if (migratesTo !== undefined) migrating++
    await terminal.print(
      { run, key, namespace, units: one.units, uncompared: one.uncompared, ok, divergence, migratesTo, error },
      () => {
        const name = `${shortId(run)} (${printable(nameOf({ namespace, key: key ?? undefined }))})`
        if (divergence !== undefined) return `${name}: unit ${divergence.seq}: ${divergenceText(divergence)}`
        return error === undefined ? undefined : `${name}: ${error.code}: ${printable(error.message)}`
      },
    )
  }
  if (sums) {
    const outcome = wrong === 0 ? 'all as recorded' : counted(wrong, 'run differs', 'runs differ')
    const over =
      migrating === 0 ? '' : ` ${counted(migrating, 'run goes', 'runs go')} over to the first machine when opened.`
    const only =
      uncompared === 0
        ? ''
        : ` ${counted(uncompared, 'unit')} could not be compared: no state is recorded, or the machine was not given.`
    terminal.say(`${counted(runs, 'run')}, ${counted(units, 'unit')} decided again: ${outcome}.${only}${over}`)
    // The recorded states are hashes: only the machine as it was can show them.
    if (diverging > 0)
      terminal.say(
        'What was changed, `xmachines bisect STORE --good OLD --bad NEW` shows: OLD is the machine as it was.',
      )
  }
  return { runs, wrong }
}

async function jobsFor(store: Store, { namespace }: VerifyOptions, signal: AbortSignal): Promise<number> {
  let units = 0
  for await (const head of headsOf(store, { namespace, signal })) {
    if (!('error' in head)) units += head.seq
    if (units >= manyUnits) return availableParallelism()
  }
  return 1
}

function flagsOf({ machine = [], namespace }: VerifyOptions): readonly string[] {
  const flags = machine.flatMap(reference => ['--machine', reference])
  return namespace === undefined ? flags : [...flags, '--namespace', namespace]
}

function shareOf(text: string): Share {
  const [, index, of] = /^(\d{1,6})\/(\d{1,6})$/.exec(text) ?? []
  if (index === undefined || Number(index) >= Number(of))
    throw new InvalidArgumentError('It is not a share such as 0/4.')
  return { index: Number(index), of: Number(of) }
}
