import type { ErrorDetails } from '../../actors/errors.ts'
import { XMachinesError } from '../../actors/errors.ts'
import { readCommit } from './branch.ts'
import { parseCommit } from './commit.ts'
import { isId, ownRef } from './layout.ts'
import type { FoundObject } from './pack-file.ts'
import { openRepository, type Repository } from './repository.ts'
import { RepositoryStore, readMachine } from './repository-store.ts'
import { walkBack } from './run-history.ts'

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
 * Checks that a push only adds: to runs, to machines and to what was recorded. Other branches are not our matter.
 *
 * @returns the runs that it adds to, or creates
 * @throws PUSH_REFUSED; COMMIT_DAMAGED
 */
export function checkPush(repository: Repository, pushed: readonly PushedRef[]): readonly string[] {
  const runs: string[] = []
  for (const ref of pushed) {
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
  return runs
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
