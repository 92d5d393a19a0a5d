/**
 * What a run's state may hold: JSON, `undefined` as absent, and references to actors of the run. Everything else would not
 * survive a restart, so it is found in the unit that puts it there.
 */

/** A place that is not JSON, and what stands there. */
export interface Flaw {
  readonly path: string
  readonly found: string
}

/** Whether `value` is a reference to an actor. */
export function isActorRef(value: object): boolean {
  return 'sessionId' in value && '_parent' in value && 'system' in value
}

/** What `value` is called in an error. */
export function describe(value: unknown): string {
  if (typeof value === 'number') return Object.is(value, -0) ? '-0' : String(value)
  if (typeof value !== 'object' || value === null) return typeof value
  const prototype = Object.getPrototypeOf(value) as { constructor?: { name?: string } } | null
  return `a ${prototype?.constructor?.name || 'object'}`
}

/**
 * The first flaw in `value`. What is identical to `before` was checked when it came into the state and is passed over:
 * contexts share what an assignment does not touch.
 */
export function findFlaw(value: unknown, before: unknown, path: string, depth = 0): Flaw | undefined {
  switch (typeof value) {
    case 'string':
      return value === before || value.isWellFormed() ? undefined : { path, found: 'a string with a lone surrogate' }
    case 'number':
      return Number.isFinite(value) && !Object.is(value, -0) ? undefined : { path, found: describe(value) }
    case 'boolean':
      return undefined
    case 'object':
      break
    default:
      return { path, found: describe(value) }
  }
  if (value === null || value === before) return undefined
  if (depth > 200) return { path, found: 'a cycle, or more than 200 levels' }
  const known = typeof before === 'object' && before !== null ? (before as Record<string, unknown>) : undefined
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) {
      const flaw = findFlaw(value[i], known?.[i], `${path}[${i}]`, depth + 1)
      if (flaw !== undefined) return flaw
    }
    return undefined
  }
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null)
    return isActorRef(value) ? undefined : { path, found: describe(value) }
  for (const key in value) {
    // It would become a prototype when the state is restored.
    if (key === '__proto__') return { path, found: 'the key `__proto__`' }
    const item = (value as Record<string, unknown>)[key]
    if (item === undefined || item === known?.[key]) continue
    const flaw = findFlaw(item, known?.[key], `${path}.${key}`, depth + 1)
    if (flaw !== undefined) return flaw
  }
  return undefined
}
