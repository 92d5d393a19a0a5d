import { createHash } from 'node:crypto'
import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { XMachinesError } from '../../actors/errors.ts'
import { afresh } from '../../persistence/filesystem/files.ts'
import type { Fingerprint } from './fingerprint.ts'

/**
 * What was consumed of a log, as it is written down in `<store>/.consumed/<topic>.json`.
 *
 * It is never ahead of the store: `settled` grows after the units of its lines are durable. What may have been consumed
 * beyond that is covered by `read`, which is written before those lines are given out, and left out by an orderly end.
 * Losing the file costs time and the comparison: the runs themselves recognise every line that they have taken.
 */
export interface Consumed {
  /** All of the first `lines` lines are settled, which are the first `bytes` bytes. */
  readonly settled: Fingerprint & { readonly lines: number }
  readonly read?: Fingerprint
}

/** The file about one log. */
export class ConsumedFile {
  readonly topic: string
  readonly #dir: string
  readonly #path: string

  constructor(storeDir: string, topic: string) {
    this.topic = topic
    this.#dir = join(storeDir, '.consumed')
    this.#path = join(this.#dir, `${fileNameOf(topic)}.json`)
  }

  /** Nothing, if the log is new. */
  load(): Consumed | undefined {
    let text: string
    try {
      text = readFileSync(this.#path, 'utf8')
    } catch (thrown) {
      if (thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT') return undefined
      throw thrown
    }
    try {
      return JSON.parse(text) as Consumed
    } catch (cause) {
      const text = `${this.#path} is not what was written. Remove it: the runs recognise the lines that they have taken.`
      throw new XMachinesError('STORE_DAMAGED', text, { details: { file: this.#path }, cause })
    }
  }

  /** Takes the place of what was written before, as a whole or not at all. */
  save(consumed: Consumed): void {
    mkdirSync(this.#dir, { recursive: true })
    const temporary = `${this.#path}.new`
    const descriptor = openSync(temporary, afresh)
    try {
      writeFileSync(descriptor, `${JSON.stringify({ topic: this.topic, ...consumed })}\n`)
      fsyncSync(descriptor)
    } finally {
      closeSync(descriptor)
    }
    renameSync(temporary, this.#path)
  }
}

/** A topic as a file's name: as it is, where every file system takes that; else with its digest. */
function fileNameOf(topic: string): string {
  if (/^[\w-][\w.-]{0,100}$/.test(topic)) return topic
  const digest = createHash('sha256').update(topic).digest('hex').slice(0, 16)
  return `${topic.replace(/[^\w-]+/g, '_').slice(0, 100)}-${digest}`
}
