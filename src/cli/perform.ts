import { Console } from 'node:console'
import type { Command } from 'commander'
import { exitCodeOf, OutputClosed, Terminal } from './terminal.ts'

/** The options that every command has. */
interface StandardOptions {
  readonly json?: boolean
  readonly debug?: boolean
}

/** By what the system ends a command, and what the command then exits with. */
const signals = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const

/**
 * Makes a commander action of `work`, which answers the exit code: 0 fine, 1 something was found.
 *
 * A signal fires `terminal.signal` and the command ends in order; a second one ends it at once.
 */
export function perform<Args extends readonly unknown[]>(
  work: (terminal: Terminal, ...args: Args) => Promise<number>,
): (...args: [...Args, Command]) => Promise<void> {
  return async (...all) => {
    const command = all[all.length - 1] as Command
    const { json = false, debug = false }: StandardOptions = command.opts()
    const stop = new AbortController()
    const terminal = new Terminal({ json, debug, signal: stop.signal })
    const onSignal = (name: NodeJS.Signals): void => {
      const code = signals[name as keyof typeof signals]
      if (stop.signal.aborted) process.exit(code)
      process.exitCode = code
      stop.abort(name)
    }
    for (const name of Object.keys(signals)) process.on(name, onSignal)
    // What a machine's code logs is no finding: among NDJSON it would be a line that is none.
    globalThis.console = new Console({ stdout: process.stderr, stderr: process.stderr })
    // Both are told by the write that failed; an `error` that nobody listens to would end the process instead.
    process.stdout.on('error', () => {})
    process.stderr.on('error', () => {})
    let code: number
    try {
      code = await work(terminal, ...(all.slice(0, -1) as unknown as Args))
      await terminal.flush()
    } catch (thrown) {
      code = await failed(terminal, thrown)
    }
    // A signal has said already with what to exit.
    if (!stop.signal.aborted) process.exitCode = code
  }
}

async function failed(terminal: Terminal, thrown: unknown): Promise<number> {
  if (thrown instanceof OutputClosed) return 0
  // What was found before the failure is worth as much as without it.
  await terminal.flush().catch(() => {})
  if (!terminal.signal.aborted) terminal.fail(thrown)
  return exitCodeOf(thrown)
}
