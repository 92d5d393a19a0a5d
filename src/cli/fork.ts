import { readFile } from 'node:fs/promises'
import { Command } from 'commander'
import { batchesOf } from '../actors/batch-stream.ts'
import type { AppendItem, AppendOutcome, RunHead, Store } from '../actors/contracts/store.ts'
import { XMachinesError } from '../actors/errors.ts'
import { runCreation, runId } from '../actors/identity/index.ts'
import { forkRun } from '../actors/run/open.ts'
import { findRun, nameOf } from './find-run.ts'
import { loadMachines } from './load-machine.ts'
import { machineOption } from './machine-option.ts'
import { withStore } from './open-store.ts'
import { perform } from './perform.ts'
import { storeArgument } from './store-doors.ts'
import { type Terminal, usage } from './terminal.ts'
import { printable } from './text.ts'
import { wholeNumber } from './whole-number.ts'

interface ForkOptions {
  readonly at: number
  readonly key?: string
  readonly machine?: readonly string[]
  readonly replace?: string
  readonly namespace?: string
}

/** `xmachines fork STORE RUN --at SEQ`: a run that shares another one's history up to a unit. */
export function forkCommand(): Command {
  return new Command('fork')
    .description('make a run that begins with the units of another one; its effects are held')
    .argument('<store>', storeArgument)
    .argument('<run>', 'a key, an id, or the beginning of an id')
    .requiredOption('--at <seq>', 'the last unit that both have', wholeNumber)
    .option('--key <key>', 'the key of the fork; without one it is found by its id')
    .option('--namespace <name>', 'where to look for the key of the run')
    .option(
      '--replace <event>',
      'apply this event as the next unit: JSON, or a file of JSON; an array is a batch; needs --machine',
    )
    .addOption(machineOption())
    .action(perform(makeFork))
}

async function makeFork(terminal: Terminal, location: string, name: string, options: ForkOptions): Promise<number> {
  const { at, key, machine, namespace } = options
  const { signal } = terminal
  const replace = options.replace === undefined ? undefined : await eventOf(options.replace)
  if (replace !== undefined && machine === undefined)
    throw usage('--replace needs --machine FILE, which says what the event does.')
  const machines = machine === undefined ? undefined : await loadMachines(machine)
  return withStore(terminal, location, { access: 'write' }, async store => {
    const head = await findRun(store, name, { namespace, signal })
    if (at > head.seq) throw usage(`--at is ${at}, and the last unit of run ${head.run} is ${head.seq}.`)
    const pinned = key === undefined ? undefined : await store.find(head.namespace, key, { signal })
    if (pinned !== undefined) throw keyTaken(head.namespace, key, pinned)
    let run: string
    if (machines === undefined) run = await forkUnknown(store, head, at, key)
    else {
      const fork = await forkRun({ store, id: head.run, machine: machines }, { at, key, replace, strict: false })
      run = fork.id
      await fork.close()
    }
    const made = (await store.head(run))!
    await terminal.print(
      { run, key: key ?? null, namespace: head.namespace, from: head.run, at, seq: made.seq },
      () => {
        return `${run} (${printable(nameOf(made))}): a fork of ${head.run} at ${at}. Its effects are held.`
      },
    )
    return 0
  })
}

/**
 * Forks a run whose machine is not at hand. A fork needs none: only its state is not known then, unless it is the head's,
 * and is left out of listings until somebody opens it.
 */
async function forkUnknown(store: Store, head: RunHead, at: number, key: string | undefined): Promise<string> {
  const parent = await unitAt(store, head, at)
  const creation = runCreation({
    machine: parent.machine,
    namespace: head.namespace,
    key,
    time: head.time,
    fork: { run: head.run, at, parent: parent.id },
  })
  const run = runId(store.objectFormat, creation)
  const item: AppendItem = {
    run,
    expected: null,
    units: [{ seq: at, at: parent.at, events: [], origin: { kind: 'outside' }, outputs: [], creation }],
    machine: (await store.machine(parent.machine))!,
    beside: { held: true },
    due: null,
    ...(at === head.seq && head.value !== undefined ? { status: head.status, value: head.value } : {}),
  }
  const [outcome] = await store.append([item])
  if (outcome!.status !== 'appended') throw notForked(outcome!, run, head, key)
  return run
}

/** Unit `at`: its id, its time, and of which machine the run was then. */
async function unitAt(
  store: Store,
  head: RunHead,
  at: number,
): Promise<{ readonly id: string; readonly at: number; readonly machine: string }> {
  let machine = head.machine
  for await (const batch of batchesOf(store.read(head.run, { to: at }))) {
    for (const unit of batch) {
      machine = unit.machine ?? unit.creation?.machine ?? machine
      if (unit.seq === at) return { id: unit.id, at: unit.at, machine }
    }
  }
  throw new XMachinesError('RUN_DAMAGED', `Run ${head.run} has no unit ${at}.`, { details: { run: head.run, seq: at } })
}

function notForked(
  outcome: AppendOutcome,
  run: string,
  { namespace }: RunHead,
  key: string | undefined,
): XMachinesError {
  if (outcome.status === 'fenced')
    return new XMachinesError('LEASE_HELD', `'${outcome.owner}' holds the partition of run ${run}.`, {
      details: { ...outcome },
    })
  return keyTaken(namespace, key, outcome.status === 'pinned' ? outcome.run : run)
}

function keyTaken(namespace: string, key: string | undefined, run: string): XMachinesError {
  const text = `The key '${key}' of ${namespace} is pinned to run ${run}. Give another one with --key.`
  return new XMachinesError('RUN_EXISTS', text, { details: { namespace, key, run } })
}

/** An event that is given as JSON, or in a file. What is no event is refused as from any other caller. */
async function eventOf(given: string): Promise<{ readonly type: string }> {
  const event = parsed(given)
  if (event !== undefined) return someEvent(event)
  const text = await readFile(given, 'utf8').catch(() => undefined)
  if (text === undefined) throw usage(`--replace is neither JSON nor a file that can be read: ${printable(given)}`)
  const read = parsed(text)
  if (read === undefined) throw usage(`--replace ${printable(given)} holds no JSON.`)
  return someEvent(read)
}

/** Nothing in place of the next unit would be a fork without it: that is what no `--replace` makes. */
function someEvent<T>(event: T): T {
  const isNone = event === null || (Array.isArray(event) && event.length === 0)
  if (isNone) throw usage(`--replace is ${JSON.stringify(event)}: give an event, or leave it away for a fork alone.`)
  return event
}

function parsed(text: string): { readonly type: string } | undefined {
  try {
    return JSON.parse(text) as { readonly type: string }
  } catch {
    return undefined
  }
}
