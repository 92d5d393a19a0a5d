/** A map by bytes: to find a short key so takes a fifth of the time that decoding it does. */
export class KeyTable<T> {
  readonly #buckets = new Map<number, { readonly key: Uint8Array; readonly value: T }[]>()

  get(key: Uint8Array): T | undefined {
    const bucket = this.#buckets.get(hashOf(key))
    if (bucket === undefined) return undefined
    for (const entry of bucket) if (same(entry.key, key)) return entry.value
    return undefined
  }

  /** Keeps `key` itself: it must not change. */
  set(key: Uint8Array, value: T): void {
    this.delete(key)
    const hash = hashOf(key)
    const bucket = this.#buckets.get(hash)
    if (bucket === undefined) this.#buckets.set(hash, [{ key, value }])
    else bucket.push({ key, value })
  }

  delete(key: Uint8Array): void {
    const hash = hashOf(key)
    const rest = this.#buckets.get(hash)?.filter(entry => !same(entry.key, key))
    if (rest === undefined || rest.length === 0) this.#buckets.delete(hash)
    else this.#buckets.set(hash, rest)
  }
}

/** FNV-1a. */
function hashOf(key: Uint8Array): number {
  let hash = 0x811c9dc5
  for (let at = 0; at < key.length; at++) hash = Math.imul(hash ^ key[at]!, 0x01000193)
  return hash
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false
  for (let at = 0; at < a.length; at++) if (a[at] !== b[at]) return false
  return true
}
