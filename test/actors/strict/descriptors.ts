/** Every property, as it is defined. */
export function globals(): readonly unknown[] {
  const owners = [globalThis, Date, Date.prototype, Math, Intl, Number.prototype, BigInt.prototype, String.prototype]
  return owners.map(owner => [
    owner,
    Reflect.ownKeys(owner).map(key => [key, Object.getOwnPropertyDescriptor(owner, key)]),
  ])
}

/** Whether nothing is replaced, added, reordered, or defined in another way. */
export function same(one: unknown, other: unknown): boolean {
  if (Object.is(one, other)) return true
  if (!isPlain(one) || !isPlain(other)) return false
  const [keys, others] = [Object.keys(one), Object.keys(other)]
  return keys.length === others.length && keys.every((key, i) => key === others[i] && same(one[key], other[key]))
}

function isPlain(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null || value === globalThis) return false
  return Array.isArray(value) || ('configurable' in value && 'enumerable' in value)
}
