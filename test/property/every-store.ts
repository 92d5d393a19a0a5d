import fc from 'fast-check'
import { test } from 'vitest'
import type { Store } from 'xmachines'
import { isServer, type StoreKind, StoreKinds } from '../servers/store-kinds.ts'

const isLong = process.env.XM_LONG === '1'

/** How many cases of a law are tried; on servers more where the law is about processes that are in each other's way. */
export interface Cases {
  /** Unless `FC_RUNS` says so. @default 100 */
  readonly memory?: number
  /** @default 5 */
  readonly servers?: number
}

/** How many cases of a law are tried on a kind of store. */
export function casesOn(kind: StoreKind, { memory = 100, servers = 5 }: Cases = {}) {
  if (kind === 'memory') return { numRuns: Number(process.env.FC_RUNS) || memory }
  const few = isServer(kind) ? servers : 5
  // The first cases of many are mostly short ones.
  return { numRuns: isLong ? 40 * few : few, unbiased: true }
}

/** Opens an empty store, which is closed after the case it is for. */
type Open = () => Store
/** The same store as another process has it: one of its own on a server, where it sees nothing but what is written there. */
type Elsewhere = (store: Store) => Store

/**
 * A law of runs that are kept in a store, held on every kind of store. In virtual time the environment `awaits` what is opened
 * and what is elsewhere.
 */
export function onEveryStore<Ts>(
  name: string,
  law: (open: Open, elsewhere: Elsewhere) => fc.IAsyncPropertyWithHooks<Ts>,
  cases?: Cases,
): void {
  const kinds = new StoreKinds()
  // To another XState the store is the same.
  const tried = process.env.XSTATE_ENTRY === undefined ? kinds.names : (['memory'] as const)
  test.each(tried)(
    `${name}: %s`,
    async kind => {
      const places = new Map<Store, string>()
      const emptied: string[] = []
      const open = (place = emptied.pop() ?? kinds.place()): Store => {
        const store = kinds.open(kind, place)
        places.set(store, place)
        return store
      }
      const elsewhere = (store: Store): Store => (isServer(kind) ? open(places.get(store)!) : store)
      const closing = async (): Promise<void> => {
        await Promise.all([...places.keys()].map(store => store.close()))
        if (kind === 'postgres') emptied.push(...new Set(places.values()))
        for (const place of emptied) await kinds.emptySchema(place)
        places.clear()
      }
      await fc.assert(law(open, elsewhere).afterEach(closing), casesOn(kind, cases))
    },
    isLong ? 1_800_000 : 120_000,
  )
}
