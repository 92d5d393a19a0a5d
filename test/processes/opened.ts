import type { Store } from 'xmachines'
import { postgresStore } from 'xmachines/persistence/postgres'
import { valkeyStore } from 'xmachines/persistence/valkey'

/** Which store a process opens. */
export interface StoreAt {
  readonly kind: 'postgres' | 'valkey'
  readonly url: string
  readonly place: string
}

export function openAt({ kind, url, place }: StoreAt): Store {
  return kind === 'postgres'
    ? postgresStore({ connectionString: url, schema: place })
    : valkeyStore({ url, prefix: place })
}
