import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import type { ObjectFormat } from '../../actors/contracts/unit.ts'
import { XMachinesError } from '../../actors/errors.ts'
import { damaged } from './failures.ts'
import { afresh, type LogFiles, type Segments, syncDirectory } from './files.ts'
import { type LogEnd, segmentName } from './layout.ts'

/** Version of the log's format that this code writes. */
export const logVersion = 1

const formatName = 'xmachines-log'

/** What the first line of a segment says. */
export interface SegmentHeader {
  readonly objectFormat: ObjectFormat
  readonly segment: number
  /** Checksum of the last frame of the segment before. */
  readonly after: number
  /** How long the line is. */
  readonly length: number
}

function headerText(objectFormat: ObjectFormat, segment: number, after: number): string {
  const fields = { format: formatName, version: logVersion, objectFormat, segment, after: hex(after) }
  const text = JSON.stringify(fields).slice(0, -1)
  return `${text},"crc":"${hex(crc32(text))}"}\n`
}

/** How long the first line of a segment is. */
export function segmentHeaderLength(objectFormat: ObjectFormat, segment: number): number {
  return headerText(objectFormat, segment, 0).length
}

function hex(sum: number): string {
  return sum.toString(16).padStart(8, '0')
}

/**
 * Makes a segment behind `end`. It gets its name when its first line is durable, so there is never one without.
 * Returns where its first frame goes.
 */
export function makeSegment(dir: string, files: LogFiles, objectFormat: ObjectFormat, end: LogEnd): LogEnd {
  const segment = end.segment + 1
  const header = Buffer.from(headerText(objectFormat, segment, end.sum))
  const temporary = join(dir, `.${segmentName(segment)}`)
  const descriptor = files.openSync(temporary, afresh)
  try {
    for (let done = 0; done < header.length; ) done += files.writeSync(descriptor, header, done)
    files.fsyncSync(descriptor)
  } finally {
    files.closeSync(descriptor)
  }
  files.renameSync(temporary, join(dir, segmentName(segment)))
  syncDirectory(dir, files)
  return { ...end, segment, offset: header.length }
}

const longestHeader = 1024

/**
 * Reads the first line of a segment.
 *
 * @throws STORE_FOREIGN, STORE_FORMAT, OBJECT_FORMAT_MISMATCH, STORE_DAMAGED
 */
export function readSegmentHeader(segments: Segments, segment: number, objectFormat: ObjectFormat): SegmentHeader {
  const bytes = Buffer.allocUnsafe(longestHeader)
  const count = segments.read(segment, 0, longestHeader, bytes)
  const length = bytes.subarray(0, count).indexOf(10) + 1
  const text = bytes.toString('latin1', 0, length)
  const path = segments.path(segment)
  const fields = parse(text)
  if (fields?.format !== formatName) {
    if (segment > 1) throw damaged(path, 0, 'its first line is not that of a segment')
    throw new XMachinesError('STORE_FOREIGN', `${path} is not the log of a store. Give an empty or new directory.`, {
      details: { file: path },
    })
  }
  if (fields.version !== logVersion) {
    throw new XMachinesError(
      'STORE_FORMAT',
      `${path} has format version ${fields.version}; this package reads version ${logVersion}. Use the package that wrote it.`,
      { details: { file: path, version: fields.version, reads: logVersion } },
    )
  }
  const sealed = text.slice(0, text.lastIndexOf(',"crc":'))
  if (fields.segment !== segment || fields.crc !== hex(crc32(sealed)) || typeof fields.after !== 'string') {
    throw damaged(path, 0, 'its first line is not what was written')
  }
  if (fields.objectFormat !== objectFormat) {
    throw new XMachinesError(
      'OBJECT_FORMAT_MISMATCH',
      `${segments.dir} is a ${fields.objectFormat} store and was opened as ${objectFormat}. Open it with objectFormat: '${fields.objectFormat}'.`,
      { details: { path: segments.dir, objectFormat: fields.objectFormat, given: objectFormat } },
    )
  }
  return { objectFormat, segment, after: Number.parseInt(fields.after, 16), length }
}

function parse(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}
