/*
 * Arrays as the server takes them in binary: a header, then each element with its length. Text with quotes and backslashes
 * costs nothing more so, where the text format would escape each of them.
 */

const encoder = new TextEncoder()
const headerBytes = 20

const oids = { bool: 16, bigint: 20, integer: 23, text: 25, double: 701 } as const

/** `text[]` */
export function textArray(values: readonly (string | null)[]): Uint8Array {
  let room = headerBytes
  // A character takes three bytes at most.
  for (const value of values) room += 4 + (value === null ? 0 : value.length * 3)
  const bytes = scratchOf(room)
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  let at = header(view, oids.text, values)
  for (const value of values) {
    if (value === null) {
      view.setInt32(at, -1)
      at += 4
    } else {
      const { written } = encoder.encodeInto(value, bytes.subarray(at + 4))
      view.setInt32(at, written)
      at += 4 + written
    }
  }
  return bytes.slice(0, at)
}

/** `bigint[]` */
export function bigintArray(values: readonly (number | null)[]): Uint8Array {
  return fixed(oids.bigint, 8, values, (view, at, value) => {
    view.setInt32(at, Math.floor(value / 2 ** 32))
    view.setUint32(at + 4, value >>> 0)
  })
}

/** `integer[]` */
export function integerArray(values: readonly (number | null)[]): Uint8Array {
  return fixed(oids.integer, 4, values, (view, at, value) => view.setInt32(at, value))
}

/** `double precision[]` */
export function doubleArray(values: readonly (number | null)[]): Uint8Array {
  return fixed(oids.double, 8, values, (view, at, value) => view.setFloat64(at, value))
}

/** `boolean[]` */
export function booleanArray(values: readonly (boolean | null)[]): Uint8Array {
  return fixed(oids.bool, 1, values, (view, at, value) => view.setUint8(at, value ? 1 : 0))
}

function fixed<T>(
  oid: number,
  size: number,
  values: readonly (T | null)[],
  write: (view: DataView, at: number, value: T) => void,
): Uint8Array {
  const bytes = new Uint8Array(headerBytes + values.length * (4 + size))
  const view = new DataView(bytes.buffer)
  let at = header(view, oid, values)
  for (const value of values) {
    view.setInt32(at, value === null ? -1 : size)
    at += 4
    if (value === null) continue
    write(view, at, value)
    at += size
  }
  return bytes.subarray(0, at)
}

/** Writes it, and gives where the elements begin. An array without any has no dimension. */
function header(view: DataView, oid: number, values: readonly unknown[]): number {
  view.setInt32(0, values.length === 0 ? 0 : 1)
  view.setInt32(4, values.includes(null) ? 1 : 0)
  view.setInt32(8, oid)
  if (values.length === 0) return 12
  view.setInt32(12, values.length)
  view.setInt32(16, 1)
  return headerBytes
}

let scratch = new Uint8Array(1 << 16)

/** Room to write into. The same every time, unless a lot is wanted. */
function scratchOf(bytes: number): Uint8Array {
  if (bytes > 1 << 24) return new Uint8Array(bytes)
  if (bytes > scratch.length) scratch = new Uint8Array(2 ** Math.ceil(Math.log2(bytes)))
  return scratch
}
