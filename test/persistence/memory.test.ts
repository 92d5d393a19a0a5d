import { describe, expect, test } from 'vitest'
import { memoryStore } from '../../src/persistence/memory.ts'
import { faultyStore } from '../../src/testing/faulty-store.ts'
import { storeConformance } from '../../src/testing/store-conformance.ts'
import { doorTo, refuseOtherHash } from './store-door.ts'

const cleanup = async (): Promise<void> => {}

describe('memoryStore', () => {
  storeConformance(async () => ({ open: async options => memoryStore(options), cleanup, durable: false }), test)
})

describe('faultyStore without faults', () => {
  storeConformance(
    async () => ({ open: async options => faultyStore(memoryStore(options)), cleanup, durable: false }),
    test,
  )
})

describe('memoryStore behind doors that close one by one', () => {
  storeConformance(async () => {
    let store: ReturnType<typeof memoryStore> | undefined
    const open = async (options: Parameters<typeof memoryStore>[0]) => {
      store ??= memoryStore(options)
      refuseOtherHash(store, options)
      return doorTo(store)
    }
    return { open, cleanup, durable: true, shared: true }
  }, test)
})

test('memoryStore: a hash that Git has not is a TypeError', () => {
  expect(() => memoryStore({ objectFormat: 'md5' as 'sha1' })).toThrow(TypeError)
})
