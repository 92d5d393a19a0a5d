import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { copyStore, type Store } from 'xmachines'
import { fileStore } from 'xmachines/persistence/filesystem'
import { gitStore } from 'xmachines/persistence/git'
import { memoryStore } from 'xmachines/persistence/memory'
import { postgresStore } from 'xmachines/persistence/postgres'
import { valkeyStore } from 'xmachines/persistence/valkey'
import { Author, contentOf, deeds } from '../property/deeds.ts'
import { hasPostgres, PostgresServer } from '../servers/postgres.ts'
import { hasValkey, ValkeyServer } from '../servers/valkey.ts'

const root = mkdtempSync(join(tmpdir(), 'xmachines-one-history-'))
let postgres: PostgresServer | undefined
let pool: pg.Pool | undefined
let valkey: ValkeyServer | undefined
let places = 0

beforeAll(async () => {
  if (hasPostgres()) {
    postgres = await PostgresServer.start()
    pool = new pg.Pool({ connectionString: postgres.url() })
  }
  if (hasValkey()) valkey = await ValkeyServer.start()
})

afterAll(async () => {
  await pool?.end()
  await postgres?.stop()
  await valkey?.stop()
  rmSync(root, { recursive: true, force: true })
})

/** A new, empty store of each kind; `undefined` where its server is not to be had. */
const kinds: Readonly<Record<string, (place: string) => Store | undefined>> = {
  memory: () => memoryStore(),
  filesystem: place => fileStore(join(root, place), { fsync: false }),
  git: place => gitStore({ dir: join(root, place), fsync: false }),
  postgres: place => pool && postgresStore({ pool, schema: place }),
  valkey: place => valkey && valkeyStore({ url: valkey.url, prefix: place }),
}

describe('one history, any store: a copy is equal, from', () => {
  for (const [from, openSource] of Object.entries(kinds)) {
    for (const [to, openTarget] of Object.entries(kinds)) {
      test(`${from} to ${to}`, async ({ skip }) => {
        await fc.assert(
          fc.asyncProperty(deeds, async list => {
            const source = openSource(`place${++places}`) ?? skip()
            const target = openTarget(`place${++places}`) ?? skip()
            const author = new Author(source)
            for (const deed of list) await author.do(deed)
            expect((await copyStore(source, target, { source: 'quiet' })).failed).toEqual([])
            expect(await contentOf(target)).toEqual(await contentOf(source))
            await source.close()
            await target.close()
          }),
          { numRuns: 4 },
        )
      })
    }
  }
})
