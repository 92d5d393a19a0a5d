/**
 * What a run's state may hold: JSON, `undefined` as absent, and references to actors of the run. Everything else would not
 * survive a restart, so it is found in the unit that puts it there.
 */

/** A place that is not JSON, and what stands there. */
export interface Flaw {
  readonly path: string
  readonly found: string
}

/** What a walk comes across that is no flaw. */
export interface Noticed {
  /** A property that is `undefined`: see {@link withoutUndefined}. */
  undefined: boolean
}

/** Whether `value` is a reference to an actor, and not data of the same shape: no JSON holds a function. */
export function isActorRef(value: object): boolean {
  return (
    'sessionId' in value && '_parent' in value && typeof (value as { readonly _send?: unknown })._send === 'function'
  )
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
 *
 * @param depth of `value` itself; −1: its own properties may be `undefined` without notice
 */
export function findFlaw(
  value: unknown,
  before: unknown,
  path: string,
  depth = 0,
  noticed?: Noticed,
): Flaw | undefined {
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
      const flaw = findFlaw(value[i], known?.[i], `${path}[${i}]`, depth + 1, noticed)
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
    if (item === undefined) {
      if (noticed !== undefined && depth >= 0) noticed.undefined = true
      continue
    }
    if (item === known?.[key]) continue
    const flaw = findFlaw(item, known?.[key], `${path}.${key}`, depth + 1, noticed)
    if (flaw !== undefined) return flaw
  }
  return undefined
}

/**
 * A value without flaws as it comes back from a store: what is `undefined` is absent. A step must find the same keys in a run
 * that was restored and in one that was not. What holds no such property stays the same object.
 */
export function withoutUndefined<T>(value: T, before: unknown): T {
  if (typeof value !== 'object' || value === null || value === before || isActorRef(value)) return value
  if (value instanceof Error) return value
  const known = typeof before === 'object' && before !== null ? (before as Record<string, unknown>) : {}
  let same = true
  const entries = Object.entries(value).flatMap(([key, item]) => {
    const now = withoutUndefined(item, known[key])
    same &&= now !== undefined && now === item
    return now === undefined ? [] : [[key, now] as const]
  })
  if (same) return value
  return (Array.isArray(value) ? entries.map(([, item]) => item) : Object.fromEntries(entries)) as T
}
