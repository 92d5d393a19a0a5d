import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll } from 'vitest'
import type { Store } from 'xmachines'
import { fileStore } from 'xmachines/persistence/filesystem'
import { gitStore } from 'xmachines/persistence/git'
import { memoryStore } from 'xmachines/persistence/memory'
import { postgresStore } from 'xmachines/persistence/postgres'
import { valkeyStore } from 'xmachines/persistence/valkey'
import { hasPostgres } from './postgres.ts'
import { sharedServer, unique } from './shared.ts'
import { hasValkey } from './valkey.ts'

/** Every kind of store that the package has. */
export type StoreKind = 'memory' | 'filesystem' | 'git' | 'postgres' | 'valkey'

/** Whether processes have stores of their own at one place. */
export function isServer(kind: StoreKind): boolean {
  return kind === 'postgres' || kind === 'valkey'
}

/** Opens stores of every kind, each at a place of its own. For the whole of a test file. */
export class StoreKinds {
  /** Those that can be had here. */
  readonly names: readonly StoreKind[] = [
    'memory',
    'filesystem',
    'git',
    ...(hasPostgres() ? (['postgres'] as const) : []),
    ...(hasValkey() ? (['valkey'] as const) : []),
  ]
  readonly #root = mkdtempSync(join(tmpdir(), 'xmachines-kinds-'))
  #pool: pg.Pool | undefined
  #valkey = ''

  constructor() {
    beforeAll(async () => {
      if (this.names.includes('postgres'))
        this.#pool = new pg.Pool({ connectionString: await sharedServer('postgres') })
      if (this.names.includes('valkey')) this.#valkey = await sharedServer('valkey')
    })
    afterAll(async () => {
      await this.#pool?.end()
      rmSync(this.#root, { recursive: true, force: true })
    })
  }

  /** A place that nothing is at. */
  place(): string {
    return unique('place')
  }

  /** Deletes all that a closed store of PostgreSQL has at a place: that takes a tenth of what a new schema does. */
  async emptySchema(place: string): Promise<void> {
    const tables = `select format('delete from %I.%I', schemaname, tablename) as emptied from pg_tables
      where schemaname = $1 and tablename <> 'store'`
    const { rows } = await this.#pool!.query<{ emptied: string }>(tables, [place])
    await this.#pool!.query(rows.map(({ emptied }) => emptied).join(';'))
  }

  /** The store of a place; it survives a close, but for that in memory. */
  open(kind: StoreKind, place = this.place()): Store {
    switch (kind) {
      case 'memory':
        return memoryStore()
      case 'filesystem':
        return fileStore(join(this.#root, place), { fsync: false })
      case 'git':
        return gitStore({ dir: join(this.#root, place), fsync: false })
      case 'postgres':
        return postgresStore({ pool: this.#pool!, schema: place, durability: 'relaxed' })
      case 'valkey':
        return valkeyStore({ url: this.#valkey, prefix: place, durability: 'everysec' })
    }
  }
}
