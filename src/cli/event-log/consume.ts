import type { Store } from '../../actors/contracts/store.ts'
import { platform } from '../../actors/environment.ts'
import { XMachinesError } from '../../actors/errors.ts'
import type { Machines } from '../../actors/run/types.ts'
import { superviseIn } from '../../actors/supervisor/index.ts'
import type { Input } from '../input.ts'
import { showProgress } from '../progress.ts'
import { SupervisorWatch, until } from '../supervisor-watch.ts'
import type { Terminal } from '../terminal.ts'
import { printable } from '../text.ts'
import { ConsumedFile } from './consumed.ts'
import { DeadLetterFile } from './dead-letter-file.ts'
import { LogConsumer } from './log-consumer.ts'
import { LogReader } from './log-reader.ts'
import { decodeLine, keyOfLine } from './log-record.ts'

/** How a log is consumed. */
export interface ConsumeOptions {
  readonly input: Input
  readonly store: Store
  /** Where the store keeps its files: what was consumed and the dead letters go there too. */
  readonly dir: string
  readonly machines: Machines
  readonly topic: string
  /** Stop at the first line that is refused. */
  readonly strict: boolean
  readonly residents?: number | undefined
  /** Only the lines of this key. */
  readonly key?: string | undefined
  /** The log is only looked at: no effect of its runs is started. */
  readonly held?: boolean
}

/** What became of a log. */
export interface Consumption {
  /** Lines that were applied by this call. */
  readonly events: number
  /** Lines that had been applied before, and were recognised. */
  readonly duplicates: number
  readonly refused: number
  /** Runs that ended with an error, or are parked. */
  readonly failed: number
  /** Whether somebody wanted it to end before the log did. */
  readonly interrupted: boolean
}

/** Applies a log to durable runs, from where it was left. */
export async function consumeLog(terminal: Terminal, options: ConsumeOptions): Promise<Consumption> {
  const { input, store, dir, machines, topic, strict, residents, key, held } = options
  const reader = new LogReader(input.chunks, new ConsumedFile(dir, topic))
  const consumer = new LogConsumer(topic, reader, key === undefined ? undefined : line => keyOfLine(line) === key)
  const deadLetters = strict
    ? undefined
    : new DeadLetterFile(dir, topic, ({ line, code, message }) => {
        terminal.say(`${topic}:${line}: ${code}: ${printable(message)}`)
      })
  if (reader.settledLines > 0) terminal.say(`${topic}: goes on after line ${reader.settledLines}.`)
  const supervisor = superviseIn(
    platform,
    {
      machine: machines,
      store,
      consumer,
      deadLetters,
      decode: decodeLine,
      time: 'source',
      // One line after another, so that the first that is refused is the first in the log, and all before it are applied.
      ordering: strict ? 'partition' : 'key',
      // As in production: docs/decisions/0009-strict-mode.md.
      strict: false,
      ...(residents === undefined ? {} : { residents }),
    },
    held,
  )
  const watch = new SupervisorWatch(terminal, supervisor)
  const progress = await showProgress(terminal, 'line', () => {
    return { done: reader.settledBytes, whole: input.size, count: consumer.settled }
  })
  // In strict mode there is never more than one line under way.
  let orderly = strict
  try {
    await until(terminal.signal, Promise.race([consumer.ended.then(() => supervisor.caughtUp()), watch.stopped])).catch(
      (error: unknown) => {
        throw XMachinesError.is(error) ? reasonOf(topic, error) : error
      },
    )
    orderly = true
  } finally {
    await supervisor.close()
    await deadLetters?.close()
    reader.save(orderly)
    progress.stop()
  }
  const { duplicates } = supervisor.status()
  const refused = deadLetters?.count ?? 0
  const events = Math.max(0, consumer.settled - duplicates - refused)
  return { events, duplicates, refused, failed: watch.failed, interrupted: terminal.signal.aborted }
}

/** Why it stands stopped, with the line where it is one that is to blame. */
function reasonOf(topic: string, error: XMachinesError): XMachinesError {
  const { cause } = error
  if (!XMachinesError.is(error, 'SUPERVISOR_STOPPED') || !XMachinesError.is(cause)) return error
  const { offset } = error.details
  if (offset === undefined) return cause
  const { code, message, details } = cause
  return new XMachinesError(code, `${topic}:${offset}: ${message}`, { details: { ...details, line: offset }, cause })
}
