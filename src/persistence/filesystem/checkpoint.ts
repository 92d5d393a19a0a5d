import { type FileHandle, open, rename, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import type { LeaseRow } from '../../actors/contracts/store.ts'
import type { ObjectFormat } from '../../actors/contracts/unit.ts'
import { afresh, syncDirectory } from './files.ts'
import { indexName, type LogEnd } from './layout.ts'
import { type Pages, pageSize, pagesOf } from './pages.ts'
import type { MachineAt, Renewal } from './row.ts'
import type { RowTable } from './table.ts'
import type { GrowingDictionary } from './table-merge.ts'

/*
 * A checkpoint of the index: a line of JSON; the rows, their heap, the hash table; which rows are attended, a checksum of
 * each page of the three, a checksum of all but them. An open reads what stands around the three, and of them what it is
 * asked for. It says up to where in the log it is true. It is derived: losing it costs a scan of the log.
 */

/** How the first line of a checkpoint says what it is. */
export const formatName = 'xmachines-index'
export const indexVersion = 3

/** What an index holds, as of a place in the log. */
export interface Checkpoint {
  readonly end: LogEnd
  readonly table: RowTable
  readonly dictionary: GrowingDictionary
  readonly leases: readonly LeaseRow[]
  readonly renewals: readonly Renewal[]
  readonly snapshots: SnapshotsState
}

/** Up to where the places of the snapshots are in the table, and how many bytes the newest of all runs have. */
export interface SnapshotsState {
  readonly segment: number
  readonly offset: number
  readonly live: number
}

/** The first line of a checkpoint: the lengths of its parts, and what is small. */
export interface Head {
  readonly format: string
  readonly version: number
  readonly objectFormat: ObjectFormat
  readonly end: LogEnd
  readonly rows: number
  readonly heap: number
  readonly slots: number
  readonly attended: number
  readonly namespaces: readonly string[]
  readonly machines: readonly MachineAt[]
  readonly leases: readonly LeaseRow[]
  readonly renewals: readonly Renewal[]
  readonly snapshots: SnapshotsState
}

/** So many pages are written at once. */
const pagesAtOnce = 256

/** Writes a checkpoint in place of the one before. Returns how long it is. */
export async function writeCheckpoint(
  dir: string,
  objectFormat: ObjectFormat,
  { end, table, dictionary, leases, renewals, snapshots }: Checkpoint,
): Promise<number> {
  const { rows, heap, slots, attended } = table.parts
  const head: Head = {
    format: formatName,
    version: indexVersion,
    objectFormat,
    end,
    rows: rows.length,
    heap: heap.length,
    slots: slots.length,
    attended: attended.length,
    namespaces: dictionary.namespaces,
    machines: dictionary.machines,
    leases,
    renewals,
    snapshots,
  }
  const temporary = join(dir, `.${indexName}`)
  const file = await open(temporary, afresh)
  try {
    const line = Buffer.from(`${JSON.stringify(head)}\n`)
    await file.writeFile(line)
    const sums = [await writePages(file, rows), await writePages(file, heap), await writePages(file, slots)]
    const around = [attended, ...sums]
    const seal = Buffer.alloc(4)
    seal.writeUInt32LE(sumOf([line, ...around]))
    for (const bytes of [...around, seal]) await file.writeFile(bytes)
    await file.datasync()
  } catch (error) {
    await file.close()
    await unlink(temporary).catch(() => {})
    throw error
  }
  const { size } = await file.stat()
  await file.close()
  await rename(temporary, join(dir, indexName))
  syncDirectory(dir)
  return size
}

/** Writes pages that are all there. Returns their checksums. */
async function writePages(file: FileHandle, pages: Pages): Promise<Buffer> {
  const sums = Buffer.alloc(pagesOf(pages.length) * 4)
  for (let start = 0; start < pages.length; ) {
    const bytes = pages.slice(start, Math.min(start + pagesAtOnce * pageSize, pages.length))
    await file.writeFile(bytes)
    for (let at = 0; at < bytes.length; at += pageSize, start += pageSize) {
      sums.writeUInt32LE(crc32(bytes.subarray(at, at + pageSize)), (start / pageSize) * 4)
    }
  }
  return sums
}

/** The checksum of bytes in several pieces. */
export function sumOf(parts: readonly Buffer[]): number {
  return parts.reduce((sum, part) => crc32(part, sum), 0)
}
