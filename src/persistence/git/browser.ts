import type { Store } from '../../actors/contracts/store.ts'
import { givenOptions } from '../../actors/given.ts'
import type { GitStoreOptions } from './git-store-options.ts'
import type { CallerFs } from './over-fs/caller-fs.ts'
import { storeOverFs } from './over-fs/store-over-fs.ts'

export type { GitStoreOptions } from './git-store-options.ts'
export type { CallerFs } from './over-fs/caller-fs.ts'
export type { RepositoryPlace } from './place.ts'

/** As `gitStore` where there is Node, but without files of its own: what a bundler for browsers takes in its place. */
export function gitStore(options: GitStoreOptions & { readonly fs: CallerFs }): Store {
  return storeOverFs(givenOptions("gitStore({ fs, dir: '/ledger' })", options), ({ code, message }) =>
    console.warn(`${code}: ${message}`),
  )
}
