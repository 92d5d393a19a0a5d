/*
 * Arrays as the server takes them in binary: a header, then each element with its length. Text with quotes and backslashes
 * costs nothing more so, where the text format would escape each of them.
 */

const encoder = new TextEncoder()
const headerBytes = 20

const oids = { bool: 16, bigint: 20, integer: 23, text: 25, double: 701 } as const

/** `text[]`, of what `pick` takes of each item. */
export function textArray<T>(items: readonly T[], pick: (item: T) => string | null): Uint8Array {
  let room = scratchOf(headerBytes + items.length * 64)
  let at = headerBytes
  let hasNull = false
  for (let index = 0; index < items.length; index++) {
    const text = pick(items[index]!)
    if (text === null) {
      if (at + 4 > room.bytes.length) room = grown(room, at, at + 4)
      room.view.setInt32(at, -1)
      at += 4
      hasNull = true
      continue
    }
    // A character takes three bytes at most.
    const end = at + 4 + text.length * 3
    if (end > room.bytes.length) room = grown(room, at, end)
    const length = encoded(text, room.bytes, at + 4)
    room.view.setInt32(at, length)
    at += 4 + length
  }
  return room.bytes.slice(0, header(room.view, oids.text, items.length, hasNull, at))
}

/** Writes a text, and gives how many bytes that are. Most are short and plain: for these the encoder takes longer to be called. */
function encoded(text: string, bytes: Uint8Array, at: number): number {
  const { length } = text
  if (length > longestByHand) return encoder.encodeInto(text, bytes.subarray(at)).written
  for (let index = 0; index < length; index++) {
    const code = text.charCodeAt(index)
    if (code > 127) return encoder.encodeInto(text, bytes.subarray(at)).written
    bytes[at + index] = code
  }
  return length
}

const longestByHand = 128

/** `bigint[]` */
export function bigintArray<T>(items: readonly T[], pick: (item: T) => number | null): Uint8Array {
  return fixed(oids.bigint, 8, items, pick, (view, at, value) => {
    view.setInt32(at, Math.floor(value / 2 ** 32))
    view.setUint32(at + 4, value >>> 0)
  })
}

/** `integer[]` */
export function integerArray<T>(items: readonly T[], pick: (item: T) => number | null): Uint8Array {
  return fixed(oids.integer, 4, items, pick, (view, at, value) => view.setInt32(at, value))
}

/** `double precision[]` */
export function doubleArray<T>(items: readonly T[], pick: (item: T) => number | null): Uint8Array {
  return fixed(oids.double, 8, items, pick, (view, at, value) => view.setFloat64(at, value))
}

/** `boolean[]` */
export function booleanArray<T>(items: readonly T[], pick: (item: T) => boolean | null): Uint8Array {
  return fixed(oids.bool, 1, items, pick, (view, at, value) => view.setUint8(at, value ? 1 : 0))
}

function fixed<T, V>(
  oid: number,
  size: number,
  items: readonly T[],
  pick: (item: T) => V | null,
  write: (view: DataView, at: number, value: V) => void,
): Uint8Array {
  const bytes = new Uint8Array(headerBytes + items.length * (4 + size))
  const view = new DataView(bytes.buffer)
  let at = headerBytes
  let hasNull = false
  for (let index = 0; index < items.length; index++) {
    const value = pick(items[index]!)
    view.setInt32(at, value === null ? -1 : size)
    at += 4
    if (value === null) {
      hasNull = true
      continue
    }
    write(view, at, value)
    at += size
  }
  return bytes.subarray(0, header(view, oid, items.length, hasNull, at))
}

/** Writes it, and gives where the array ends. One without any elements has no dimension. */
function header(view: DataView, oid: number, count: number, hasNull: boolean, end: number): number {
  view.setInt32(0, count === 0 ? 0 : 1)
  view.setInt32(4, hasNull ? 1 : 0)
  view.setInt32(8, oid)
  if (count === 0) return 12
  view.setInt32(12, count)
  view.setInt32(16, 1)
  return end
}

/** Bytes to write into. */
interface Room {
  readonly bytes: Uint8Array
  readonly view: DataView
}

let scratch = roomOf(1 << 16)

function roomOf(size: number): Room {
  const bytes = new Uint8Array(size)
  return { bytes, view: new DataView(bytes.buffer) }
}

/** The same every time, unless a lot is wanted. */
function scratchOf(size: number): Room {
  return size > scratch.bytes.length ? enlarged(size) : scratch
}

/** More room, with what was written. */
function grown({ bytes }: Room, written: number, size: number): Room {
  const room = enlarged(size)
  room.bytes.set(bytes.subarray(0, written))
  return room
}

function enlarged(size: number): Room {
  const room = roomOf(2 ** Math.ceil(Math.log2(size)))
  if (size <= 1 << 24) scratch = room
  return room
}
