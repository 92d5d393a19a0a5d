import { join } from 'node:path'
import type { Store } from 'xmachines'
import { fileStore } from 'xmachines/persistence/filesystem'
import { gitStore } from 'xmachines/persistence/git'
import { postgresStore } from 'xmachines/persistence/postgres'
import { valkeyStore } from 'xmachines/persistence/valkey'

/** The kinds of stores that a history survives a process in. */
export type Kind = 'filesystem' | 'git' | 'postgres' | 'valkey'

/** Where lives are led. */
export interface Kept {
  readonly kind: Kind
  /** A folder of the place's own. */
  readonly dir: string
  /** Of the server; a database of the place's own. */
  readonly url?: string
}

export function openKept({ kind, dir, url = '' }: Kept): Store {
  if (kind === 'postgres') return postgresStore({ connectionString: url })
  if (kind === 'valkey') return valkeyStore({ url, prefix: dir })
  const path = join(dir, 'store')
  return kind === 'git' ? gitStore({ gitdir: path, interval: 5 }) : fileStore(path)
}
