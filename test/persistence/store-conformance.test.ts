import { describe, expect, test } from 'vitest'
import type { Store } from '../../src/actors/contracts/store.ts'
import { memoryStore } from '../../src/persistence/memory.ts'
import { type StoreFactory, storeConformance } from '../../src/testing/store-conformance.ts'
import { brokenStores } from './broken-stores.ts'
import { forgetfulStores } from './forgetful-stores.ts'
import { doorTo, override, refuseOtherHash } from './store-door.ts'

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
  const all = Object.entries({ ...brokenStores, ...forgetfulStores })
  for (const [name, { open, subject, kept: isKept = false, durable = isKept, shared = false }] of all) {
    test(`notices a store that ${name}`, async () => {
      const factory: StoreFactory = async () => {
        const kept = shared || isKept ? memoryStore() : undefined
        let times = 0
        return {
          open: async (options?: Parameters<typeof open>[0]) => open(options, kept && doorTo(kept), times++),
          cleanup: async () => {},
          durable,
          shared,
        }
      }
      expect(await firstFailure(factory, subject)).toBeDefined()
    })
  }

  test('passes a store whose operations are merely taken through the same wrapper', async () => {
    const subjects = new Set(all.map(([, broken]) => broken.subject))
    const factory: StoreFactory = async () => {
      let kept: Store | undefined
      const open = async (options?: Parameters<typeof memoryStore>[0]): Promise<Store> => {
        kept ??= memoryStore(options)
        refuseOtherHash(kept, options)
        const door = doorTo(kept)
        return override(door, {
          append: async (items, abort) => door.append(items, abort),
          read: (run, range) => door.read(run, range),
          head: async (run, abort) => door.head(run, abort),
        })
      }
      return { open, cleanup: async () => {}, durable: true, shared: true }
    }
    for (const subject of subjects)
      expect([subject, await firstFailure(factory, subject)]).toEqual([subject, undefined])
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
