import { errnoOf } from '../failures.ts'

/** A file system that a caller gives, as isomorphic-git takes it: LightningFS, memfs, or Node's own. */
export interface CallerFs {
  readonly promises: {
    readFile(path: string): Promise<unknown>
    writeFile(path: string, data: Uint8Array): Promise<unknown>
    mkdir(path: string): Promise<unknown>
    readdir(path: string): Promise<unknown>
    rename(from: string, to: string): Promise<unknown>
    unlink(path: string): Promise<unknown>
    /** Writes out what it holds back; LightningFS has it. */
    flush?(): Promise<unknown>
  }
}

/** @throws TypeError */
export function asCallerFs(fs: unknown): CallerFs {
  const promises = typeof fs === 'object' && fs !== null && 'promises' in fs ? (fs.promises as object) : undefined
  const names = ['readFile', 'writeFile', 'mkdir', 'readdir', 'rename', 'unlink'] as const
  const missing = names.find(name => typeof (promises as Record<string, unknown> | undefined)?.[name] !== 'function')
  if (missing === undefined) return fs as CallerFs
  throw new TypeError(`Expected \`fs\` to have promises.${missing}, as LightningFS, memfs and Node's fs have it.`)
}

/** The files of a Git directory. Paths are relative to it. */
export class FsFiles {
  readonly gitdir: string
  readonly #fs: CallerFs['promises']
  readonly #folders = new Set<string>()

  constructor(fs: CallerFs, gitdir: string) {
    this.#fs = fs.promises
    this.gitdir = gitdir
  }

  /** `undefined`: it is not there, or a folder. */
  async read(path: string): Promise<Uint8Array | undefined> {
    const found = await this.#fs.readFile(`${this.gitdir}/${path}`).catch(unlessMissing)
    return typeof found === 'string' ? Buffer.from(found) : (found as Uint8Array | undefined)
  }

  async text(path: string): Promise<string | undefined> {
    const bytes = await this.read(path)
    return bytes && Buffer.from(bytes).toString()
  }

  /** The names in a folder, in order; none where it is missing or a file. */
  async list(path: string): Promise<readonly string[]> {
    const names = (await this.#fs.readdir(`${this.gitdir}/${path}`).catch(unlessMissing)) as
      | readonly string[]
      | undefined
    return [...(names ?? [])].sort()
  }

  /** Puts a file in place: whole, or not at all. */
  async write(path: string, content: Uint8Array | string): Promise<void> {
    await this.prepare(path, content)
    await this.place(path)
  }

  /** Writes a file that is nowhere before it is put in {@link place}. */
  async prepare(path: string, content: Uint8Array | string): Promise<void> {
    const full = `${this.gitdir}/${path}`
    await this.#makeFolder(full.slice(0, full.lastIndexOf('/')))
    await this.#fs.writeFile(`${full}.new`, typeof content === 'string' ? Buffer.from(content) : content)
  }

  async place(path: string): Promise<void> {
    const full = `${this.gitdir}/${path}`
    await this.#fs.rename(`${full}.new`, full)
  }

  async makeFolder(path: string): Promise<void> {
    await this.#makeFolder(`${this.gitdir}/${path}`)
  }

  async remove(path: string): Promise<void> {
    await this.#fs.unlink(`${this.gitdir}/${path}`).catch(unlessMissing)
  }

  /** What was written survives from here on, as far as this file system lets anything survive. */
  async flush(): Promise<void> {
    await this.#fs.flush?.()
  }

  async #makeFolder(path: string): Promise<void> {
    if (path === '' || this.#folders.has(path)) return
    await this.#makeFolder(path.slice(0, Math.max(0, path.lastIndexOf('/'))))
    await this.#fs.mkdir(path).catch(error => {
      // The root is there, and says so in many ways.
      if (errnoOf(error) !== 'EEXIST' && path.includes('/', 1)) throw error
    })
    this.#folders.add(path)
  }
}

function unlessMissing(error: unknown): undefined {
  if (['ENOENT', 'ENOTDIR', 'EISDIR'].includes(errnoOf(error) ?? '')) return undefined
  throw error
}
