import { constants } from 'node:fs'
import { type FileHandle, open, rename, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import type { LeaseRow } from '../../actors/contracts/store.ts'
import type { ObjectFormat } from '../../actors/contracts/unit.ts'
import { errnoOf } from './failures.ts'
import { syncDirectory } from './files.ts'
import { indexName, type LogEnd } from './layout.ts'
import type { MachineAt, Renewal } from './row.ts'
import { RowTable, rowLayouts, type TableParts } from './table.ts'
import { GrowingDictionary } from './table-merge.ts'

/*
 * A checkpoint of the index: a line of JSON, the rows, their heap, the hash table, a checksum of it all. It says up to
 * where in the log it is true. It is derived: losing it costs a scan of the log.
 */

const formatName = 'xmachines-index'
const indexVersion = 2

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

interface Head {
  readonly format: string
  readonly version: number
  readonly objectFormat: ObjectFormat
  readonly end: LogEnd
  readonly rows: number
  readonly heap: number
  readonly slots: number
  readonly namespaces: readonly string[]
  readonly machines: readonly MachineAt[]
  readonly leases: readonly LeaseRow[]
  readonly renewals: readonly Renewal[]
  readonly snapshots: SnapshotsState
}

/** Why a checkpoint cannot be used. */
export interface NoCheckpoint {
  readonly unusable: string
}

const piece = 4 << 20

/** Writes a checkpoint in place of the one before. Returns how long it is. */
export async function writeCheckpoint(
  dir: string,
  objectFormat: ObjectFormat,
  { end, table, dictionary, leases, renewals, snapshots }: Checkpoint,
): Promise<number> {
  const { rows, heap, slots } = table.parts
  const head: Head = {
    format: formatName,
    version: indexVersion,
    objectFormat,
    end,
    rows: rows.length,
    heap: heap.length,
    slots: slots.length,
    namespaces: dictionary.namespaces,
    machines: dictionary.machines,
    leases,
    renewals,
    snapshots,
  }
  const temporary = join(dir, `.${indexName}`)
  const file = await open(temporary, 'w')
  let length = 0
  let sum = 0
  try {
    for (const part of [Buffer.from(`${JSON.stringify(head)}\n`), rows, heap, slots]) {
      for (let at = 0; at < part.length; at += piece) {
        const bytes = part.subarray(at, at + piece)
        await file.writeFile(bytes)
        sum = crc32(bytes, sum)
        length += bytes.length
      }
    }
    const seal = Buffer.alloc(4)
    seal.writeUInt32LE(sum)
    await file.writeFile(seal)
    await file.datasync()
  } catch (error) {
    await file.close()
    await unlink(temporary).catch(() => {})
    throw error
  }
  await file.close()
  await rename(temporary, join(dir, indexName))
  syncDirectory(dir)
  return length
}

/** Reads the checkpoint of a store. */
export async function readCheckpoint(
  dir: string,
  objectFormat: ObjectFormat,
): Promise<(Checkpoint & { readonly length: number }) | NoCheckpoint> {
  let bytes: Buffer
  try {
    const file = await open(join(dir, indexName), constants.O_RDONLY)
    try {
      bytes = await readAll(file)
    } finally {
      await file.close()
    }
  } catch (error) {
    return { unusable: `it cannot be read (${errnoOf(error)})` }
  }
  return bytes.length === 0 ? { unusable: 'its checksum does not hold' } : parse(bytes, objectFormat)
}

/** The whole file but for its checksum; nothing if that does not hold. */
async function readAll(file: FileHandle): Promise<Buffer> {
  const { size } = await file.stat()
  const bytes = Buffer.allocUnsafeSlow(size)
  let done = 0
  let sum = 0
  while (done < size) {
    const { bytesRead } = await file.read(bytes, done, Math.min(piece, size - done), done)
    if (bytesRead === 0) break
    sum = crc32(bytes.subarray(done, Math.min(done + bytesRead, size - 4)), sum)
    done += bytesRead
  }
  const holds = size > 4 && done === size && bytes.readUInt32LE(size - 4) === sum
  return holds ? bytes.subarray(0, size - 4) : Buffer.alloc(0)
}

function parse(bytes: Buffer, objectFormat: ObjectFormat): (Checkpoint & { readonly length: number }) | NoCheckpoint {
  const headLength = bytes.indexOf(10) + 1
  const head: Head = JSON.parse(bytes.toString('utf8', 0, headLength))
  if (head.format !== formatName || head.version !== indexVersion) return { unusable: 'it has another format version' }
  if (head.objectFormat !== objectFormat) return { unusable: 'it belongs to a store with the other hash' }
  const rowsEnd = headLength + head.rows
  const heapEnd = rowsEnd + head.heap
  if (heapEnd + head.slots !== bytes.length || head.rows % rowLayouts[objectFormat].size !== 0) {
    return { unusable: 'its parts do not fit' }
  }
  const parts: TableParts = {
    rows: bytes.subarray(headLength, rowsEnd),
    heap: bytes.subarray(rowsEnd, heapEnd),
    slots: bytes.subarray(heapEnd),
  }
  const dictionary = new GrowingDictionary()
  for (const name of head.namespaces) dictionary.namespace(name)
  for (const machine of head.machines) dictionary.machine(machine)
  const { end, leases, renewals, snapshots } = head
  const table = new RowTable(objectFormat, parts, dictionary)
  return { end, table, dictionary, leases, renewals, snapshots, length: bytes.length }
}
