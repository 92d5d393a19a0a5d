/** Builds an object from another one and the changes to it, as packs hold them. `undefined`: the changes do not fit. */
export function applyDelta(base: Uint8Array, delta: Uint8Array): Uint8Array | undefined {
  let at = 0
  const length = (): number => {
    let value = 0
    for (let shift = 1; ; shift *= 128) {
      const byte = delta[at++] ?? 0
      value += (byte & 127) * shift
      if (byte < 128) return value
    }
  }
  if (length() !== base.length) return undefined
  const result = Buffer.allocUnsafe(length())
  let end = 0
  while (at < delta.length) {
    const order = delta[at++]!
    if (order < 128) {
      if (order === 0 || at + order > delta.length || end + order > result.length) return undefined
      result.set(delta.subarray(at, at + order), end)
      at += order
      end += order
      continue
    }
    let from = 0
    let count = 0
    for (let bit = 0; bit < 4; bit++) if (order & (1 << bit)) from += delta[at++]! * 2 ** (bit * 8)
    for (let bit = 0; bit < 3; bit++) if (order & (16 << bit)) count += delta[at++]! * 2 ** (bit * 8)
    if (count === 0) count = 65_536
    if (from + count > base.length || end + count > result.length) return undefined
    result.set(base.subarray(from, from + count), end)
    end += count
  }
  return end === result.length ? result : undefined
}
