import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Store } from '../../actors/contracts/store.ts'
import { XMachinesError } from '../../actors/errors.ts'
import type { Machines } from '../../actors/run/types.ts'
import { fileStore } from '../../persistence/filesystem/index.ts'
import { openInput } from '../input.ts'
import type { Terminal } from '../terminal.ts'
import { printable } from '../text.ts'
import { consumeLog } from './consume.ts'

/** What of a log is looked at, and with what. */
export interface LogStoreOptions {
  readonly machines: Machines
  readonly key?: string | undefined
}

/**
 * Does `work` with the runs that a log makes: the log goes the same way as under `run`, but into a store that is thrown away, and
 * with all effects held. `work` is told how many lines were refused.
 *
 * @throws RUN_UNKNOWN where no line of `key` made a run
 */
export async function withLogStore<T>(
  terminal: Terminal,
  log: string,
  { machines, key }: LogStoreOptions,
  work: (store: Store, refused: number) => Promise<T>,
): Promise<T> {
  const input = await openInput(log)
  const dir = await mkdtemp(join(tmpdir(), 'xmachines-'))
  // It dies with the command: nothing of it has to survive a crash.
  const store = fileStore(dir, { fsync: false })
  try {
    const topic = input.name
    const done = await consumeLog(terminal, { input, store, dir, machines, topic, strict: false, key, held: true })
    if (key !== undefined && (await store.find(topic, key)) === undefined) throw noRun(log, key)
    return await work(store, done.refused)
  } finally {
    input.chunks.destroy()
    await store.close()
    await rm(dir, { recursive: true, force: true })
  }
}

function noRun(log: string, key: string): XMachinesError {
  const text = `No line of ${printable(log)} makes a run of the key '${printable(key)}'. Of a log, only keys name runs.`
  return new XMachinesError('RUN_UNKNOWN', text, { details: { run: key } })
}
