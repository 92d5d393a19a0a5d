import type { DamagedRun, ListOptions, RunHead, Store } from '../actors/contracts/store.ts'
import { asError, XMachinesError } from '../actors/errors.ts'
import { isUnreadable } from '../actors/history/unreadable.ts'
import type { Terminal } from './terminal.ts'

/** A run that a command leaves out, or what follows in its history, and why. */
export interface LeftOut extends DamagedRun {
  readonly error: XMachinesError
}

/** A damaged run, with an error that has a code whichever store it is of. */
export function leftOut(run: DamagedRun): LeftOut {
  return { ...run, error: asError(run.error, 'RUN_DAMAGED') }
}

/** How all runs stand, by their ids; of a run of which that cannot be read, why. */
export async function* headsOf(store: Store, options: ListOptions): AsyncGenerator<RunHead | LeftOut, void, void> {
  const damaged: LeftOut[] = []
  for await (const head of store.list({ ...options, damaged: run => damaged.push(leftOut(run)) })) {
    while (damaged.length > 0 && damaged[0]!.run < head.run) yield damaged.shift()!
    yield head
  }
  yield* damaged
}

/** What is wrong with one run, or with the machines for it: a command that looks at all runs goes on with the others. */
export function isOfRun(thrown: unknown): thrown is XMachinesError {
  return (
    isUnreadable(thrown) ||
    XMachinesError.is(thrown, 'MACHINE_MISMATCH') ||
    XMachinesError.is(thrown, 'MIGRATION_FAILED')
  )
}

/** Says why a run is left out. */
export async function tellLeftOut(terminal: Terminal, { run, namespace, key, error }: LeftOut): Promise<void> {
  terminal.fail(error)
  const record = { run, key: key ?? null, namespace: namespace ?? null, error: error.toJSON() }
  await terminal.print(record, () => undefined)
}
