import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { setImmediate } from 'node:timers/promises'
import { XMachinesError } from '../actors/errors.ts'
import type { VerifiedRun } from './verify.ts'

/** A share of the runs of a store: the `index`-th of `of`. */
export interface Share {
  readonly index: number
  readonly of: number
}

/**
 * Whether a run is in a share. Its id alone says so, which is a hash: each process lists for itself, and runs that are made in between
 * would shift all places in the list.
 */
export function isInShare(run: string, { index, of }: Share): boolean {
  return Number.parseInt(run.slice(-12), 16) % of === index
}

/**
 * Starts this command for every share of the runs but the first, which is this process's `own`, and yields what they find as it
 * comes. Processes and not threads: a machine's module may be anything, and a reader of a store needs no more than its directory.
 */
export async function* inShares(
  jobs: number,
  command: readonly string[],
  own: AsyncIterable<VerifiedRun>,
  signal: AbortSignal,
): AsyncGenerator<VerifiedRun> {
  const children = Array.from({ length: jobs - 1 }, (_, index) =>
    spawn(
      process.execPath,
      [...process.execArgv, process.argv[1]!, ...command, '--json', '--share', `${index + 1}/${jobs}`],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    ),
  )
  const stop = (): void => {
    for (const child of children) child.kill()
  }
  signal.addEventListener('abort', stop)
  try {
    yield* merged([listening(own), ...children.map(foundBy)])
  } finally {
    signal.removeEventListener('abort', stop)
    stop()
  }
}

/** Between two runs the other processes are listened to: one that nobody reads stands still. */
async function* listening(own: AsyncIterable<VerifiedRun>): AsyncGenerator<VerifiedRun> {
  for await (const found of own) {
    yield found
    await setImmediate()
  }
}

async function* foundBy(child: ChildProcess): AsyncGenerator<VerifiedRun> {
  const closed = once(child, 'close') as Promise<[code: number | null, signal: string | null]>
  for await (const line of createInterface({ input: child.stdout! })) yield JSON.parse(line) as VerifiedRun
  const [code, signal] = await closed
  if (code === 0 || code === 1) return
  throw new XMachinesError(
    'STORE_UNAVAILABLE',
    `A process that verified a share of the runs ended with ${signal ?? code}. Its message is above; verify with --jobs 1.`,
    { details: { code, signal } },
  )
}

/** What all of them yield, in the order it comes; one value of each is waited for at a time. */
async function* merged<T>(sources: readonly AsyncGenerator<T>[]): AsyncGenerator<T> {
  const next = (source: AsyncGenerator<T>) => source.next().then(result => ({ source, result }))
  const waiting = new Map(sources.map(source => [source, next(source)]))
  while (waiting.size > 0) {
    const { source, result } = await Promise.race(waiting.values())
    if (result.done) {
      waiting.delete(source)
      continue
    }
    waiting.set(source, next(source))
    yield result.value
  }
}
