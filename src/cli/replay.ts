import { stat } from 'node:fs/promises'
import { Command } from 'commander'
import type { JsonValue } from '../actors/contracts/json.ts'
import type { RunHead, Store } from '../actors/contracts/store.ts'
import { XMachinesError } from '../actors/errors.ts'
import { differences } from '../actors/json/differences.ts'
import type { RunInspectionEvent } from '../actors/machine/inspection.ts'
import type { StateValue } from '../actors/machine/xstate.ts'
import { inspected } from '../actors/replay/inspect-history.ts'
import { replay } from '../actors/replay/replay.ts'
import type { Machines, RunSnapshot } from '../actors/run/types.ts'
import { breakpointAt } from './breakpoint.ts'
import { withLogStore } from './event-log/log-store.ts'
import { findRun, nameOf } from './find-run.ts'
import { headsOf, isOfRun, type LeftOut, tellLeftOut } from './heads.ts'
import { loadMachines, machineIds, noneIsOf } from './load-machine.ts'
import { machineOption } from './machine-option.ts'
import { withStore } from './open-store.ts'
import { perform } from './perform.ts'
import { statelyEvent } from './stately-events.ts'
import { isElsewhere, storeArgument } from './store-doors.ts'
import { type Terminal, usage } from './terminal.ts'
import { changeText, counted, divergenceText, printable, shortId, timeText, typesText, valueText } from './text.ts'
import { wholeNumber } from './whole-number.ts'

interface ReplayOptions {
  readonly machine: readonly string[]
  readonly from?: number
  readonly until?: number
  readonly break?: readonly string[]
  readonly diff?: boolean
  readonly verify?: boolean
  readonly inspect?: boolean
  readonly namespace?: string
}

/** `xmachines replay STORE|LOG [RUN]`: decides histories again and shows every step. */
export function replayCommand(): Command {
  return new Command('replay')
    .description('decide histories again, step by step; no effect is run')
    .argument('<store|log>', `an event log as \`run\` takes it, or ${storeArgument}`)
    .argument('[run]', 'a key, an id, or the beginning of an id (of a log: a key)')
    .addOption(machineOption().makeOptionMandatory())
    .option('--from <seq>', 'the first unit to show', wholeNumber)
    .option('--until <seq>', 'the last unit to show', wholeNumber)
    .option(
      '--break <name>',
      'stop after the first unit with an event of this type, or that enters this state (a.b); may be repeated',
      collect,
    )
    .option('--diff', 'show what each unit changes in the context')
    .option('--verify', 'compare with what was recorded, and stop a run at the first difference')
    .option('--inspect', 'print what the Stately Inspector is sent instead, as NDJSON; with --until only')
    .option('--namespace <name>', 'where to look for the key')
    .action(perform(replayRuns))
}

async function replayRuns(
  terminal: Terminal,
  place: string,
  name: string | undefined,
  options: ReplayOptions,
): Promise<number> {
  const { from, diff, verify, break: breaks } = options
  if (options.inspect === true && [from, diff, verify, breaks].some(other => other !== undefined))
    throw usage('--inspect shows whole histories: of the other options, only --until goes with it.')
  if (from !== undefined && options.until !== undefined && from > options.until)
    throw usage(`--from ${from} comes after --until ${options.until}: there is nothing between.`)
  const machines = await loadMachines(options.machine)
  if (await isLog(place)) {
    if (options.namespace !== undefined) throw usage('--namespace is for stores: all runs of a log are in one.')
    return withLogStore(terminal, place, { machines, key: name }, async (store, refused) => {
      const code = await replayStore(terminal, store, machines, undefined, options)
      return refused > 0 ? 1 : code
    })
  }
  return withStore(terminal, place, { access: 'read' }, store => replayStore(terminal, store, machines, name, options))
}

/** Whatever is there and is no directory is read as a log. @throws STORE_MISSING: nothing is there */
async function isLog(place: string): Promise<boolean> {
  if (place === '-') return true
  return stat(place).then(
    found => !found.isDirectory(),
    () => {
      if (place === '' || isElsewhere(place)) return false
      throw new XMachinesError(
        'STORE_MISSING',
        `There is neither a store nor an event log at ${place}. Check the path.`,
      )
    },
  )
}

async function replayStore(
  terminal: Terminal,
  store: Store,
  machines: Machines,
  name: string | undefined,
  options: ReplayOptions,
): Promise<number> {
  const { signal } = terminal
  const { namespace } = options
  const runs =
    name === undefined ? headsOf(store, { namespace, signal }) : [await findRun(store, name, { namespace, signal })]
  const ids = new Set(machineIds(machines))
  const others = new Set<string>()
  let [code, shown] = [0, 0]
  const leaveOut = async (run: LeftOut): Promise<void> => {
    code = 1
    // The messages of an inspector are all that goes to it.
    if (options.inspect === true) terminal.fail(run.error)
    else await tellLeftOut(terminal, run)
  }
  for await (const head of runs) {
    if ('error' in head) {
      await leaveOut(head)
      continue
    }
    // Of all runs, those of other machines (child runs, say) are left out; one that is named is decided with what was given.
    if (name === undefined && !ids.has(head.machineId)) {
      others.add(head.machineId)
      terminal.say(`${shortId(head.run)} (${printable(nameOf(head))}) is of ${printable(head.machineId)}: left out.`)
      continue
    }
    shown++
    try {
      if (options.inspect === true) await inspectRun(terminal, store, machines, head, options)
      else if (!(await replayRun(terminal, store, machines, head, options))) code = 1
    } catch (error) {
      if (name !== undefined || !isOfRun(error)) throw error
      await leaveOut({ ...head, error })
    }
  }
  if (shown === 0 && others.size > 0) throw noneIsOf([...ids], others)
  return code
}

/** Prints what an inspector would be shown. */
async function inspectRun(
  terminal: Terminal,
  store: Store,
  machines: Machines,
  head: RunHead,
  { until = head.seq }: ReplayOptions,
): Promise<void> {
  const { run, key } = head
  const units = store.read(run, { to: Math.min(head.seq, until), signal: terminal.signal })
  // A unit's events go out before the next unit is decided.
  let events: object[] = []
  const inspect = (event: RunInspectionEvent): void => {
    const line = statelyEvent(event)
    if (line !== undefined) events.push(line)
  }
  for await (const _shown of inspected(machines, units, inspect, { run, name: key, store })) {
    for (const event of events) await terminal.printLine(printable(JSON.stringify(event)))
    events = []
  }
}

/** Answers whether it went as it was recorded, as far as was asked. */
async function replayRun(
  terminal: Terminal,
  store: Store,
  machines: Machines,
  head: RunHead,
  { from = 0, until, verify, diff = false, break: breaks = [] }: ReplayOptions,
): Promise<boolean> {
  const { run, key = null } = head
  if (!terminal.json) await terminal.printLine(`run ${shortId(run)} (${printable(nameOf(head))})`)
  const units = store.read(run, { to: Math.min(head.seq, until ?? head.seq), signal: terminal.signal })
  let [same, stopped, shown] = [true, false, 0]
  let before: RunSnapshot | undefined
  for await (const step of replay(machines, units, { until, verify, store })) {
    const { divergence, events, snapshot } = step
    if (divergence !== undefined) same = false
    const stop = breakpointAt(breaks, events, snapshot.value as StateValue, before?.value as StateValue | undefined)
    const changes = diff ? [...differences(contextOf(before), contextOf(snapshot), '$')] : undefined
    before = snapshot
    if (step.seq < from && stop === undefined && divergence === undefined) continue
    // A step says itself what of it is JSON.
    const record = terminal.json
      ? { run, key, ...(step as unknown as { toJSON(): object }).toJSON(), changes, stop }
      : undefined
    await terminal.print(record, () => {
      const { seq, at, snapshot, outputs } = step
      const state =
        snapshot.status === 'active' ? valueText(snapshot.value) : `${valueText(snapshot.value)} (${snapshot.status})`
      const told =
        outputs.length === 0
          ? ''
          : `  → ${outputs.map(output => printable((output as { type: string }).type)).join(', ')}`
      const lines = [`  ${String(seq).padStart(5)}  ${timeText(at)}  ${typesText(step)}  ⇒ ${state}${told}`]
      for (const change of changes ?? []) lines.push(changeText(change, '         '))
      if (divergence !== undefined) lines.push(`  ${divergenceText(divergence, '  ')}`)
      if (stop !== undefined) lines.push(`         stopped at ${printable(stop)}`)
      return lines.join('\n')
    })
    shown++
    stopped = stop !== undefined
    if (stopped) break
  }
  const called = `${shortId(run)} (${printable(nameOf(head))})`
  if (shown === 0) terminal.say(`${called} has ${counted(head.seq, 'unit')}: none to show from ${from} on.`)
  if (breaks.length > 0 && !stopped)
    terminal.say(`${called} did not stop: no unit meets ${printable(breaks.join(', '))}.`)
  return same
}

function collect(name: string, names: readonly string[] = []): readonly string[] {
  return [...names, name]
}

/** The context as JSON: references are shown by their ids. */
function contextOf(snapshot: RunSnapshot | undefined): JsonValue | undefined {
  return snapshot === undefined ? undefined : (JSON.parse(JSON.stringify(snapshot.context)) as JsonValue)
}
