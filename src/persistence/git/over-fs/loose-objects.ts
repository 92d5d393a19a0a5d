import type { ObjectFormat } from '../../../actors/contracts/unit.ts'
import { XMachinesError } from '../../../actors/errors.ts'
import type { GitObject } from '../../../actors/identity/index.ts'
import { missingLibrary } from '../../../actors/missing-library.ts'
import { parseCommit, parseTree } from '../commit.ts'
import { digitsOf } from '../layout.ts'
import { entryTypes, type FoundObject, looseHead } from '../object-types.ts'
import { putStored, storedRoom } from '../stored-zlib.ts'
import type { CallerFs, FsFiles } from './caller-fs.ts'

/**
 * Objects in files of their own. Readers ask without waiting, so what they will ask for is loaded before; what Git has
 * packed is read by isomorphic-git.
 */
export class LooseObjects {
  readonly format: ObjectFormat
  readonly gaps = undefined
  readonly #files: FsFiles
  readonly #fs: CallerFs
  readonly #known = new Map<string, FoundObject>()
  #packed: ((oid: string) => Promise<FoundObject | undefined>) | undefined

  constructor(fs: CallerFs, files: FsFiles, format: ObjectFormat) {
    this.#fs = fs
    this.#files = files
    this.format = format
  }

  read(oid: string): FoundObject | undefined {
    return this.#known.get(oid)
  }

  close(): void {
    this.#known.clear()
  }

  /** Objects that will be asked for. */
  keep(objects: Iterable<GitObject>): void {
    for (const { oid, type, bytes } of objects) this.#known.set(oid, { type, bytes })
  }

  async write({ oid, type, bytes }: GitObject): Promise<void> {
    const whole = Buffer.concat([Buffer.from(`${type} ${bytes.length}\0`), bytes])
    const file = Buffer.allocUnsafe(storedRoom(whole.length))
    await this.#files.write(pathOf(oid), file.subarray(0, putStored(file, 0, whole)))
  }

  /** Loads a commit with its tree and files, and all before it if they are wanted. @throws LIBRARY_MISSING, STORE_UNSUPPORTED */
  async load(commit: string, { history }: { readonly history: boolean }): Promise<void> {
    for (const wanted = [commit]; wanted.length > 0; ) {
      const oid = wanted.pop()!
      const found = parseCommit((await this.#get(oid))?.bytes ?? new Uint8Array())
      if (found === undefined) continue
      const tree = await this.#get(found.tree)
      const files = tree && parseTree(tree.bytes, digitsOf[this.format] / 2)
      for (const file of files?.values() ?? []) await this.#get(file)
      if (history) for (const parent of found.parents) if (!this.#known.has(parent)) wanted.push(parent)
    }
  }

  async #get(oid: string): Promise<FoundObject | undefined> {
    const known = this.#known.get(oid)
    if (known !== undefined) return known
    const found = (await this.#loose(oid)) ?? (await this.#inPack(oid))
    if (found !== undefined) this.#known.set(oid, found)
    return found
  }

  async #loose(oid: string): Promise<FoundObject | undefined> {
    const file = await this.#files.read(pathOf(oid))
    if (file === undefined) return undefined
    // What is damaged is not there: whoever asks for it says which commit that makes bad.
    return unfolded(file).catch(() => undefined)
  }

  async #inPack(oid: string): Promise<FoundObject | undefined> {
    this.#packed ??= await this.#openPacks()
    return this.#packed(oid)
  }

  async #openPacks(): Promise<(oid: string) => Promise<FoundObject | undefined>> {
    const names = await this.#files.list('objects/pack')
    if (!names.some(name => name.endsWith('.idx'))) return async () => undefined
    const { gitdir } = this.#files
    if (this.format === 'sha256') {
      throw new XMachinesError(
        'STORE_UNSUPPORTED',
        `The repository ${gitdir} has packs of SHA-256, which isomorphic-git cannot read. Unpack them with \`git unpack-objects\`, or open it in files of Node.`,
      )
    }
    const { readObject } = await library()
    const cache = {}
    return async oid => {
      const found = await readObject({ fs: this.#fs as never, gitdir, oid, format: 'content', cache }).catch(error => {
        if (error.code === 'NotFoundError') return undefined
        throw error
      })
      const type = found && entryTypes.find(name => name === found.type)
      return type && { type, bytes: found.object as Uint8Array }
    }
  }
}

async function library(): Promise<typeof import('isomorphic-git')> {
  try {
    return await import('isomorphic-git')
  } catch (cause) {
    const needs = 'Over a file system of yours, reading what Git has packed needs the package isomorphic-git'
    throw missingLibrary(needs, 'isomorphic-git', 'isomorphic-git', cause)
  }
}

function pathOf(oid: string): string {
  return `objects/${oid.slice(0, 2)}/${oid.slice(2)}`
}

/** The object of a file, which unfolds to no more than it says. */
async function unfolded(file: Uint8Array): Promise<FoundObject | undefined> {
  const stream = new Blob([file as Uint8Array<ArrayBuffer>]).stream().pipeThrough(new DecompressionStream('deflate'))
  const reader = stream.getReader()
  const chunks: Uint8Array[] = []
  let said: ReturnType<typeof looseHead>
  let missing = 0
  for (let next = await reader.read(); !next.done; next = await reader.read()) {
    if (chunks.length === 0) {
      said = looseHead(next.value)
      missing = said === undefined ? 0 : said.start + said.length
    }
    chunks.push(next.value)
    missing -= next.value.length
    if (missing < 0) {
      await reader.cancel()
      return undefined
    }
  }
  return said && missing === 0 ? { type: said.type, bytes: Buffer.concat(chunks).subarray(said.start) } : undefined
}
