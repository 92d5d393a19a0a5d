import type { Creation, Unit } from '../../actors/contracts/unit.ts'
import { XMachinesError } from '../../actors/errors.ts'
import { creationFields, unfitContent } from '../../actors/history/recorded-fields.ts'
import { isWritten, runId, unitId } from '../../actors/identity/index.ts'
import { unfit } from '../../actors/json/fields.ts'
import { copyJson } from '../../actors/json/json-copy.ts'
import { deepFreeze } from '../deep-freeze.ts'
import { filesOf, parseFile, readCommit, readFile, readObject } from './branch.ts'
import { parseUnitTree } from './commit.ts'
import { badCommit } from './failures.ts'
import { digitsOf } from './layout.ts'
import { oldestFault, type Suspect } from './oldest-fault.ts'
import type { Repository } from './repository.ts'

/** A commit of a history, as the walk back from its head finds it. */
export interface Link {
  readonly oid: string
  /** What the commit says. */
  readonly text: string
  readonly tree: string
  /** The commit before. Of a run's own commit: the machine's, of a fork's the unit's. */
  readonly parent: string
  readonly seq: number
  /** The run that the commit was made for. */
  readonly run: string
}

/** What a unit's commit holds. */
export type CommittedUnit = Pick<Unit, 'run' | 'seq' | 'id' | 'at' | 'events' | 'origin'> & {
  /** The machine's commit after the unit. */
  readonly machine: string
  /** Of the first unit after a creation: the creation's time. */
  readonly created?: number
}

/** How a run began, as far as its id says. */
export type Beginning = Omit<Creation, 'time'>

/** Reads how a run began, from the commit that is its id. @throws COMMIT_DAMAGED, STORE_FOREIGN for a commit of something else */
export function readCreation(repository: Repository, run: string): Beginning {
  const file = filesOf(repository, run, run, readCommit(repository, run, run)).get('run.json')
  if (file === undefined) throw blame(run, run)
  const creation = readJson<Creation>(repository, run, run, file).value
  checkWritten(run, run, unfit(creation, creationFields))
  const id = identified(() => runId(repository.objectFormat, { ...creation, time: 'arrival' }))
  if (id !== run) throw blame(run, run)
  return creation
}

/**
 * The commits of a run from its head back to the one with seq `from`, the last one first. A fork goes on with the units
 * that it shares.
 *
 * @throws COMMIT_DAMAGED for one that is missing or does not follow the one before: the oldest one; HISTORY_SHALLOW
 */
export function walkBack(repository: Repository, run: string, head: string, from: number): Link[] {
  return blamingOldest(repository, run, head, () => walk(repository, run, head, from))
}

/** Does what meets bad commits newest first. @throws COMMIT_DAMAGED with the oldest bad one of the run */
export function blamingOldest<T>(repository: Repository, run: string, head: string, work: () => T): T {
  try {
    return work()
  } catch (met) {
    if (!XMachinesError.is(met, 'COMMIT_DAMAGED')) throw met
    throw oldestFault(
      repository,
      { run, head, met },
      {
        check: (suspect, before) => checkLink(repository, suspect, before),
        beyond(owner) {
          const { fork } = readCreation(repository, owner)
          return fork && { owner: ownerOf(repository, fork.run, fork.at).owner, seq: fork.at }
        },
      },
    )
  }
}

/** Checks one commit of a history with all that it stands on, and that it follows the one before. @throws COMMIT_DAMAGED */
function checkLink(repository: Repository, { oid, owner }: Suspect, before: Suspect | undefined): void {
  const { text, tree, seq, parents } = readCommit(repository, owner, oid)
  if (parents.length !== 1 && !repository.shallow.has(oid)) throw notOneParent(owner, oid, parents.length, seq)
  if (before !== undefined) {
    const found = readCommit(repository, before.owner, before.oid).seq
    if (found !== (oid === owner ? seq : seq - 1)) throw notFollowing(owner, oid, seq, before.oid, found)
  }
  if (oid === owner) readCreation(repository, owner)
  else readUnit(repository, { oid, text, tree, parent: parents[0] ?? '', seq, run: owner })
}

function notOneParent(owner: string, oid: string, count: number, seq: number): XMachinesError {
  return badCommit(owner, oid, `it has ${count} parents, not one`, { seq })
}

/** A run's own commit has the seq of what it stands for: a fork's is that of the unit it shares. */
function notFollowing(owner: string, oid: string, seq: number, before: string, found: number): XMachinesError {
  const expected = oid === owner ? seq : seq - 1
  return badCommit(owner, oid, `the commit before it is ${before} with seq ${found}, not ${expected}`, { seq })
}

function walk(repository: Repository, run: string, head: string, from: number): Link[] {
  const links: Link[] = []
  let owner = run
  let creation = creationOf(repository, run)
  let after: Link | undefined
  for (let oid = head; ; ) {
    const commit = readCommit(repository, owner, oid)
    const { seq } = commit
    const [parent, ...others] = commit.parents
    if (after !== undefined && seq !== (after.oid === after.run ? after.seq : after.seq - 1))
      throw notFollowing(after.run, after.oid, after.seq, oid, seq)
    if (parent === undefined || others.length > 0) {
      if (parent === undefined && repository.shallow.has(oid)) throw shallow(repository, owner, seq)
      throw notOneParent(owner, oid, commit.parents.length, seq)
    }
    const fork = oid === owner ? creation?.fork : undefined
    const link = { oid, text: commit.text, tree: commit.tree, parent, seq, run: owner }
    if (fork === undefined || fork.at >= from) links.push(link)
    if (fork === undefined && (oid === owner || seq <= from)) return links
    if (repository.shallow.has(oid)) throw shallow(repository, owner, seq)
    after = link
    if (fork !== undefined) {
      if (fork.at < from) return links
      ;({ owner, creation } = ownerOf(repository, fork.run, fork.at))
    }
    oid = parent
  }
}

/** The commit of a unit. `undefined`: the history does not go that far. @throws COMMIT_DAMAGED, HISTORY_SHALLOW */
export function commitAt(repository: Repository, run: string, head: string, seq: number): string | undefined {
  const link = walkBack(repository, run, head, seq).at(-1)!
  return link.seq === seq ? link.oid : undefined
}

/** How a run began; of a shallow clone it may not be known. */
function creationOf(repository: Repository, run: string): Beginning | undefined {
  const isCutOff = repository.shallow.size > 0 && repository.objects.read(run) === undefined
  return isCutOff ? undefined : readCreation(repository, run)
}

/** The run that a unit was appended to, which a fork may share with the one it was forked from. */
function ownerOf(repository: Repository, run: string, seq: number): { owner: string; creation: Beginning | undefined } {
  for (let owner = run; ; ) {
    const creation = creationOf(repository, owner)
    if (creation?.fork === undefined || creation.fork.at < seq) return { owner, creation }
    owner = creation.fork.run
  }
}

/** Reads the unit of a commit, whose id must be what its content gives. @throws COMMIT_DAMAGED */
export function readUnit(repository: Repository, { oid, text, tree, parent, seq, run }: Link): CommittedUnit {
  const { objectFormat } = repository
  const files = parseUnitTree(readObject(repository, run, oid, tree, 'tree'), digitsOf[objectFormat] / 2)
  if (files === undefined) throw blame(run, oid, seq)
  const { value: events, text: eventsText } = readJson<Unit['events']>(repository, run, oid, files.events)
  const { value: unit, text: unitText } = readJson<Omit<CommittedUnit, 'events'>>(repository, run, oid, files.unit)
  const { at, machine, created, origin } = unit
  checkWritten(run, oid, unfitContent({ seq, at, events, origin, machine, created }))
  const content = { parent, machine, unit: { seq, at, events, origin }, created }
  const texts = { events: eventsText, unit: unitText, tree, commit: text }
  const id = identified(() => (isWritten(content, texts) ? oid : unitId(objectFormat, content)))
  if (unit.seq !== seq || id !== oid) throw blame(run, oid, seq)
  return { run, seq, id: oid, at, events, origin, machine, ...(created !== undefined && { created }) }
}

/** Reads the time of a creation from the commit that follows it. */
export function createdIn(repository: Repository, link: Link): number | undefined {
  const commit = readCommit(repository, link.run, link.oid)
  const { created } = readFile(repository, link.run, link.oid, commit, 'unit.json') as { readonly created?: number }
  return created
}

/** Names that would change what an object is, if they became keys. */
const dangerous = /"(?:__proto__|constructor|prototype)":/

function readJson<T>(
  repository: Repository,
  run: string,
  oid: string,
  blob: string,
): { readonly value: T; readonly text: string } {
  const bytes = readObject(repository, run, oid, blob, 'blob')
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString()
  const value = parseFile(repository, run, oid, blob, text)
  if (dangerous.test(text)) copyJson(value, { name: `Commit ${oid}`, code: 'COMMIT_DAMAGED' })
  if (typeof value !== 'object' || value === null) throw blame(run, oid)
  try {
    return { value: deepFreeze(value) as T, text }
  } catch {
    throw blame(run, oid) // It goes deeper than the stack.
  }
}

/** Whoever may push may write a commit by hand, whose id is right whatever it holds. @throws COMMIT_DAMAGED */
function checkWritten(run: string, oid: string, wrong: string | undefined): void {
  if (wrong !== undefined) throw badCommit(run, oid, `its ${wrong} is not what this package writes`)
}

/** The id of content that may be anything. */
function identified(id: () => string): string | undefined {
  try {
    return id()
  } catch {
    return undefined
  }
}

/** A commit whose objects are all what their ids say, and that is none of ours all the same. */
function blame(run: string, oid: string, seq?: number): XMachinesError {
  return badCommit(run, oid, 'its content is not what this package writes', seq === undefined ? {} : { seq })
}

function shallow({ gitdir }: Repository, run: string, from: number): XMachinesError {
  return new XMachinesError(
    'HISTORY_SHALLOW',
    `The clone ${gitdir} is shallow: it has run ${run} from unit ${from} on only. Run \`git fetch --unshallow\` there, or read from ${from}.`,
    { details: { run, from, path: gitdir } },
  )
}
