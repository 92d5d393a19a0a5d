/**
 * Refuses a key, a value or a header that is neither text nor bytes: of an object, or of a number, an array of bytes would be made that
 * has nothing of it.
 *
 * @throws TypeError
 */
export function checkBytes(given: Uint8Array | string): void {
  if (typeof given === 'string' || given instanceof Uint8Array || tagOf(given) === '[object Uint8Array]') return
  throw new TypeError(
    `Expected keys, values and headers of records to be text or bytes, got ${tagOf(given)}. Give \`JSON.stringify(value)\`, or null for none.`,
  )
}

/** Also of another realm, whose `Uint8Array` is another class. */
function tagOf(value: unknown): string {
  return Object.prototype.toString.call(value)
}
