import { execFileSync } from 'node:child_process'
import { closeSync, mkdirSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'

/** A file system in memory, of a size of its own. */
export class SmallDisk {
  /** Also with `CI=true`, as no setting of ours would give the right. */
  static readonly missing = 'a disk to fill: only root may mount one, on Linux'
  readonly path: string

  private constructor(path: string) {
    this.path = path
  }

  /** Mounts one at a new path; `undefined`: this process may not, see {@link missing}. @param options of the mount, like `size=64k` */
  static mount(path: string, options: string): SmallDisk | undefined {
    mkdirSync(path)
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', path], { stdio: 'ignore' })
      return new SmallDisk(path)
    } catch {
      return undefined
    }
  }

  remount(options: string): void {
    execFileSync('mount', ['-o', `remount,${options}`, this.path], { stdio: 'ignore' })
  }

  /** Takes all the space there is, but for so many bytes. */
  fill(left: number): void {
    const file = openSync(this.#ballast, 'w')
    try {
      const page = new Uint8Array(4096)
      for (;;) writeSync(file, page)
    } catch (error) {
      if ((error as { code?: string }).code !== 'ENOSPC') throw error
    } finally {
      closeSync(file)
    }
    if (left > 0) execFileSync('truncate', ['-s', `-${left}`, this.#ballast], { stdio: 'ignore' })
  }

  /** Gives the space back. */
  free(): void {
    rmSync(this.#ballast, { force: true })
  }

  unmount(): void {
    execFileSync('umount', [this.path], { stdio: 'ignore' })
  }

  get #ballast(): string {
    return join(this.path, 'ballast')
  }
}
