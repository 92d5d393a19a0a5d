import type { ObjectFormat } from '../../actors/contracts/unit.ts'
import type { CallerFs } from './over-fs/caller-fs.ts'
import type { RepositoryPlace } from './place.ts'

/** How `gitStore` opens a repository. One of `dir` and `gitdir` says where it is. */
export type GitStoreOptions = RepositoryPlace & {
  /**
   * A file system to keep the repository in, with `promises` as LightningFS and memfs have it: in a browser, or in memory.
   * Objects and refs are then files of their own, the journal is read whole at an open, and one store at a time has it open, of
   * all tabs and workers of an origin.
   * @default Node's own, with locks, packs and a log that is synced; in a browser it has to be given
   */
  readonly fs?: CallerFs | undefined
  /** The hash of the ids, fixed when the repository is made. @default that of the repository, `'sha1'` for a new one */
  readonly objectFormat?: ObjectFormat | undefined
  /** Time between two flushes of commits at least, ms. @default 1000 */
  readonly interval?: number | undefined
  /** `false`: appends are not awaited until they are on the disk; a crash of the machine may lose them. @default true */
  readonly fsync?: boolean | undefined
  /** What went wrong in the background, and what the store mended by itself. @default `process.emitWarning`, in a browser `console.warn` */
  readonly onWarning?: OnWarning | undefined
}

/** Told of something that needs nobody's answer. */
export type OnWarning = (warning: { readonly code: string; readonly message: string }) => void

/** @throws TypeError */
export function checkOptions({ objectFormat, interval = 1000 }: GitStoreOptions): void {
  if (objectFormat !== undefined && objectFormat !== 'sha1' && objectFormat !== 'sha256') {
    throw new TypeError(`Expected \`objectFormat\` to be 'sha1' or 'sha256', got ${String(objectFormat)}.`)
  }
  if (!(interval >= 0)) throw new TypeError(`Expected \`interval\` to be milliseconds, got ${String(interval)}.`)
}
