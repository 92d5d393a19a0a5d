import type { Store } from 'xmachines'

/** A store that tells of each record when it has become durable, by the source that it came from: `<cluster>/<topic>/<partition>`. */
export function watchedStore(store: Store, durable: (source: string) => void): Store {
  const append: Store['append'] = async (items, options) => {
    const outcomes = await store.append(items, options)
    for (const { units } of items) for (const { sources = [] } of units) for (const { id } of sources) durable(id)
    return outcomes
  }
  return new Proxy(store, {
    get(target, name) {
      if (name === 'append') return append
      const value: unknown = Reflect.get(target, name)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}
