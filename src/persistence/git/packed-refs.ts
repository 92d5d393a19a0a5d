import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { XMachinesError } from '../../actors/errors.ts'
import { cutRefs, errnoOf } from './failures.ts'

const traits = /^# pack-refs with:(.*)\n/
const [blank, lineEnd, caret, hash] = Buffer.from(' \n^#') as unknown as [number, number, number, number]
const unclaimed = ' peeled fully-peeled '

/** Where the lines of a ref are, or would be: its own, and that of what a tag stands for. */
interface Place {
  readonly start: number
  readonly end: number
  /** `undefined`: there is no such ref. */
  readonly oid: string | undefined
}

/**
 * Refs in one file, in the order of their names, read again when the file is another one. They are searched and replaced
 * as they lie there, so that what is set costs a copy of the others, and no look at each. Bytes of names pass through as
 * they are, one a character.
 */
export class PackedRefs {
  readonly path: string
  #identity = 'none'
  #traits = unclaimed
  /** All lines but the first, in the order of their names. */
  #lines: Buffer = Buffer.alloc(0)
  /** Bytes of the file in front of them. */
  #offset = 0

  constructor(gitdir: string) {
    this.path = join(gitdir, 'packed-refs')
  }

  /** What a ref is now. */
  get(name: string): string | undefined {
    this.#look()
    return this.#find(name, 0).oid
  }

  /** All refs, as they are now. */
  all(): Map<string, string> {
    this.#look()
    const all = new Map<string, string>()
    for (let at = 0; at < this.#lines.length; ) {
      const { name, oid, end } = this.#refAt(at)
      all.set(name.toString('latin1'), oid)
      at = end
    }
    return all
  }

  /** The file with some refs set. Call `adopt` once it is in place. */
  bytesWith(changes: ReadonlyMap<string, string>): Buffer {
    this.#look()
    const pieces: Buffer[] = [Buffer.from(`# pack-refs with:${this.#traits}sorted \n`, 'latin1')]
    let at = 0
    for (const name of [...changes.keys()].sort()) {
      const { start, end } = this.#find(name, at)
      pieces.push(this.#lines.subarray(at, start), Buffer.from(`${changes.get(name)} ${name}\n`, 'latin1'))
      at = end
    }
    pieces.push(this.#lines.subarray(at))
    return Buffer.concat(pieces)
  }

  /** What `bytesWith` made is the file now. */
  adopt(bytes: Buffer): void {
    this.#offset = bytes.indexOf(lineEnd) + 1
    this.#lines = bytes.subarray(this.#offset)
    this.#identity = identityOf(this.path)
  }

  #look(): void {
    const identity = identityOf(this.path)
    if (identity === this.#identity) return
    this.#identity = 'none'
    const bytes = bytesOf(this.path)
    // Git always writes a first line, and `git fsck` does not see that a file is empty.
    if (identity !== 'none' && bytes.at(-1) !== lineEnd) throw this.#cut(bytes.length)
    const head = traits.exec(bytes.toString('latin1', 0, 256))
    const claimed = head?.[1] ?? ' '
    // What the file does not claim of itself must not be claimed when it is written again.
    this.#traits = bytes.length === 0 ? unclaimed : `${claimed.replace(/ sorted(?= |$)/, '').trimEnd()} `
    this.#offset = head?.[0].length ?? 0
    this.#lines = bytes.subarray(this.#offset)
    if (!/ sorted( |$)/.test(claimed)) this.#lines = this.#sorted()
    this.#identity = identity
  }

  /** Of a file that says of itself no order. */
  #sorted(): Buffer {
    const refs: { readonly name: Buffer; readonly lines: Buffer }[] = []
    for (let at = 0; at < this.#lines.length; ) {
      if (this.#lines[at] === hash) at = this.#lineAfter(at)
      else {
        const { name, end } = this.#refAt(at)
        refs.push({ name, lines: this.#lines.subarray(at, end) })
        at = end
      }
    }
    return Buffer.concat(refs.sort((a, b) => a.name.compare(b.name)).map(({ lines }) => lines))
  }

  /** @param from no name before it is after `name` */
  #find(name: string, from: number): Place {
    const wanted = Buffer.from(name, 'latin1')
    let [low, high] = [from, this.#lines.length]
    while (low < high) {
      const start = this.#refStart((low + high) >>> 1)
      const ref = this.#refAt(start)
      const order = wanted.compare(ref.name)
      if (order === 0) return { start, end: ref.end, oid: ref.oid }
      if (order < 0) high = start
      else low = ref.end
    }
    return { start: low, end: low, oid: undefined }
  }

  /** Where the ref begins that a byte is of. */
  #refStart(at: number): number {
    const start = at === 0 ? 0 : this.#lines.lastIndexOf(lineEnd, at - 1) + 1
    if (this.#lines[start] !== caret) return start
    if (start === 0) throw this.#cut(start)
    return this.#refStart(start - 1)
  }

  #refAt(start: number): { readonly name: Buffer; readonly oid: string; readonly end: number } {
    const lines = this.#lines
    let end = this.#lineAfter(start)
    const gap = lines.indexOf(blank, start)
    if (gap <= start || gap >= end) throw this.#cut(start)
    const name = lines.subarray(gap + 1, end - 1)
    while (lines[end] === caret) end = this.#lineAfter(end)
    return { name, oid: lines.toString('latin1', start, gap), end }
  }

  #lineAfter(start: number): number {
    return this.#lines.indexOf(lineEnd, start) + 1
  }

  #cut(at: number): XMachinesError {
    const offset = this.#offset + at
    return cutRefs(this.path, offset)
  }
}

/** What tells a file from another one that took its place, or has changed since. */
export function identityOf(path: string): string {
  const found = statSync(path, { throwIfNoEntry: false, bigint: true })
  return found === undefined ? 'none' : `${found.ino} ${found.mtimeNs} ${found.size}`
}

function bytesOf(path: string): Buffer {
  try {
    return readFileSync(path)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return Buffer.alloc(0)
    throw error
  }
}
