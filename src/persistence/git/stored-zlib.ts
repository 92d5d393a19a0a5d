/** The most that a block of a deflate stream holds uncompressed. */
const longestBlock = 65_535

/** How many bytes {@link putStored} takes at most. */
export function storedRoom(length: number): number {
  return length + Math.max(1, Math.ceil(length / longestBlock)) * 5 + 6
}

/** Writes a zlib stream of stored blocks and returns where it ends. */
export function putStored(bytes: Buffer, start: number, content: Uint8Array): number {
  bytes[start] = 0x78
  bytes[start + 1] = 0x01
  let end = start + 2
  let from = 0
  do {
    const length = Math.min(longestBlock, content.length - from)
    bytes[end] = from + length === content.length ? 1 : 0
    bytes[end + 1] = length & 255
    bytes[end + 2] = length >> 8
    bytes[end + 3] = ~length & 255
    bytes[end + 4] = (~length >> 8) & 255
    bytes.set(length === content.length ? content : content.subarray(from, from + length), end + 5)
    end += 5 + length
    from += length
  } while (from < content.length)
  const sum = adler32(content)
  bytes[end] = sum >>> 24
  bytes[end + 1] = (sum >>> 16) & 255
  bytes[end + 2] = (sum >>> 8) & 255
  bytes[end + 3] = sum & 255
  return end + 4
}

/** So many bytes are summed up before the sums could leave 32 bits. */
const adlerRun = 3800
const adlerBase = 65_521

function adler32(bytes: Uint8Array): number {
  let low = 1
  let high = 0
  for (let at = 0; at < bytes.length; ) {
    const end = Math.min(bytes.length, at + adlerRun)
    for (; at < end; at++) {
      low += bytes[at]!
      high += low
    }
    low %= adlerBase
    high %= adlerBase
  }
  return ((high << 16) | low) >>> 0
}
