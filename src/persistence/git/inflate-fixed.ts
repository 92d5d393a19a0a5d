import { adler32 } from './stored-zlib.ts'

/*
 * What Git packs of ours is mostly short: changes of some twenty bytes, which deflate writes as one block of its fixed
 * code. A call into zlib takes longer than reading one here.
 */

/** By the next nine bits of a stream: sixteen times what they stand for, and how many of them do. */
const codes = new Uint16Array(512)
/** Of what stands for a length, and for a distance: the least of it, and how many bits follow that say how much more. */
const lengths = { least: new Uint16Array(29), more: new Uint8Array(29) }
const distances = { least: new Uint16Array(30), more: new Uint8Array(30) }

fill(0, 143, 0b00110000, 8)
fill(144, 255, 0b110010000, 9)
fill(256, 279, 0, 7)
fill(280, 287, 0b11000000, 8)
for (let code = 0, least = 3; code < 28; code++) {
  lengths.more[code] = code < 8 ? 0 : (code >> 2) - 1
  lengths.least[code] = least
  least += 1 << lengths.more[code]!
}
lengths.least[28] = 258
for (let code = 0, least = 1; code < 30; code++) {
  distances.more[code] = code < 4 ? 0 : (code >> 1) - 1
  distances.least[code] = least
  least += 1 << distances.more[code]!
}

/** Codes that follow each other. In a stream their bits stand the other way round. */
function fill(first: number, last: number, code: number, bits: number): void {
  for (let symbol = first; symbol <= last; symbol++) {
    const start = reversed(code + symbol - first, bits)
    for (let next = start; next < 512; next += 1 << bits) codes[next] = symbol * 16 + bits
  }
}

function reversed(code: number, bits: number): number {
  let result = 0
  for (let bit = 0; bit < bits; bit++) result |= ((code >> bit) & 1) << (bits - 1 - bit)
  return result
}

/** Whether a zlib stream begins so, which needs no dictionary. */
function isHead(first: number, second: number): boolean {
  return first === 0x78 && (second & 32) === 0 && (first * 256 + second) % 31 === 0
}

/** What a zlib stream holds. `undefined`: it is another kind of stream, or damaged: zlib tells. @param length of what it holds */
export function inflateFixed(stream: Uint8Array, length: number): Buffer | undefined {
  if (!isHead(stream[0]!, stream[1]!) || (stream[2]! & 7) !== 3) return undefined
  const result = Buffer.allocUnsafe(length)
  let end = 0
  let at = 3
  let held = 5
  let bits = stream[2]! >> 3
  for (;;) {
    for (; held < 24; held += 8) bits |= (stream[at++] ?? 0) << held
    const found = codes[bits & 511]!
    const symbol = found >> 4
    bits >>>= found & 15
    held -= found & 15
    if (symbol < 256) {
      if (end === length) return undefined
      result[end++] = symbol
      continue
    }
    if (symbol === 256) break
    if (symbol > 285) return undefined
    const moreLength = lengths.more[symbol - 257]!
    const count = lengths.least[symbol - 257]! + (bits & ((1 << moreLength) - 1))
    bits >>>= moreLength
    held -= moreLength
    for (; held < 24; held += 8) bits |= (stream[at++] ?? 0) << held
    const code = reversed(bits & 31, 5)
    if (code > 29) return undefined
    const moreDistance = distances.more[code]!
    const back = distances.least[code]! + ((bits >>> 5) & ((1 << moreDistance) - 1))
    bits >>>= 5 + moreDistance
    held -= 5 + moreDistance
    if (back > end || end + count > length) return undefined
    for (const stop = end + count; end < stop; end++) result[end] = result[end - back]!
  }
  const sumAt = at - (held >> 3)
  if (end !== length || sumAt + 4 > stream.length) return undefined
  const sum = (stream[sumAt]! << 24) | (stream[sumAt + 1]! << 16) | (stream[sumAt + 2]! << 8) | stream[sumAt + 3]!
  return sum >>> 0 === adler32(result) ? result : undefined
}
