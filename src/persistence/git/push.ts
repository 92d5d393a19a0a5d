import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ErrorDetails } from '../../actors/errors.ts'
import { XMachinesError } from '../../actors/errors.ts'
import { writerNote } from '../filesystem/layout.ts'
import { isLocked } from '../filesystem/lock.ts'
import { readCommit } from './branch.ts'
import { parseCommit } from './commit.ts'
import { isId, journalFolder, ownRef, runPrefix, snapshotsRef } from './layout.ts'
import { readMachine } from './machine-commit.ts'
import type { FoundObject } from './object-types.ts'
import { openRepository, type Repository } from './repository.ts'
import { RepositoryStore } from './repository-store.ts'
import { readCreation, walkBack } from './run-history.ts'

/** One ref of a push, as a `pre-receive` hook is told of it. Zeros: it is not there. */
export interface PushedRef {
  readonly old: string
  readonly fresh: string
  readonly name: string
}

/** Reads what a hook is told on its stdin. */
export function parsePush(text: string): readonly PushedRef[] {
  return text
    .split('\n')
    .filter(line => line !== '')
    .map(line => {
      const [old = '', fresh = '', ...name] = line.split(' ')
      return { old, fresh, name: name.join(' ') }
    })
}

/**
 * The repository as a push would leave it, with what the push has brought: while a hook is asked, that lies in folders
 * that only the hook's environment names.
 */
export function openPushed(
  gitdir: string,
  pushed: readonly PushedRef[],
  environment: Readonly<Record<string, string | undefined>>,
): RepositoryStore {
  const { GIT_OBJECT_DIRECTORY: brought = '', GIT_ALTERNATE_OBJECT_DIRECTORIES: others = '' } = environment
  const quarantine = [brought, ...others.split(process.platform === 'win32' ? ';' : ':')]
    .filter(dir => dir !== '')
    .map(dir => (dir.startsWith('"') ? (JSON.parse(dir) as string) : dir))
  const refs = new Map(pushed.filter(({ fresh }) => !isZero(fresh)).map(({ name, fresh }) => [name, fresh]))
  return new RepositoryStore(gitdir, () => openRepository(gitdir, { quarantine }), refs)
}

/**
 * Checks that no store has the repository open that a push brings units into: its journal decides what comes next in a
 * run, so a push would be a second writer.
 *
 * @throws STORE_LOCKED
 */
export async function checkUnopened(gitdir: string, pushed: readonly PushedRef[]): Promise<void> {
  const ref = pushed.find(({ name }) => name.startsWith(runPrefix))
  const journal = join(gitdir, journalFolder)
  if (ref === undefined || !existsSync(journal) || !(await isLocked(journal))) return
  const owner = noteOf(journal)
  const who = owner.pid === undefined ? 'a process' : `process ${owner.pid} (since ${owner.since})`
  throw new XMachinesError(
    'STORE_LOCKED',
    `${who} has the runs of ${gitdir} open, so ${ref.name} cannot be pushed now. Send it the events instead, or push when it is closed.`,
    { details: { path: gitdir, ref: ref.name, ...owner } },
  )
}

/** What a writer says of itself, to people. */
function noteOf(journal: string): { readonly pid?: unknown; readonly since?: unknown } {
  try {
    return JSON.parse(readFileSync(join(journal, writerNote), 'utf8'))
  } catch {
    return {}
  }
}

/**
 * Checks that a push only adds: to runs, to machines and to what was recorded. Other branches are not our matter.
 *
 * @returns the runs that it adds to, or creates
 * @throws PUSH_REFUSED; COMMIT_DAMAGED
 */
export function checkPush(repository: Repository, pushed: readonly PushedRef[]): readonly string[] {
  const runs: string[] = []
  for (const ref of pushed) {
    if (ref.name === snapshotsRef) throw refused(ref, 'is made by who writes to a repository, not by a push')
    const own = ownRef(ref.name)
    if (own === undefined || !own.local) continue
    if (isZero(ref.fresh)) throw refused(ref, 'would be removed')
    if (own.kind === 'provenance') checkGrown(repository, ref)
    else if (!isId(own.id, repository.objectFormat)) throw refused(ref, `names no ${own.kind}`)
    else if (own.kind === 'machine') checkMachine(repository, ref, own.id)
    else {
      checkRun(repository, ref, own.id)
      runs.push(own.id)
    }
  }
  checkKeys(repository, pushed)
  return runs
}

/** A key has one run. Only who brings a new run with a key lets all that are there be looked at. */
function checkKeys(repository: Repository, pushed: readonly PushedRef[]): void {
  const fresh = pushed.filter(({ name, old }) => name.startsWith(runPrefix) && isZero(old))
  const pins = new Map<string, PushedRef>()
  const pin = (ref: PushedRef): void => {
    const name = pinOf(repository, ref.name)
    const other = name === undefined ? undefined : pins.get(name)
    if (other !== undefined) throw pinned(repository, ref, other.name)
    if (name !== undefined) pins.set(name, ref)
  }
  for (const ref of fresh) pin(ref)
  if (pins.size === 0) return
  for (const name of repository.refs.all().keys()) {
    const ref = name.startsWith(runPrefix) ? pins.get(pinOf(repository, name) ?? '') : undefined
    if (ref !== undefined && ref.name !== name) throw pinned(repository, ref, name)
  }
}

/** The namespace and key that the run of a branch has, as one text. */
function pinOf(repository: Repository, branch: string): string | undefined {
  const { namespace, key } = readCreation(repository, branch.slice(runPrefix.length))
  return key === undefined ? undefined : JSON.stringify([namespace, key])
}

function pinned(repository: Repository, { name }: PushedRef, other: string): XMachinesError {
  const run = name.slice(runPrefix.length)
  const { namespace, key } = readCreation(repository, run)
  return new XMachinesError(
    'PUSH_REFUSED',
    `${name} would be a second run of key '${key}' in '${namespace}', which ${other} has. Push units of that run, or make yours with another key.`,
    { details: { ref: name, run, pinned: other.slice(runPrefix.length), namespace, key: key ?? null } },
  )
}

function checkMachine(repository: Repository, ref: PushedRef, id: string): void {
  if (ref.fresh !== id) throw refused(ref, `would be ${ref.fresh}, not the machine that it names`)
  if (readMachine(repository, id) === undefined) throw refused(ref, 'is no machine of this package')
}

function checkRun(repository: Repository, ref: PushedRef, run: string): void {
  const from = isZero(ref.old) ? 0 : readCommit(repository, run, ref.old).seq
  const links = walkBack(repository, run, ref.fresh, from)
  if (!isZero(ref.old) && !links.some(({ oid }) => oid === ref.old)) {
    throw refused(ref, `would lose ${ref.old}, unit ${from} of the run`, { run, seq: from })
  }
  if (!links.some(link => link.run === run)) throw refused(ref, 'is another run than its name says', { run })
}

/** What was recorded is a chain of commits that only grows. */
function checkGrown({ objects }: Repository, ref: PushedRef): void {
  if (isZero(ref.old)) return
  let oid: string | undefined = ref.fresh
  while (oid !== ref.old) {
    const found: FoundObject | undefined = oid === undefined ? undefined : objects.read(oid)
    oid = found && parseCommit(found.bytes)?.parents[0]
    if (oid === undefined) throw refused(ref, `would lose ${ref.old}`)
  }
}

function isZero(oid: string): boolean {
  return /^0+$/.test(oid)
}

function refused({ name }: PushedRef, why: string, details: ErrorDetails = {}): XMachinesError {
  return new XMachinesError('PUSH_REFUSED', `${name} ${why}. Fetch, and push only commits that follow.`, {
    details: { ref: name, ...details },
  })
}
