import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { XMachinesError } from '../../actors/errors.ts'
import { errnoOf } from './failures.ts'

const traits = /^# pack-refs with:(.*)\n/

/** Refs in one file, in the order of their names, read again when the file is another one. Bytes of names pass through as they are. */
export class PackedRefs {
  readonly path: string
  #identity = 'none'
  #oids = new Map<string, string>()
  /** What tags stand for, by the tag's name. */
  #peeled = new Map<string, string>()
  /** In order; made when it is needed. */
  #names: readonly string[] | undefined = []
  /** In order, of the text that is to be put in place. */
  #next: readonly string[] = []
  #traits = ' peeled fully-peeled '

  constructor(gitdir: string) {
    this.path = join(gitdir, 'packed-refs')
  }

  /** All refs, as they are now. */
  read(): ReadonlyMap<string, string> {
    const identity = identityOf(this.path)
    if (identity !== this.#identity) this.#load(identity)
    return this.#oids
  }

  /** The text of the file with some refs set. Call `adopt` once it is in place. */
  textWith(changes: ReadonlyMap<string, string>): string {
    const old = (this.#names ??= [...this.#oids.keys()].sort())
    const fresh = [...changes.keys()].filter(name => !this.#oids.has(name)).sort()
    const names: string[] = []
    let text = `# pack-refs with:${this.#traits}sorted \n`
    let next = 0
    const put = (name: string): void => {
      names.push(name)
      text += `${changes.get(name) ?? this.#oids.get(name)} ${name}\n`
      const peeled = changes.has(name) ? undefined : this.#peeled.get(name)
      if (peeled !== undefined) text += `^${peeled}\n`
    }
    for (const name of old) {
      while (next < fresh.length && fresh[next]! < name) put(fresh[next++]!)
      put(name)
    }
    while (next < fresh.length) put(fresh[next++]!)
    this.#next = names
    return text
  }

  /** The text of `textWith` is the file now. */
  adopt(changes: ReadonlyMap<string, string>): void {
    for (const [name, oid] of changes) {
      this.#oids.set(name, oid)
      this.#peeled.delete(name)
    }
    this.#names = this.#next
    this.#identity = identityOf(this.path)
  }

  #load(identity: string): void {
    this.#oids = new Map()
    this.#peeled = new Map()
    this.#names = undefined
    this.#identity = 'none'
    const text = textOf(this.path)
    // Git always writes a first line, and `git fsck` does not see that a file is empty.
    if (identity !== 'none' && !text.endsWith('\n')) throw cut(this.path, text.length)
    const head = traits.exec(text)
    // What the file does not claim of itself must not be claimed when it is written again.
    this.#traits =
      text === ''
        ? ' peeled fully-peeled '
        : (head?.[1] ?? ' ')
            .replace(/ sorted(?= |$)/, '')
            .trimEnd()
            .concat(' ')
    let last = ''
    for (let at = head?.[0].length ?? 0; at < text.length; ) {
      const found = text.indexOf('\n', at)
      const end = found < 0 ? text.length : found
      if (text[at] === '^') this.#peeled.set(last, text.slice(at + 1, end))
      else if (text[at] !== '#') {
        const blank = text.indexOf(' ', at)
        if (blank < at || blank > end) throw cut(this.path, at)
        last = text.slice(blank + 1, end)
        this.#oids.set(last, text.slice(at, blank))
      }
      at = end + 1
    }
    this.#identity = identity
  }
}

function cut(path: string, offset: number): XMachinesError {
  return new XMachinesError(
    'STORE_DAMAGED',
    `${path} is damaged at byte ${offset}: what Git writes does not end so. Nothing was changed. Restore this file from a copy, or fetch the branches again.`,
    { details: { file: path, offset } },
  )
}

function identityOf(path: string): string {
  const found = statSync(path, { throwIfNoEntry: false, bigint: true })
  return found === undefined ? 'none' : `${found.ino} ${found.mtimeNs} ${found.size}`
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'latin1')
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return ''
    throw error
  }
}
