import { XMachinesError } from '../errors.ts'
import type { WalkOptions } from './walk-options.ts'

/** What is wrong with a value, on its way up from where it was found: each level adds its key. */
export class Finding {
  readonly kind: 'not-json' | 'large' | 'deep'
  readonly found: string
  readonly instead: string
  /** The container that was one too deep: it may be one of its own ancestors. */
  readonly deepest: object | undefined
  readonly cause: unknown
  /** Keys and containers, innermost first. */
  readonly keys: (string | number)[] = []
  readonly containers: object[] = []

  constructor(kind: Finding['kind'], found: string, instead: string, deepest?: object, cause?: unknown) {
    this.kind = kind
    this.found = found
    this.instead = instead
    this.deepest = deepest
    this.cause = cause
  }

  /** A finding as it is; anything else was thrown by the value itself, by a trap of a proxy. */
  static of(thrown: unknown): Finding {
    if (thrown instanceof Finding) return thrown
    return new Finding('not-json', 'an object that throws when it is read', 'Use plain data.', undefined, thrown)
  }

  /** Adds one level: the finding is in `container`, under `key`. */
  inside(container: object, key: string | number): this {
    this.containers.push(container)
    this.keys.push(key)
    return this
  }
}

/** The error that the caller sees. */
export function refusal(finding: Finding, options: WalkOptions, root: string): XMachinesError {
  const keys = finding.keys.toReversed()
  const raise = options.areAdjustable ? ', or, in code, raise `limits`' : ''
  if (finding.kind === 'deep') {
    const cycle = findCycle(finding)
    if (cycle !== undefined) {
      const path = pathOf(root, keys.slice(0, cycle.again))
      const text = `${options.name} is a cycle: ${path} is ${pathOf(root, keys.slice(0, cycle.first))} again. Use an id instead of the reference.`
      return new XMachinesError(options.code, text, { details: { path } })
    }
    const path = pathOf(root, keys)
    const text = `${options.name} is nested deeper than ${options.limits.maxDepth} at ${path}. Use a flatter shape${raise}.`
    return new XMachinesError(options.tooLarge, text, { details: { path, maxDepth: options.limits.maxDepth } })
  }
  const path = pathOf(root, keys)
  if (finding.kind === 'large') {
    const text = `${options.name} is too large: ${finding.found}. Use a reference to the data${raise}.`
    return new XMachinesError(options.tooLarge, text, { details: { path, maxBytes: options.limits.maxBytes } })
  }
  const verb = keys.length === 0 ? 'is' : 'holds'
  const place = path === '$' ? '' : ` at ${path}`
  const text = `${options.name} ${verb} ${finding.found}${place}. ${finding.instead}`
  return new XMachinesError(options.code, text, {
    details: { path },
    ...(finding.cause === undefined ? {} : { cause: finding.cause }),
  })
}

/** Where a container comes a second time on the way down, and where it came first: both as depths. */
function findCycle(finding: Finding): { readonly first: number; readonly again: number } | undefined {
  const depths = new Map<object, number>()
  for (const [depth, container] of [...finding.containers.toReversed(), finding.deepest].entries()) {
    if (container === undefined) continue
    const first = depths.get(container)
    if (first !== undefined) return { first, again: depth }
    depths.set(container, depth)
  }
  return undefined
}

/** `$.items[3].price`; keys that are no names as in `$["a b"]`. */
function pathOf(root: string, keys: readonly (string | number)[]): string {
  let path = root
  for (const key of keys) {
    if (typeof key === 'number') path += `[${key}]`
    else if (/^[A-Za-z_$][\w$]*$/.test(key) && key.length <= 100) path += `.${key}`
    else path += `[${JSON.stringify(key.length <= 100 ? key : `${key.slice(0, 100)}…`)}]`
  }
  return path
}
