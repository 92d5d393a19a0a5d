import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Where files are kept in memory, if there is such a place: many small files are made much faster. */
const inMemory = '/dev/shm'

/** A new directory, and how to remove it. */
export function temporaryDirectory(): { readonly dir: string; remove(): void } {
  const dir = mkdtempSync(join(existsSync(inMemory) ? inMemory : tmpdir(), 'xmachines-'))
  return { dir, remove: () => rmSync(dir, { recursive: true, force: true }) }
}
