import { describe, expect, test } from 'vitest'
import type { Store } from '../../src/actors/contracts/store.ts'
import { memoryStore } from '../../src/persistence/memory.ts'
import { type StoreFactory, storeConformance } from '../../src/testing/store-conformance.ts'
import { brokenStores } from './broken-stores.ts'
import { doorTo, override } from './store-door.ts'

/** Runs the checks of one subject until one fails. */
async function firstFailure(factory: StoreFactory, subject: string): Promise<string | undefined> {
  const checks: [string, () => Promise<void>][] = []
  storeConformance(factory, (name, run) => checks.push([name, run]))
  for (const [name, run] of checks.filter(([name]) => name.startsWith(`${subject}:`))) {
    try {
      await run()
    } catch {
      return name
    }
  }
  return undefined
}

describe('the suite', () => {
  for (const [name, { open, subject, durable = false, shared = false }] of Object.entries(brokenStores)) {
    test(`notices a store that ${name}`, async () => {
      const factory: StoreFactory = async () => {
        const kept = shared ? memoryStore() : undefined
        return {
          open: async (options?: Parameters<typeof open>[0]) => open(options, kept && doorTo(kept)),
          cleanup: async () => {},
          durable,
          shared,
        }
      }
      expect(await firstFailure(factory, subject)).toBeDefined()
    })
  }

  test('passes a store whose operations are merely taken through the same wrapper', async () => {
    const open = async (options?: Parameters<typeof memoryStore>[0]): Promise<Store> => {
      const store = memoryStore(options)
      return override(store, {
        append: async (items, abort) => store.append(items, abort),
        read: (run, range) => store.read(run, range),
        head: async (run, abort) => store.head(run, abort),
      })
    }
    const place = { open, cleanup: async () => {}, durable: false }
    for (const subject of new Set(Object.values(brokenStores).map(broken => broken.subject))) {
      expect(await firstFailure(async () => place, subject)).toBeUndefined()
    }
  })

  test('names each check once, and has its subject in front', () => {
    const names: string[] = []
    storeConformance(
      async () => ({ open: async options => memoryStore(options), cleanup: async () => {}, durable: false }),
      name => names.push(name),
    )
    expect(new Set(names).size).toBe(names.length)
    expect(names.length).toBeGreaterThan(200)
    expect(names.filter(name => !/^[a-z]+: /.test(name))).toEqual([])
  })

  test('closes and cleans up after a check that failed', async () => {
    const ended: string[] = []
    const factory: StoreFactory = async () => ({
      open: async () => {
        const store = memoryStore()
        const close = store.close.bind(store)
        store.close = async () => {
          ended.push('close')
          await close()
        }
        store.find = async () => 'nonsense'
        return store
      },
      cleanup: async () => {
        ended.push('cleanup')
      },
      durable: false,
    })
    expect(await firstFailure(factory, 'creation')).toBeDefined()
    expect(ended.slice(-2)).toEqual(['close', 'cleanup'])
  })
})
