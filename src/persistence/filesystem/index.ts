import type { Store } from '../../actors/contracts/store.ts'
import type { ObjectFormat } from '../../actors/contracts/unit.ts'
import { systemFiles } from './files.ts'
import type { StoreWarning } from './layout.ts'
import { FileStore } from './store.ts'

export type { StoreWarning } from './layout.ts'

/** How {@link fileStore} opens a directory. */
export interface FileStoreOptions {
  /** The hash of the ids, fixed when the store is made. @default 'sha1' */
  readonly objectFormat?: ObjectFormat | undefined
  /** A segment of the log that is so long is followed by another one. @default 67_108_864 (64 MiB) */
  readonly segmentBytes?: number | undefined
  /** Never writes, takes no lock, and refuses a place without a store. @default false */
  readonly readOnly?: boolean | undefined
  /** What the store mended or threw away by itself. @default `process.emitWarning` */
  readonly onWarning?: ((warning: StoreWarning) => void) | undefined
  /** `false`: appends are not awaited until they are on the disk; a crash of the machine may lose them, or damage the log. @default true */
  readonly fsync?: boolean | undefined
}

/**
 * A store in a directory: an append-only log that a person can read (`tail -f`, `grep`, `jq`), with a derived index.
 *
 * The directory is made at the first write. One process writes, and holds a lock that dies with it; any number read.
 * Appends that wait at the same time share one flush.
 *
 * @throws TypeError for an option that makes no sense; everything else comes from the first operation
 */
export function fileStore(dir: string, options: FileStoreOptions = {}): Store {
  const { objectFormat = 'sha1', segmentBytes = 64 << 20, readOnly = false, fsync = true } = options
  if (typeof dir !== 'string' || dir === '') throw new TypeError(`Expected \`dir\` to be a path, got ${String(dir)}.`)
  if (objectFormat !== 'sha1' && objectFormat !== 'sha256') {
    throw new TypeError(`Expected \`objectFormat\` to be 'sha1' or 'sha256', got ${String(objectFormat)}.`)
  }
  if (!Number.isSafeInteger(segmentBytes) || segmentBytes < 1 || segmentBytes > largestSegment) {
    throw new TypeError(`Expected \`segmentBytes\` to be 1 to ${largestSegment}, got ${segmentBytes}.`)
  }
  const onWarning = options.onWarning ?? emitWarning
  return new FileStore(dir, {
    objectFormat,
    segmentBytes,
    readOnly,
    fsync,
    onWarning,
    files: systemFiles,
    checkpointBytes: 1 << 20,
  })
}

const largestSegment = 1 << 30

function emitWarning({ code, message }: StoreWarning): void {
  process.emitWarning(message, { type: 'XMachinesWarning', code })
}
