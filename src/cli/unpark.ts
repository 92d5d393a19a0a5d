import { Command } from 'commander'
import { unparkRun } from '../actors/run/unpark.ts'
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
  return withStore(terminal, location, { access: 'write' }, async store => {
    const head = await findRun(store, name, { namespace: options.namespace, signal })
    const { run, key = null, namespace } = head
    const called = `${shortId(run)} (${printable(nameOf(head))})`
    const parked = await unparkRun(store, run)
    if (parked === null) throw usage(`Run ${called} does not stand parked.`)
    await terminal.print(
      { run, key, namespace, parked },
      () => `${called} goes on. It stood parked for ${parked.code}: ${printable(parked.message)}`,
    )
    return 0
  })
}
