import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { XMachinesError } from '../actors/errors.ts'
import type { VerifiedRun } from './verify.ts'

/** Every `of`-th run, from the `index`-th on. */
export interface Share {
  readonly index: number
  readonly of: number
}

/**
 * Starts this command `jobs` times, each with its share of the runs, and yields what they find as it comes.
 * Processes and not threads: a machine's module may be anything, and a reader of a store needs no more than its directory.
 */
export async function* inShares(
  jobs: number,
  command: readonly string[],
  signal: AbortSignal,
): AsyncGenerator<VerifiedRun> {
  const children = Array.from({ length: jobs }, (_, index) =>
    spawn(
      process.execPath,
      [...process.execArgv, process.argv[1]!, ...command, '--json', '--share', `${index}/${jobs}`],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    ),
  )
  const stop = (): void => {
    for (const child of children) child.kill()
  }
  signal.addEventListener('abort', stop)
  try {
    yield* merged(children.map(foundBy))
  } finally {
    signal.removeEventListener('abort', stop)
    stop()
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
