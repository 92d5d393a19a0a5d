import { type ErrorCode, messageOf, XMachinesError } from '../actors/errors.ts'
import { printable, printableLines } from './text.ts'

/** How much is gathered before it is written, unless a person watches. */
const bufferLength = 65_536

/** Whoever read our output has closed it. Nothing is wrong; there is only nobody left to tell. */
export class OutputClosed extends Error {}

/**
 * What a command says: its findings on stdout (NDJSON with `--json`), everything else on stderr.
 *
 * A reader that is slower than we are holds us back; one that goes away ends the command with {@link OutputClosed}.
 */
export class Terminal {
  readonly json: boolean
  /** Fires when the person at the terminal, or the system, wants the command to end. */
  readonly signal: AbortSignal
  readonly #debug: boolean
  #buffer = ''
  /** What is on stderr's last line without an end: a progress bar takes itself away first. */
  clearLine: () => void = () => {}

  constructor(options: { readonly json: boolean; readonly debug: boolean; readonly signal: AbortSignal }) {
    this.json = options.json
    this.#debug = options.debug
    this.signal = options.signal
  }

  /** A finding: `record` as a line of JSON, or else what `text` makes of it, if anything. */
  async print(record: unknown, text: () => string | undefined): Promise<void> {
    const line = this.json ? printable(JSON.stringify(record, bigintAsText)) : text()
    if (line !== undefined) await this.printLine(line)
  }

  /** A line that is the same with `--json` and without. */
  async printLine(line: string): Promise<void> {
    this.#buffer += `${line}\n`
    if (this.#buffer.length >= bufferLength || process.stdout.isTTY) await this.flush()
  }

  /** Writes what was gathered. */
  flush(): Promise<void> {
    const text = this.#buffer
    this.#buffer = ''
    if (text === '') return Promise.resolve()
    return new Promise((resolve, reject) => {
      process.stdout.write(text, error => (error ? reject(closedOr(error)) : resolve()))
    })
  }

  /** A message for the person, on stderr. */
  say(text: string): void {
    this.clearLine()
    process.stderr.write(`${text}\n`)
  }

  /** Says what went wrong, as `CODE: text`. */
  fail(thrown: unknown): void {
    const [code, text] = [codeOf(thrown), printable(messageOf(thrown))]
    // Errors of the system begin with their code.
    this.say(text.startsWith(`${code}: `) ? text : `${code}: ${text}`)
    if (this.#debug && thrown instanceof Error) {
      this.say(printableLines(thrown.stack ?? ''))
      if (thrown.cause !== undefined)
        this.say(printableLines(`caused by ${thrown.cause instanceof Error ? thrown.cause.stack : thrown.cause}`))
    }
  }
}

/** A write fails with `error`: the reader is gone, or something is wrong. */
function closedOr(error: Error): Error {
  return 'code' in error && (error.code === 'EPIPE' || error.code === 'ERR_STREAM_DESTROYED')
    ? new OutputClosed()
    : error
}

function bigintAsText(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value
}

/** The code of an error of ours or of the system; anything else is a fault of ours, which `--debug` shows in full. */
function codeOf(thrown: unknown): string {
  if (XMachinesError.is(thrown)) return thrown.code
  const code = thrown instanceof Error && 'code' in thrown ? thrown.code : undefined
  return typeof code === 'string' ? code : 'UNEXPECTED'
}

/** Errors that say: you asked for something that there is not, or in a way that cannot be. */
const wrongUse: ReadonlySet<string> = new Set<ErrorCode>([
  'USAGE_INVALID',
  'MODULE_INVALID',
  'MACHINE_INVALID',
  'MACHINE_UNSUPPORTED',
  'MACHINE_MISMATCH',
  'POLICY_INVALID',
  'RUN_UNKNOWN',
  'RUN_AMBIGUOUS',
  'RUN_EXISTS',
  'STORE_UNSUPPORTED',
  'STORE_MISSING',
  'STORE_FOREIGN',
  'OBJECT_FORMAT_MISMATCH',
  'TIME_MODE_MISMATCH',
  'LOG_CHANGED',
  'LIBRARY_MISSING',
  'TOPIC_UNKNOWN',
  'GROUP_FOREIGN',
  'BROKER_REFUSED',
])

/** 2 for wrong use, 1 for what was found. */
export function exitCodeOf(thrown: unknown): 1 | 2 {
  return wrongUse.has(codeOf(thrown)) ? 2 : 1
}

/** Wrong use of the command line. */
export function usage(message: string): XMachinesError {
  return new XMachinesError('USAGE_INVALID', message)
}
