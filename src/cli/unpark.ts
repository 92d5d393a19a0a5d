import { Command } from 'commander'
import type { RunHead, Store } from '../actors/contracts/store.ts'
import { XMachinesError } from '../actors/errors.ts'
import { findRun, nameOf } from './find-run.ts'
import { withStore } from './open-store.ts'
import { perform } from './perform.ts'
import { storeArgument } from './store-doors.ts'
import { type Terminal, usage } from './terminal.ts'
import { printable, shortId } from './text.ts'

interface UnparkOptions {
  readonly namespace?: string
}

/** `xmachines unpark STORE RUN`: a run that stands parked is decided again. */
export function unparkCommand(): Command {
  return new Command('unpark')
    .description(
      'let a run go on that stands parked, once what it failed of is mended: what comes from then on is applied',
    )
    .argument('<store>', storeArgument)
    .argument('<run>', 'a key, an id, or the beginning of an id')
    .option('--namespace <name>', 'where to look for the key')
    .action(perform(unpark))
}

async function unpark(terminal: Terminal, location: string, name: string, options: UnparkOptions): Promise<number> {
  const { signal } = terminal
  const { namespace } = options
  return withStore(terminal, location, { access: 'write' }, async store => {
    for (;;) {
      const head = await findRun(store, name, { namespace, signal })
      const { run, key = null, beside } = head
      const { parked } = beside
      const called = `${shortId(run)} (${printable(nameOf(head))})`
      if (parked === null) throw usage(`Run ${called} does not stand parked.`)
      if (!(await lift(store, head))) continue
      const record = { run, key, namespace: head.namespace, parked }
      await terminal.print(
        record,
        () => `${called} goes on. It stood parked for ${parked.code}: ${printable(parked.message)}`,
      )
      return 0
    }
  })
}

/**
 * Whether it is lifted; if not, somebody else was first. It is done under the lease of the run's owner, who finds out within ten seconds.
 *
 * @throws LEASE_HELD where the owner changes meanwhile
 */
async function lift(store: Store, { run, seq, revision, lease }: RunHead): Promise<boolean> {
  const row = lease && (await store.lease(lease))
  const owned = row !== undefined && row.owner !== null
  const [outcome] = await store.append([
    {
      run,
      expected: { seq, revision },
      units: [],
      ...(owned && { lease: { ...lease!, epoch: row.epoch } }),
      beside: { parked: null },
      // Its timers, mail and outcomes have waited: whoever looks after it looks now.
      due: 0,
    },
  ])
  if (outcome!.status === 'fenced')
    throw new XMachinesError(
      'LEASE_HELD',
      `'${outcome!.owner}' has taken the partition of run ${run} over. Try again.`,
      {
        details: { ...outcome },
      },
    )
  return outcome!.status === 'appended'
}
