import { existsSync, readFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { XMachinesError } from '../../actors/errors.ts'
import { writerNote } from '../filesystem/layout.ts'
import { isLocked } from '../filesystem/lock.ts'
import { readCommit } from './branch.ts'
import {
  isBefore,
  isId,
  isInTheWay,
  journalFolder,
  notesRef,
  ownRef,
  provenanceRef,
  runPrefix,
  snapshotsRef,
} from './layout.ts'
import { listedPaths } from './listed-paths.ts'
import { readMachine } from './machine-commit.ts'
import { PushedProvenance } from './pushed-provenance.ts'
import { isZero, type PushedRef, refused } from './pushed-ref.ts'
import { openRepository, type Repository } from './repository.ts'
import { RepositoryStore } from './repository-store.ts'
import { readCreation, walkBack } from './run-history.ts'

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
  const quarantine = [brought, ...listedPaths(others, delimiter)].filter(dir => dir !== '')
  const refs = new Map(pushed.filter(({ fresh }) => !isZero(fresh)).map(({ name, fresh }) => [name, fresh]))
  return new RepositoryStore(gitdir, () => openRepository(gitdir, { quarantine }), refs)
}

/**
 * Checks that no store has the repository open that a push brings units into, or a record of them: its journal decides what
 * comes next in a run, so a push would be a second writer.
 *
 * @throws STORE_LOCKED
 */
export async function checkUnopened(gitdir: string, pushed: readonly PushedRef[]): Promise<void> {
  const ref = pushed.find(({ name }) => name.startsWith(runPrefix) || name === provenanceRef)
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

const replacements = 'refs/replace/'

/** Whether a ref is no matter of ours, but would be the file of one that is, where a file system ignores case. */
function isAlike(name: string): boolean {
  const folded = name
    .normalize('NFKC')
    .replace(/\p{Default_Ignorable_Code_Point}/gu, '')
    .toLowerCase()
  return !isOurMatter(name) && isOurMatter(folded)
}

function isOurMatter(name: string): boolean {
  const isSideRef = name === snapshotsRef || name === notesRef || name.startsWith(replacements)
  return isSideRef || ownRef(name) !== undefined || isBefore(name) || isInTheWay(name)
}

/** What a push adds to. */
export interface CheckedPush {
  /** The runs that it brings units or a record of: all that has to be decided again. */
  readonly runs: readonly string[]
  /** Units of a run of which it is recorded, after the push, how they were decided. */
  recorded(run: string): ReadonlySet<number>
  /** Checks the same of what other pushes have set since. @throws PUSH_REFUSED, COMMIT_DAMAGED */
  checkAgain(): void
}

/**
 * Checks that a push only adds: to runs, to machines and to what was recorded. Other branches are not our matter.
 *
 * @throws PUSH_REFUSED; COMMIT_DAMAGED
 */
export function checkPush(repository: Repository, pushed: readonly PushedRef[]): CheckedPush {
  const runs = new Set<string>()
  for (const ref of pushed) {
    if (ref.name === snapshotsRef || ref.name === notesRef)
      throw refused(
        ref,
        'is made by who writes to a repository, not by a push',
        {},
        'Push the branches: git push --all.',
      )
    // Git shows another object for it then, in whatever history it is.
    if (ref.name.startsWith(replacements))
      throw refused(ref, 'would have Git show another object in its place', {}, 'Keep it in your clone.')
    if (isBefore(ref.name) && !isZero(ref.fresh))
      throw refused(ref, 'would be shown where the branch of a run is asked for', {}, 'Give it another name.')
    if (isInTheWay(ref.name) && !isZero(ref.fresh))
      throw refused(ref, 'stands where branches of ours would be', {}, 'Give it another name.')
    if (isAlike(ref.name))
      throw refused(
        ref,
        'is one of ours where a file system takes such names for the same',
        {},
        'Give it another name.',
      )
    const own = ownRef(ref.name)
    if (own === undefined) continue
    // Where there is no branch of that name, readers take what a clone remembers of another repository.
    if (!own.local) throw refused(ref, 'is what a clone remembers of another repository', {}, 'Push a branch.')
    if (isZero(ref.fresh)) throw refused(ref, 'would be removed')
    if (own.kind === 'provenance') continue
    if (!isId(own.id, repository.objectFormat)) throw refused(ref, `names no ${own.kind}`)
    if (own.kind === 'machine') checkMachine(repository, ref, own.id)
    else {
      checkRun(repository, ref, own.id)
      runs.add(own.id)
    }
  }
  const keys = new PushedKeys(repository, pushed)
  keys.check()
  const provenance = new PushedProvenance(repository, pushed)
  for (const run of provenance.check()) runs.add(run)
  return {
    runs: [...runs],
    recorded: run => provenance.recorded(run),
    checkAgain() {
      checkUnmoved(repository, pushed)
      keys.check()
    },
  }
}

/** Git would refuse a ref that has moved, and set the others: what is recorded, without the units that it is of. */
function checkUnmoved({ refs }: Repository, pushed: readonly PushedRef[]): void {
  for (const ref of pushed) {
    if (ownRef(ref.name) === undefined || (refs.get(ref.name) ?? '0'.repeat(ref.old.length)) === ref.old) continue
    // Whoever has set it to the same has set what this push would.
    if (refs.get(ref.name) !== ref.fresh) throw refused(ref, 'was set by another push meanwhile')
  }
}

/** A key has one run. Only who brings a new run with a key lets all that are there be looked at. */
class PushedKeys {
  readonly #repository: Repository
  readonly #pins = new Map<string, PushedRef>()
  readonly #looked = new Set<string>()

  /** @throws PUSH_REFUSED where two runs of the push have a key */
  constructor(repository: Repository, pushed: readonly PushedRef[]) {
    this.#repository = repository
    for (const ref of pushed) {
      const name = ref.name.startsWith(runPrefix) && isZero(ref.old) ? pinOf(repository, ref.name) : undefined
      if (name === undefined) continue
      const other = this.#pins.get(name)
      if (other !== undefined) throw pinned(repository, ref, other.name)
      this.#pins.set(name, ref)
    }
  }

  /** Looks at the runs that have come since the last call. @throws PUSH_REFUSED */
  check(): void {
    if (this.#pins.size === 0) return
    for (const name of this.#repository.refs.all().keys()) {
      if (!name.startsWith(runPrefix) || this.#looked.has(name)) continue
      const ref = this.#pins.get(pinOf(this.#repository, name) ?? '')
      if (ref !== undefined && ref.name !== name) throw pinned(this.#repository, ref, name)
      this.#looked.add(name)
    }
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
