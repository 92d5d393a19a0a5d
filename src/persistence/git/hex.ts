/** Writes the bytes that hex digits name and returns where they end. A loop, since the call of an encoder costs more. */
export function putHex(bytes: Uint8Array, start: number, hex: string): number {
  let end = start
  for (let at = 0; at < hex.length; at += 2) bytes[end++] = (digitAt(hex, at) << 4) | digitAt(hex, at + 1)
  return end
}

/** The value of a digit `0-9a-f`, by its place in ASCII. */
function digitAt(hex: string, at: number): number {
  const unit = hex.charCodeAt(at)
  return unit < 97 ? unit - 48 : unit - 87
}
