import type { Store } from './contracts/store.ts'

/**
 * The store of a caller who may have no types: a path, a factory that was not called or a promise would fail later, by a name that
 * no caller knows.
 *
 * @throws TypeError that names the option, what a store is and what came
 */
export function givenStore(options: { readonly store: Store } | undefined): Store {
  const store: unknown = options?.store
  if (isStore(store)) return store
  throw new TypeError(
    `Expected \`store\` to be a store, as \`memoryStore()\` or \`fileStore(dir)\` gives one; got ${shown(store)}.`,
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
