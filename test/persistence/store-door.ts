import { batchesOf, batchStream } from '../../src/actors/batch-stream.ts'
import type { Store } from '../../src/actors/contracts/store.ts'
import { XMachinesError } from '../../src/actors/errors.ts'
import type { MemoryStoreOptions } from '../../src/persistence/memory.ts'

/** `store` with some operations of its own. */
export function override(store: Store, own: Partial<Store>): Store {
  return new Proxy(store, {
    get(target, name) {
      const value = Reflect.get(name in own ? own : target, name)
      return typeof value === 'function' ? value.bind(name in own ? own : target) : value
    },
  })
}

/** What every store does that is opened again with another hash. */
export function refuseOtherHash(store: Store, { objectFormat = 'sha1' }: MemoryStoreOptions = {}): void {
  if (objectFormat === store.objectFormat) return
  throw new XMachinesError('OBJECT_FORMAT_MISMATCH', `The store has ${store.objectFormat}.`)
}

/**
 * One of several doors to one store: closing it closes this door only. It makes of a store in memory one that several
 * have open, and that outlives its closing.
 */
export function doorTo(store: Store): Store {
  let closed = false
  const refusal = (): XMachinesError => new XMachinesError('STORE_CLOSED', 'This door is closed.')
  return new Proxy(store, {
    get(target, name) {
      const value = Reflect.get(target, name)
      if (typeof value !== 'function') return value
      if (name === 'close') {
        return async () => {
          closed = true
        }
      }
      if (name === 'read' || name === 'list') {
        return (...args: unknown[]) => {
          async function* batches(): AsyncGenerator<readonly unknown[]> {
            if (closed) throw refusal()
            for await (const batch of batchesOf(value.apply(target, args) as ReadableStream<unknown>)) {
              yield batch
              if (closed) throw refusal()
            }
          }
          return batchStream(batches())
        }
      }
      return (...args: unknown[]) => (closed ? Promise.reject(refusal()) : value.apply(target, args))
    },
  })
}
