import { Command } from 'commander'
import type { LeaseKey, ListOptions, Store } from '../actors/contracts/store.ts'
import { XMachinesError } from '../actors/errors.ts'
import { type LeftOut, leftOut, tellLeftOut } from './heads.ts'
import { withStore } from './open-store.ts'
import { perform } from './perform.ts'
import { storeArgument } from './store-doors.ts'
import { Table } from './table.ts'
import { type Terminal, usage } from './terminal.ts'
import { printable } from './text.ts'
import { wholeNumber } from './whole-number.ts'

/** `xmachines lease …`: who owns the partitions of a store. */
export function leaseCommand(): Command {
  const lease = new Command('lease').description('show who owns the partitions of a store, and end a dead owner')
  lease
    .command('list')
    .description('list the partitions that runs are pinned to, with their owners')
    .argument('<store>', storeArgument)
    .option('--namespace <name>', 'only partitions of this namespace')
    .action(perform(listLeases))
  lease
    .command('release')
    .description(
      'take a partition from an owner that is gone, so that runs of it can be written to without a lease; an owner that lives claims it again',
    )
    .argument('<store>', storeArgument)
    .argument('<partition>', 'its number', wholeNumber)
    .requiredOption('--namespace <name>', 'the namespace of the partition: as a rule, the topic')
    .action(perform(releaseLease))
  return lease
}

interface NamespaceOption {
  readonly namespace?: string
}

async function listLeases(terminal: Terminal, location: string, { namespace }: NamespaceOption): Promise<number> {
  return withStore(terminal, location, { access: 'read' }, async store => {
    const table = new Table(terminal, ['NAMESPACE', 'PARTITION', 'EPOCH', 'OWNER', 'GROUP', 'RUNS'])
    const damaged: LeftOut[] = []
    const partitions = await pinned(store, {
      namespace,
      signal: terminal.signal,
      damaged: run => damaged.push(leftOut(run)),
    })
    for (const { key, runs } of partitions) {
      const row = await store.lease(key)
      if (row === undefined) continue
      const { epoch, owner, group } = row
      await table.add({ ...key, epoch, owner, group, runs }, () => [
        printable(key.namespace),
        String(key.partition),
        String(epoch),
        printable(owner ?? '-'),
        printable(group ?? '-'),
        String(runs),
      ])
    }
    await table.end()
    for (const run of damaged) await tellLeftOut(terminal, run)
    return damaged.length === 0 ? 0 : 1
  })
}

/** The partitions that runs are pinned to, in order, and how many runs each has. */
async function pinned(
  store: Store,
  { namespace, ...options }: ListOptions,
): Promise<readonly { readonly key: LeaseKey; readonly runs: number }[]> {
  const found = new Map<string, { key: LeaseKey; runs: number }>()
  for await (const { lease } of store.list(options)) {
    if (lease === undefined || (namespace !== undefined && lease.namespace !== namespace)) continue
    const { namespace: of, partition } = lease
    const name = JSON.stringify([of, partition])
    const entry = found.get(name)
    if (entry === undefined) found.set(name, { key: { namespace: of, partition }, runs: 1 })
    else entry.runs++
  }
  return [...found.values()].sort(({ key: a }, { key: b }) =>
    a.namespace === b.namespace ? a.partition - b.partition : a.namespace < b.namespace ? -1 : 1,
  )
}

async function releaseLease(
  terminal: Terminal,
  location: string,
  partition: number,
  { namespace }: Required<NamespaceOption>,
): Promise<number> {
  return withStore(terminal, location, { access: 'write' }, async store => {
    const key = { namespace, partition }
    const called = `Partition ${partition} of ${printable(namespace)}`
    const row = await store.lease(key)
    if (row === undefined)
      throw usage(`${called} was never claimed. \`xmachines lease list STORE\` shows those that were.`)
    const { epoch, owner, group } = row
    if (owner === null) throw usage(`${called} has no owner.`)
    if (!(await store.release({ ...key, epoch }))) {
      const message = `${called} was claimed meanwhile, by an owner that lives. Look with \`xmachines lease list STORE\`.`
      throw new XMachinesError('LEASE_HELD', message, { details: { ...key, epoch } })
    }
    await terminal.print(
      { ...key, epoch, owner, group },
      () => `${called} is nobody's now. It was owned by '${printable(owner)}', with epoch ${epoch}.`,
    )
    return 0
  })
}
