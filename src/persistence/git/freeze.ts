/** Freezes JSON that was just parsed, and so is nobody else's. */
export function freeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value
  for (const key in value) {
    const part = value[key]
    if (typeof part === 'object' && part !== null) freeze(part)
  }
  return Object.freeze(value)
}
