import type { AppendItem, Claim, LeaseKey, Mail, StoredSnapshot } from '../../../actors/contracts/store.ts'
import { XMachinesError } from '../../../actors/errors.ts'
import { deepFreeze } from '../../deep-freeze.ts'
import { writeFailure } from '../failures.ts'
import type { FsFiles } from './caller-fs.ts'

/*
 * What was done to a store, a file for each group of operations, named by the first and the last number in it:
 *
 *   xmachines/operations/00000007-00000007.ndjson
 *
 * A file is put in place whole. Where there are many, an open makes one of them; the old ones are passed over if it ends
 * before they are removed.
 */

/** An operation that changed a store. */
export type Operation =
  | { readonly do: 'append'; readonly items: readonly AppendItem[] }
  | { readonly do: 'claim'; readonly claim: Claim }
  | { readonly do: 'release'; readonly key: LeaseKey & { readonly epoch: number } }
  | { readonly do: 'deliver'; readonly mail: readonly Mail[] }
  | { readonly do: 'renew'; readonly process: string; readonly until: number }
  | { readonly do: 'snapshot'; readonly run: string; readonly snapshot: StoredSnapshot }

export const operationsFolder = 'xmachines/operations'
const mostFiles = 64

/** The operations of a store, in a caller's file system. */
export class OperationLog {
  readonly #files: FsFiles
  #last = 0

  constructor(files: FsFiles) {
    this.#files = files
  }

  /** All operations, in order. Not while something is appended. @throws STORE_DAMAGED */
  async read(): Promise<readonly Operation[]> {
    const names = (await this.#files.list(operationsFolder)).flatMap(name => {
      const [, first, last] = /^(\d{8,})-(\d{8,})\.ndjson$/.exec(name) ?? []
      return first === undefined ? [] : [{ name, first: Number(first), last: Number(last) }]
    })
    // The longest that begins at a number comes before those that it was made of.
    names.sort((a, b) => a.first - b.first || b.last - a.last)
    const operations: Operation[] = []
    let text = ''
    let end = 0
    for (const { name, first, last } of names) {
      if (last <= end) continue
      if (first !== end + 1) throw damaged(this.#files, name, `does not follow number ${end}`)
      const lines = (await this.#files.text(`${operationsFolder}/${name}`)) ?? ''
      if (!lines.endsWith('\n')) throw damaged(this.#files, name, 'is cut off')
      for (const line of lines.slice(0, -1).split('\n')) operations.push(parse(line, this.#files, name))
      text += lines
      end = last
    }
    // As good without: where there is no room for it, what is there can still be read.
    if (names.length > mostFiles) await this.#merge(names, nameOf(1, end), text).catch(() => {})
    this.#last = end
    return operations
  }

  /** Makes operations durable, all or none. @throws STORE_FULL, STORE_READ_ONLY, STORE_UNAVAILABLE: none; anything else: who knows */
  async append(operations: readonly Operation[]): Promise<void> {
    const number = this.#last + 1
    const text = operations.map(operation => `${JSON.stringify(operation, written)}\n`).join('')
    const path = `${operationsFolder}/${nameOf(number, number)}`
    await this.#files.prepare(path, text).catch(error => {
      throw writeFailure(error, this.#files.gitdir)
    })
    await this.#files.place(path)
    await this.#files.flush()
    this.#last = number
  }

  async #merge(names: readonly { readonly name: string }[], whole: string, text: string): Promise<void> {
    await this.#files.write(`${operationsFolder}/${whole}`, text)
    await this.#files.flush()
    for (const { name } of names) if (name !== whole) await this.#files.remove(`${operationsFolder}/${name}`)
  }
}

function nameOf(first: number, last: number): string {
  return `${String(first).padStart(8, '0')}-${String(last).padStart(8, '0')}.ndjson`
}

/** A position may be a bigint, which JSON has not: as a list it is told from whatever an event calls a position. */
function written(key: string, value: unknown): unknown {
  if (key !== 'position') return value
  return typeof value === 'bigint' ? ['bigint', String(value)] : Array.isArray(value) ? ['list', ...value] : value
}

function read(key: string, value: unknown): unknown {
  if (key !== 'position' || !Array.isArray(value)) return value
  return value[0] === 'bigint' ? BigInt(value[1] as string) : value.slice(1)
}

function parse(line: string, files: FsFiles, name: string): Operation {
  try {
    return deepFreeze(JSON.parse(line, read)) as Operation
  } catch {
    throw damaged(files, name, 'has a line that is no JSON')
  }
}

function damaged({ gitdir }: FsFiles, name: string, how: string): XMachinesError {
  const path = `${gitdir}/${operationsFolder}/${name}`
  return new XMachinesError('STORE_DAMAGED', `${path} ${how}. Restore that folder from a copy.`, {
    details: { file: path },
  })
}
