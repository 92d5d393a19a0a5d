/** Numbers that a seed determines. Called, it gives one from 0 (inclusive) to 1 (exclusive), as `Math.random` does. */
export interface Random {
  (): number
  /** A whole number from 0 (inclusive) to `limit` (exclusive). */
  below(limit: number): number
  /** One of `items`, each as likely as any other. */
  pick<T>(items: readonly T[]): T
}

/** @param stream which of several independent sequences of one seed */
export function randomOf(seed: number, stream: number): Random {
  let state = mixed(mixed(seed | 0) ^ Math.imul(stream + 1, 0x9e3779b1))
  // Mulberry32: one word of state, and more than good enough to choose schedules by.
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
  const below = (limit: number): number => Math.floor(next() * limit)
  return Object.assign(next, { below, pick: <T>(items: readonly T[]): T => items[below(items.length)]! })
}

/** Neighbouring seeds have nothing in common afterwards. */
function mixed(word: number): number {
  let h = Math.imul(word ^ (word >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return h ^ (h >>> 16)
}
