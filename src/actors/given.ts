import type { Store } from './contracts/store.ts'
import type { Unit } from './contracts/unit.ts'

/*
 * What callers without types give by mistake: a path, a factory that was not called or a promise would fail later, by a name that no
 * caller knows.
 */

/** The store among options. @throws TypeError that names the option, what a store is and what came */
export function givenStore(options: { readonly store: Store } | undefined): Store {
  return checkedStore('store', options?.store)
}

/** A store, if it is one. @throws TypeError as {@link givenStore} */
export function checkedStore(name: string, store: unknown): Store {
  if (isStore(store)) return store
  throw new TypeError(
    `Expected \`${name}\` to be a store, as \`memoryStore()\` or \`fileStore(dir)\` gives one; got ${shown(store)}.`,
  )
}

/** Options that have to be given. @throws TypeError that shows how */
export function givenOptions<T extends object>(example: string, options: T): T {
  if (typeof options === 'object' && options !== null) return options
  throw new TypeError(`Expected options, as \`${example}\` has them; got ${shown(options)}.`)
}

/** The units of a history, if they can be read as such. @throws TypeError that says what gives units */
export function givenUnits<T extends ReadableStream<Unit> | AsyncIterable<Unit>>(units: T): T {
  // A stream of ours can be read also where the platform's streams cannot be iterated.
  if (units instanceof ReadableStream) return units
  if (typeof units === 'object' && units !== null && (Symbol.asyncIterator in units || Symbol.iterator in units))
    return units
  throw new TypeError(
    `Expected units to be a stream or an async iterable of them, as \`store.read(run.id)\` gives; got ${shown(units)}.`,
  )
}

function isStore(value: unknown): value is Store {
  const { append, read, head } = (value ?? {}) as { readonly [name in keyof Store]?: unknown }
  return [append, read, head].every(operation => typeof operation === 'function')
}

function shown(value: unknown): string {
  if (value instanceof Promise) return 'a promise: await it'
  if (typeof value === 'function') return 'a function: call it'
  return typeof value === 'string' ? `the text '${value}'` : value === null ? 'null' : typeof value
}
