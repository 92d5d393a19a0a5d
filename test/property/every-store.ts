import fc from 'fast-check'
import { test } from 'vitest'
import type { Store } from 'xmachines'
import { isServer, type StoreKind, StoreKinds } from '../servers/store-kinds.ts'

/** Making an empty store costs more than a case in memory does: of a Git repository fifty times as much, of a schema a hundred. */
const few: Readonly<Record<Exclude<StoreKind, 'memory'>, number>> = { filesystem: 10, git: 5, postgres: 5, valkey: 5 }
const many = { filesystem: 500, git: 200, postgres: 200, valkey: 200 } satisfies typeof few

const isLong = process.env.XM_LONG === '1'

/** How many cases of a law are tried on a kind of store. @param memory how many there are in memory, unless `FC_RUNS` says so */
export function casesOn(kind: StoreKind, memory = 100): { readonly numRuns: number } {
  if (kind === 'memory') return { numRuns: Number(process.env.FC_RUNS) || memory }
  return { numRuns: (isLong ? many : few)[kind] }
}

/** Opens an empty store, which is closed after the case it is for. */
type Open = () => Store
/** The same store as another process has it: one of its own on a server, where it sees nothing but what is written there. */
type Elsewhere = (store: Store) => Store

/**
 * A law of runs that are kept in a store, held on every kind of store.
 *
 * @param memory how many cases there are in memory
 */
export function onEveryStore<Ts>(
  name: string,
  law: (open: Open, elsewhere: Elsewhere) => fc.IAsyncPropertyWithHooks<Ts>,
  memory?: number,
): void {
  const kinds = new StoreKinds()
  test.each(kinds.names)(
    `${name}: %s`,
    async kind => {
      const places = new Map<Store, string>()
      const open = (place = kinds.place()): Store => {
        const store = kinds.open(kind, place)
        places.set(store, place)
        return store
      }
      const elsewhere = (store: Store): Store => (isServer(kind) ? open(places.get(store)!) : store)
      const closing = async (): Promise<void> => {
        await Promise.all([...places.keys()].map(store => store.close()))
        places.clear()
      }
      await fc.assert(law(open, elsewhere).afterEach(closing), casesOn(kind, memory))
    },
    isLong ? 1_800_000 : 120_000,
  )
}
