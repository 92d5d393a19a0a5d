const seed = 0x9747b28c
const mix = 0x5bd1e995

/** Kafka's murmur2 of `bytes`: the signed 32-bit number that its Java client computes. */
export function murmur2(bytes: Uint8Array): number {
  const { length } = bytes
  const whole = length & ~3
  let hash = seed ^ length
  for (let at = 0; at < whole; at += 4) {
    let word = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)
    word = Math.imul(word, mix)
    word ^= word >>> 24
    hash = Math.imul(hash, mix) ^ Math.imul(word, mix)
  }
  if (length > whole) {
    let tail = bytes[whole]!
    if (length > whole + 1) tail |= bytes[whole + 1]! << 8
    if (length > whole + 2) tail |= bytes[whole + 2]! << 16
    hash = Math.imul(hash ^ tail, mix)
  }
  hash = Math.imul(hash ^ (hash >>> 13), mix)
  return hash ^ (hash >>> 15)
}

/** The partition that Kafka's Java producer chooses for `key` among `partitions`. */
export function partitionOf(key: Uint8Array, partitions: number): number {
  return (murmur2(key) & 0x7fffffff) % partitions
}
