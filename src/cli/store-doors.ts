import { existsSync, statSync } from 'node:fs'
import { realpath } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Store } from '../actors/contracts/store.ts'
import type { ObjectFormat } from '../actors/contracts/unit.ts'
import { messageOf, XMachinesError } from '../actors/errors.ts'
import { fileStore } from '../persistence/filesystem/index.ts'
import { segmentName } from '../persistence/filesystem/layout.ts'
import type { PostgresDurability } from '../persistence/postgres/index.ts'
import type { ValkeyDurability } from '../persistence/valkey/index.ts'

/** How a door opens its store. */
export interface DoorSettings {
  readonly objectFormat: ObjectFormat | undefined
  readonly readOnly: boolean
  readonly warn: (warning: { readonly code: string; readonly message: string }) => void
}

/** Makes the store of one place. Nothing happens to the place before the first operation. */
export type Door = (settings: DoorSettings) => Store | Promise<Store>

/** Where a command keeps notes of its own on a store that is a directory. */
export async function notesDirectory(location: string): Promise<string | undefined> {
  const path = pathOf(location)
  if (path === undefined) return undefined
  const { findGitdir } = await import('../persistence/git/repository.ts')
  const gitdir = isFileStore(path) ? undefined : findGitdir(path)
  if (gitdir !== undefined) return join(gitdir, 'xmachines')
  return schemeOf(location) === 'git' ? join(path, 'xmachines') : resolve(path)
}

/** The same for every name of a place: where a path leads, or a URL as it is. */
export async function placeOf(location: string): Promise<string> {
  const path = pathOf(location)
  if (path === undefined) return location
  const { findGitdir } = await import('../persistence/git/repository.ts')
  const place = (isFileStore(path) ? undefined : findGitdir(path)) ?? resolve(path)
  return realpath(place).catch(() => place)
}

/** Whether a directory is a store of files. */
export function isFileStore(path: string): boolean {
  return existsSync(join(path, segmentName(1)))
}

/** What a location can be: for the help of commands. */
export const storeArgument = 'a directory, a Git repository, or a URL: file:, git:, postgres:, redis:, valkey:, memory:'

/** The door of a location: a path, or a URL whose scheme says what it is. Drivers are loaded when theirs is opened. */
export function doorOf(location: string): Door {
  const scheme = schemeOf(location)
  if (scheme === undefined) return pathDoor(pathOf(location)!)
  const door = doors[scheme]
  if (door !== undefined) return door(location)
  throw unsupported(`${scheme}:`, scheme)
}

/** Whether a location is no path: a URL, or a repository as Git names one on another machine. */
export function isElsewhere(location: string): boolean {
  return schemeOf(location) !== undefined || isOverSsh(location)
}

/** The path of a repository that a command writes to, there or not. @throws STORE_UNSUPPORTED for what is no path */
export function repositoryPath(location: string): string {
  const path = pathOf(location)
  if (path !== undefined) return path
  const scheme = schemeOf(location)!
  throw new XMachinesError(
    'STORE_UNSUPPORTED',
    `No repository is written to at ${scheme}: locations. Give a path, file: or git:, and push from there.`,
    { details: { scheme } },
  )
}

// The location itself is not told: it may hold a password.
function unsupported(what: string, scheme: string): XMachinesError {
  return new XMachinesError(
    'STORE_UNSUPPORTED',
    `There is no store for ${what} locations. Give ${storeArgument}. Clone a repository that is elsewhere.`,
    { details: { scheme } },
  )
}

function isOverSsh(location: string): boolean {
  return /^[^/\\]+@[^/\\]+:/.test(location) && !existsSync(location)
}

function schemeOf(location: string): string | undefined {
  return /^([a-z][a-z0-9+.-]+):/i.exec(location)?.[1]?.toLowerCase()
}

/**
 * The path of a store that is kept in files.
 *
 * @throws STORE_UNSUPPORTED for a repository on another machine, as Git names it; USAGE_INVALID for no path at all, mostly a
 *   variable of the shell that is not set, and for a URL of none
 */
function pathOf(location: string): string | undefined {
  const path = pathIn(location)
  if (path === '')
    throw new XMachinesError('USAGE_INVALID', `The location of the store is empty. Give ${storeArgument}.`)
  return path
}

function pathIn(location: string): string | undefined {
  const scheme = schemeOf(location)
  if (scheme === undefined) {
    if (isOverSsh(location)) throw unsupported('ssh', 'ssh')
    return location
  }
  if (scheme === 'git') {
    if (/^git:\/\/[^/]/i.test(location)) throw unsupported('git://HOST', 'git')
    return location.replace(/^git:(\/\/)?/i, '')
  }
  if (scheme !== 'file') return undefined
  return /^file:\/\//i.test(location) ? pathOfUrl(location) : location.slice('file:'.length)
}

function pathOfUrl(location: string): string {
  try {
    const path = fileURLToPath(location)
    if (!path.includes('\0')) return path
  } catch {
    // Another host, or an escape that stands for nothing.
  }
  throw new XMachinesError(
    'USAGE_INVALID',
    `The location ${location} is no URL of a path here, like file:///var/orders. Percent-encode what its path contains, or give the path itself.`,
  )
}

const doors: Readonly<Record<string, (location: string) => Door>> = {
  file: location => pathDoor(pathOf(location)!),
  git: location => gitDoor(pathOf(location)!),
  memory: () => memoryDoor,
  postgres: postgresDoor,
  postgresql: postgresDoor,
  redis: valkeyDoor,
  rediss: valkeyDoor,
  valkey: valkeyDoor,
  valkeys: valkeyDoor,
}

/** A path is a repository if one is there and no store of files, which may itself be kept in one. */
function pathDoor(path: string): Door {
  return async settings => {
    if (statSync(path, { throwIfNoEntry: false })?.isFile()) {
      const next =
        'Give a directory. `git clone --mirror` makes one of a bundle, `xmachines import` a store of an export.'
      throw new XMachinesError('STORE_FOREIGN', `${path} is a file, and no store. ${next}`, { details: { path } })
    }
    if (!isFileStore(path)) {
      const { findGitdir } = await import('../persistence/git/repository.ts')
      if (findGitdir(path) !== undefined) return gitDoor(path)(settings)
    }
    const { objectFormat = 'sha1', readOnly, warn } = settings
    return fileStore(path, { objectFormat, readOnly, onWarning: warn })
  }
}

/** To read, the branches of any clone; to write, the repository as a store. A new one is bare. */
function gitDoor(path: string): Door {
  return async ({ objectFormat, readOnly, warn }) => {
    const { gitStore, openClone } = await import('../persistence/git/index.ts')
    const { findGitdir } = await import('../persistence/git/repository.ts')
    const gitdir = findGitdir(path) ?? path
    return readOnly
      ? openClone({ gitdir })
      : gitStore({ gitdir, ...(objectFormat && { objectFormat }), onWarning: warn })
  }
}

const memoryDoor: Door = async ({ objectFormat = 'sha1' }) => {
  const { memoryStore } = await import('../persistence/memory.ts')
  return memoryStore({ objectFormat })
}

/** `?schema=NAME` names the schema, `?durability=relaxed` says that the server may be set so. */
function postgresDoor(location: string): Door {
  return async ({ objectFormat = 'sha1', readOnly }) => {
    const { postgresStore } = await import('../persistence/postgres/index.ts')
    const { url, schema, durability = unasked(readOnly, 'relaxed') } = split(location, 'schema', 'durability')
    const options = { objectFormat, create: !readOnly, schema, durability: durability as PostgresDurability }
    return asTold(() => postgresStore({ connectionString: url, ...options }))
  }
}

/** `?prefix=NAME` names the store among others of the server, `?durability=everysec` (or `memory`) says how that may be set. */
function valkeyDoor(location: string): Door {
  return async ({ objectFormat = 'sha1', readOnly, warn }) => {
    const { valkeyStore } = await import('../persistence/valkey/index.ts')
    const { url, prefix, durability = unasked(readOnly, 'memory') } = split(location, 'prefix', 'durability')
    const options = { objectFormat, create: !readOnly, prefix, durability: durability as ValkeyDurability }
    return asTold(() => valkeyStore({ url, ...options, onWarning: warn }))
  }
}

/** Whoever only reads is acknowledged nothing, and asks for no promise of it. */
function unasked<T>(readOnly: boolean, none: T): T | undefined {
  return readOnly ? none : undefined
}

/** A store whose options come from a location: what makes no sense there is wrong use. */
function asTold(make: () => Store): Store {
  try {
    return make()
  } catch (thrown) {
    throw new XMachinesError('USAGE_INVALID', `The location of the store is wrong. ${messageOf(thrown)}`, {
      cause: thrown,
    })
  }
}

/** A URL without some of its parameters, and those that it has of them. */
function split<T extends string>(
  location: string,
  ...parameters: T[]
): { readonly url: string } & { readonly [name in T]?: string } {
  const url = URL.canParse(location) ? new URL(location) : undefined
  // An `@` behind the host ends a password that was taken for it.
  if (url === undefined || `${url.pathname}${url.hash}`.includes('@')) {
    throw new XMachinesError(
      'USAGE_INVALID',
      'The location of the store is no URL like SCHEME://USER:PASSWORD@HOST/. Percent-encode what its password contains.',
    )
  }
  const found: { [name in string]?: string } = {}
  for (const parameter of parameters) {
    const given = url.searchParams.get(parameter)
    if (given !== null) found[parameter] = given
    url.searchParams.delete(parameter)
  }
  return { ...(found as { [name in T]?: string }), url: url.href }
}
