import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Store } from '../actors/contracts/store.ts'
import type { ObjectFormat } from '../actors/contracts/unit.ts'
import { XMachinesError } from '../actors/errors.ts'
import { type FileStoreOptions, fileStore, type StoreWarning } from '../persistence/filesystem/index.ts'
import { segmentName } from '../persistence/filesystem/layout.ts'
import { gitStore, openClone } from '../persistence/git/index.ts'
import { findGitdir } from '../persistence/git/repository.ts'
import type { Terminal } from './terminal.ts'

/** How a command opens a store. */
export interface OpenStoreOptions {
  /** What for: to read; to write to one that is there; or to write, making it if need be. */
  readonly access: 'read' | 'write' | 'create'
  /** Of a store that is new; one that exists says itself. */
  readonly objectFormat?: ObjectFormat | undefined
}

/** The one place that knows which store a location means. Whoever gets it closes it. */
export async function openStore(terminal: Terminal, location: string, options: OpenStoreOptions): Promise<Store> {
  const { access, objectFormat } = options
  const dir = directoryOf(location)
  const gitdir = repositoryAt(dir)
  if (gitdir !== undefined) return openRepositoryStore(terminal, gitdir, access)
  const onWarning = ({ code, message }: StoreWarning): void => terminal.say(`${code}: ${message}`)
  if (access === 'create') return checked(dir, { onWarning }, objectFormat)
  const reader = await checked(dir, { onWarning, readOnly: true }, objectFormat)
  if (access === 'read') return reader
  await reader.close()
  return checked(dir, { onWarning }, reader.objectFormat)
}

/** The Git directory of a place that is a repository and not a store of files, which may itself be kept in one. */
function repositoryAt(dir: string): string | undefined {
  return existsSync(join(dir, segmentName(1))) ? undefined : findGitdir(dir)
}

async function openRepositoryStore(
  terminal: Terminal,
  gitdir: string,
  access: OpenStoreOptions['access'],
): Promise<Store> {
  const onWarning = ({ code, message }: { readonly code: string; readonly message: string }): void =>
    terminal.say(`${code}: ${message}`)
  const store = access === 'read' ? openClone({ gitdir }) : gitStore({ gitdir, onWarning })
  try {
    await store.find('', '')
    return store
  } catch (error) {
    await store.close()
    throw error
  }
}

/** A store that is open. Opening is lazy: whatever is wrong with the place, or with the lock, shows now. */
async function checked(
  dir: string,
  settings: FileStoreOptions,
  objectFormat: ObjectFormat | undefined,
): Promise<Store> {
  const store = fileStore(dir, { ...settings, objectFormat: objectFormat ?? 'sha1' })
  try {
    if (settings.readOnly === true) await store.find('', '')
    else await store.append([])
    return store
  } catch (thrown) {
    await store.close()
    const found = XMachinesError.is(thrown, 'OBJECT_FORMAT_MISMATCH') ? thrown.details.objectFormat : undefined
    if (objectFormat !== undefined || (found !== 'sha1' && found !== 'sha256')) throw thrown
    return checked(dir, settings, found)
  }
}

/** Does `work` with the store of a location, and closes it. */
export async function withStore<T>(
  terminal: Terminal,
  location: string,
  options: OpenStoreOptions,
  work: (store: Store) => Promise<T>,
): Promise<T> {
  const store = await openStore(terminal, location, options)
  try {
    return await work(store)
  } finally {
    await store.close()
  }
}

/** Stores that are not directories, by scheme: none of them has a driver yet. */
const doors: Readonly<Record<string, string>> = {
  postgres: 'xmachines/persistence/postgres',
  postgresql: 'xmachines/persistence/postgres',
  redis: 'xmachines/persistence/valkey',
  rediss: 'xmachines/persistence/valkey',
  valkey: 'xmachines/persistence/valkey',
  valkeys: 'xmachines/persistence/valkey',
}

function directoryOf(location: string): string {
  const scheme = /^([a-z][a-z0-9+.-]+):\/\//i.exec(location)?.[1]?.toLowerCase()
  if (scheme === undefined) return location
  if (scheme === 'file') return fileURLToPath(location)
  const door = doors[scheme]
  // The location itself is not told: it may hold a password.
  throw new XMachinesError(
    'STORE_UNSUPPORTED',
    door === undefined
      ? `There is no store for ${scheme}:// locations. Give a directory; clone a repository that is elsewhere.`
      : `Stores at ${scheme}:// are opened by ${door}, which this version does not have yet. Give a directory.`,
    { details: { scheme } },
  )
}
