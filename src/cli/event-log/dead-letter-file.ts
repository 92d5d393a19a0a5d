import { createReadStream } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { join } from 'node:path'
import type { BrokerProducer, OutgoingRecord } from '../../actors/contracts/broker.ts'
import { NdjsonDecoder } from '../../transports/framing/ndjson.ts'
import { maxLineBytes } from './log-reader.ts'

/** A line that was refused, as `<store>/dead-letters.ndjson` keeps it. */
export interface DeadLetter {
  /** The log. */
  readonly topic: string
  readonly line: number
  readonly code: string
  readonly message: string
  /** The line as it came; bytes that are not UTF-8 are replaced. `null`: it was too long to be kept. */
  readonly text: string | null
}

/**
 * The dead letters of a store's logs, as a file. A line of a log is in it once, also when a crash came before the log
 * knew that it was settled.
 */
export class DeadLetterFile implements BrokerProducer {
  readonly topic: string
  readonly path: string
  /** How many lines were refused. */
  count = 0
  readonly #log: string
  readonly #onLetter: (letter: DeadLetter) => void
  /** The lines that are in the file already; read when the first letter comes. */
  #known: Set<number> | undefined
  #file: FileHandle | undefined
  #sending: Promise<unknown> = Promise.resolve()

  constructor(storeDir: string, log: string, onLetter: (letter: DeadLetter) => void) {
    this.topic = 'dead-letters'
    this.path = join(storeDir, 'dead-letters.ndjson')
    this.#log = log
    this.#onLetter = onLetter
  }

  send(
    records: readonly OutgoingRecord[],
  ): Promise<readonly { readonly partition: number; readonly offset: number }[]> {
    const sent = this.#sending.then(() => this.#send(records))
    this.#sending = sent.catch(() => {})
    return sent
  }

  async close(): Promise<void> {
    await this.#sending
    await this.#file?.close()
    this.#file = undefined
  }

  async #send(
    records: readonly OutgoingRecord[],
  ): Promise<readonly { readonly partition: number; readonly offset: number }[]> {
    const known = (this.#known ??= await this.#read())
    const letters = records.map(letterOf)
    const fresh = letters.filter(({ line }) => !known.has(line))
    if (fresh.length > 0) {
      this.#file ??= await open(this.path, 'a')
      await this.#file.appendFile(fresh.map(letter => `${JSON.stringify(letter)}\n`).join(''))
      await this.#file.datasync()
    }
    for (const letter of letters) {
      this.count++
      known.add(letter.line)
      this.#onLetter(letter)
    }
    return letters.map(({ line }) => ({ partition: 0, offset: line }))
  }

  /** Reads which lines of this log are in the file. A crash may have left half a letter at its end. */
  async #read(): Promise<Set<number>> {
    const lines = new Set<number>()
    const decoder = new NdjsonDecoder<DeadLetter>({ maxLineBytes: 8 * maxLineBytes, onBadLine: 'skip' })
    const note = ({ topic, line }: DeadLetter): void => {
      if (topic === this.#log) lines.add(line)
    }
    let last = '\n'
    try {
      for await (const chunk of createReadStream(this.path)) {
        for (const letter of decoder.push(chunk)) note(letter)
        last = String.fromCharCode(chunk[chunk.length - 1])
      }
    } catch (thrown) {
      if (!(thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT')) throw thrown
    }
    if (last !== '\n') {
      this.#file ??= await open(this.path, 'a')
      await this.#file.appendFile('\n')
    }
    return lines
  }
}

const utf8 = new TextDecoder()

function letterOf({ value, headers }: OutgoingRecord): DeadLetter {
  const pairs: readonly (readonly [string, Uint8Array | string | null])[] = isPairs(headers)
    ? headers
    : Object.entries(headers ?? {})
  const named = new Map(pairs)
  const header = (name: string): string => {
    const found = named.get(`xmachines-${name}`) ?? ''
    return typeof found === 'string' ? found : utf8.decode(found)
  }
  return {
    topic: header('topic'),
    line: Number(header('offset')),
    code: header('error-code'),
    message: header('error-message'),
    text: value === null ? null : typeof value === 'string' ? value : utf8.decode(value),
  }
}

function isPairs(
  headers: OutgoingRecord['headers'],
): headers is readonly (readonly [string, Uint8Array | string | null])[] {
  return Array.isArray(headers)
}
