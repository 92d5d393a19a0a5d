import * as fs from 'node:fs'
import { join } from 'node:path'
import type { ObjectFormat } from '../../actors/contracts/unit.ts'
import { type Checkpoint, formatName, type Head, indexVersion, sumOf } from './checkpoint.ts'
import { errnoOf } from './failures.ts'
import { readFully } from './files.ts'
import { indexName } from './layout.ts'
import { Pages, pagesOf } from './pages.ts'
import { rowLayouts } from './row-layout.ts'
import { RowTable } from './table.ts'
import { GrowingDictionary } from './table-merge.ts'

/** A checkpoint whose table is read as it is asked. */
export interface ReadCheckpoint extends Checkpoint {
  readonly length: number
  /** Closes the file: what was not read by then cannot be read any more. */
  close(): void
}

/** Why a checkpoint cannot be used. */
export interface NoCheckpoint {
  readonly unusable: string
}

const notWhatWasWritten: NoCheckpoint = { unusable: 'its checksum does not hold' }

/** Reads the checkpoint of a store, but for its table, which is read from the file as it is asked. */
export function readCheckpoint(dir: string, objectFormat: ObjectFormat): ReadCheckpoint | NoCheckpoint {
  let descriptor = -1
  const close = (): void => {
    if (descriptor >= 0) fs.closeSync(descriptor)
    descriptor = -1
  }
  let found: Omit<ReadCheckpoint, 'close'> | NoCheckpoint
  try {
    descriptor = fs.openSync(join(dir, indexName), 'r')
    found = parse(descriptor, objectFormat)
  } catch (error) {
    found = { unusable: `it cannot be read (${errnoOf(error)})` }
  }
  if (!('unusable' in found)) return { ...found, close }
  close()
  return found
}

function parse(descriptor: number, objectFormat: ObjectFormat): Omit<ReadCheckpoint, 'close'> | NoCheckpoint {
  const { size } = fs.fstatSync(descriptor)
  const line = firstLine(descriptor, size)
  const head = line && parseHead(line)
  if (head === undefined) return notWhatWasWritten
  if (head.format !== formatName || head.version !== indexVersion) return { unusable: 'it has another format version' }
  const { rows, heap, slots, attended } = head
  const behind = line!.length + rows + heap + slots
  const sumsLength = 4 * (pagesOf(rows) + pagesOf(heap) + pagesOf(slots))
  if (behind + attended + sumsLength + 4 !== size) return notWhatWasWritten
  const around = read(descriptor, behind, size - behind)
  const sealed = around.subarray(0, -4)
  if (around.readUInt32LE(sealed.length) !== sumOf([line!, sealed])) return notWhatWasWritten
  if (head.objectFormat !== objectFormat) return { unusable: 'it belongs to a store with the other hash' }
  if (rows % rowLayouts[objectFormat].size !== 0) return { unusable: 'its parts do not fit' }

  let offset = line!.length
  let sum = attended
  const pages = (length: number): Pages => {
    const file = { descriptor, offset, length, sums: sealed.subarray(sum, sum + 4 * pagesOf(length)) }
    offset += length
    sum += file.sums.length
    return new Pages(file)
  }
  const parts = { rows: pages(rows), heap: pages(heap), slots: pages(slots), attended: sealed.subarray(0, attended) }
  const dictionary = new GrowingDictionary()
  for (const name of head.namespaces) dictionary.namespace(name)
  for (const machine of head.machines) dictionary.machine(machine)
  const { end, leases, renewals, snapshots } = head
  const table = new RowTable(objectFormat, parts, dictionary)
  return { end, table, dictionary, leases, renewals, snapshots, length: size }
}

function parseHead(line: Buffer): Head | undefined {
  try {
    return JSON.parse(line.toString())
  } catch {
    return undefined
  }
}

/** The bytes up to the first end of a line; undefined: there is none. */
function firstLine(descriptor: number, size: number): Buffer | undefined {
  for (let length = Math.min(1 << 16, size); ; length = Math.min(length * 4, size)) {
    const bytes = read(descriptor, 0, length)
    const end = bytes.indexOf(10)
    if (end >= 0) return bytes.subarray(0, end + 1)
    if (length === size) return undefined
  }
}

function read(descriptor: number, offset: number, length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length)
  return bytes.subarray(0, readFully(fs, descriptor, bytes, length, offset))
}
