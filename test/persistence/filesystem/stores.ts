import { copyFileSync, mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Store } from '../../../src/actors/contracts/store.ts'
import { systemFiles } from '../../../src/persistence/filesystem/files.ts'
import type { StoreWarning } from '../../../src/persistence/filesystem/layout.ts'
import type { FileStoreSettings } from '../../../src/persistence/filesystem/settings.ts'
import { FileStore } from '../../../src/persistence/filesystem/store.ts'
import { collect, shown } from '../../../src/testing/store-conformance/test-run.ts'

/** A store with its settings in the test's hand, and what it warned of. */
export function openStore(
  dir: string,
  settings: Partial<FileStoreSettings> = {},
): { readonly store: FileStore; readonly warnings: StoreWarning[] } {
  const warnings: StoreWarning[] = []
  const store = new FileStore(dir, {
    objectFormat: 'sha1',
    segmentBytes: 64 << 20,
    readOnly: false,
    fsync: false,
    onWarning: warning => warnings.push(warning),
    files: systemFiles,
    checkpointBytes: 1 << 20,
    ...settings,
  })
  return { store, warnings }
}

/** All that a store shows: heads, histories with their ids, and who is due. */
export async function contentOf(store: Store): Promise<unknown> {
  const heads = await collect(store.list())
  const histories: unknown[] = []
  for (const head of heads) histories.push((await collect(store.read(head.run))).map(shown))
  const pinned = await Promise.all(heads.map(head => head.key && store.find(head.namespace, head.key)))
  return { heads, histories, pinned, due: await store.due({ before: 1e15, limit: 1e6 }) }
}

/** Copies the files of a store, but for its locks. */
export function copyStore(from: string, to: string): void {
  mkdirSync(to, { recursive: true })
  for (const name of readdirSync(from)) {
    if (!name.startsWith('writer') && !name.startsWith('.')) copyFileSync(join(from, name), join(to, name))
  }
}
