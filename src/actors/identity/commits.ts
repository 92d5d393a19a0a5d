import type { MachineRecord } from '../contracts/store.ts'
import type { Creation, NewUnit, ObjectFormat } from '../contracts/unit.ts'
import { prettyCanonicalJson } from './canonical-json.ts'
import { commitSubject, joinForSubject } from './commit-subject.ts'
import {
  commitText,
  type GitContent,
  type GitObject,
  type GitObjectType,
  gitObject,
  gitObjectId,
  passingObject,
} from './git-objects.ts'

/** A commit with everything it stands on, what it refers to first, itself last. */
export interface CommitObjects {
  readonly oid: string
  readonly objects: readonly GitObject[]
}

/** What the identity of a machine version is made of. */
export type MachineContent = Pick<MachineRecord, 'id' | 'version' | 'definition'>

/** What the identity of a unit is made of. */
export interface UnitContent {
  /** The commit before: the unit's before, or the run's (a fork's own) for the first. */
  readonly parent: string
  /** The machine's commit; of a migration, the one that the run goes over to. */
  readonly machine: string
  readonly unit: Pick<NewUnit, 'seq' | 'at' | 'events' | 'origin'>
  /** Only the first unit after a creation: the creation's time, since the run's commit has none. */
  readonly created?: number | undefined
}

/** The id of a machine version. */
export function machineId(format: ObjectFormat, machine: MachineContent): string {
  return putMachine(naming[format], machine)
}

/** The id of a run, for ever. */
export function runId(format: ObjectFormat, creation: Creation): string {
  return putRun(naming[format], creation)
}

/** The id of a unit. */
export function unitId(format: ObjectFormat, content: UnitContent): string {
  return putUnit(naming[format], content)
}

/** What is read of a unit's objects. The tree holds the two files and nothing else. */
export interface UnitTexts {
  readonly events: string
  readonly unit: string
  readonly tree: string
  readonly commit: string
}

/**
 * Whether a unit's objects are written as its content gives them. Where their ids are checked, the unit's is then right
 * without being made again. `false` says nothing: `unitId` has the last word.
 */
export function isWritten(content: UnitContent, { events, unit, tree, commit }: UnitTexts): boolean {
  return (
    eventsText(content) === events &&
    unitText(content) === unit &&
    unitCommitText(content, tree) === commit &&
    // Bytes that are no UTF-8 were read as this.
    !(events.includes('\ufffd') || unit.includes('\ufffd') || commit.includes('\ufffd'))
  )
}

/** The objects of a machine version: a root commit that holds `machine.json`. */
export function machineCommit(format: ObjectFormat, machine: MachineContent): CommitObjects {
  return collect(format, put => putMachine(put, machine))
}

/** The objects of a run's beginning: a commit on its machine's (a fork: on a unit's) that holds `run.json`. */
export function runCommit(format: ObjectFormat, creation: Creation): CommitObjects {
  return collect(format, put => putRun(put, creation))
}

/** The objects of a unit: a commit on the one before that holds `events.json` and `unit.json`. */
export function unitCommit(format: ObjectFormat, content: UnitContent): CommitObjects {
  return collect(format, put => putUnit(put, content))
}

/**
 * Makes the objects of a unit one after the other and returns its id. `take` has the bytes of each until it returns, and
 * copies what is to stay: who writes very many spares an allocation for each.
 */
export function writeUnit(format: ObjectFormat, content: UnitContent, take: (object: GitObject) => void): string {
  return putUnit((type, content) => {
    const object = passingObject(format, type, content)
    take(object)
    return object.oid
  }, content)
}

/** Takes an object and says its name. What a commit holds is written down once, whether its objects are wanted or only its id. */
type Put = (type: GitObjectType, content: GitContent) => string

/** Names objects without making them. */
const naming: Readonly<Record<ObjectFormat, Put>> = {
  sha1: (type, content) => gitObjectId('sha1', type, content),
  sha256: (type, content) => gitObjectId('sha256', type, content),
}

function collect(format: ObjectFormat, write: (put: Put) => string): CommitObjects {
  const objects: GitObject[] = []
  const oid = write((type, content) => {
    const object = gitObject(format, type, content)
    objects.push(object)
    return object.oid
  })
  return { oid, objects }
}

function putMachine(put: Put, { id, version, definition }: MachineContent): string {
  const file = put('blob', prettyCanonicalJson({ definition, id, version }))
  const tree = put('tree', [{ mode: '100644', name: 'machine.json', oid: file }])
  return putCommit(put, tree, [], 0, `machine ${id} ${version}`)
}

function putRun(put: Put, creation: Creation): string {
  const { fork, input, key, machine, namespace, nonce, snapshot } = creation
  const file = put('blob', prettyCanonicalJson({ fork, input, key, machine, namespace, nonce, snapshot }))
  const tree = put('tree', [{ mode: '100644', name: 'run.json', oid: file }])
  const name = key === undefined ? namespace : `${namespace}/${key}`
  if (fork === undefined) return putCommit(put, tree, [machine], 0, `run ${name}`)
  return putCommit(put, tree, [fork.parent], 0, `fork at ${fork.at}: ${name}`)
}

function putUnit(put: Put, content: UnitContent): string {
  const eventsFile = put('blob', eventsText(content))
  const unitFile = put('blob', unitText(content))
  const tree = put('tree', [
    { mode: '100644', name: 'events.json', oid: eventsFile },
    { mode: '100644', name: 'unit.json', oid: unitFile },
  ])
  return put('commit', unitCommitText(content, tree))
}

function eventsText({ unit }: UnitContent): string {
  return prettyCanonicalJson(unit.events)
}

function unitText({ machine, unit, created }: UnitContent): string {
  const { at, origin, seq } = unit
  return prettyCanonicalJson({ at, created, machine, origin, seq })
}

function unitCommitText({ parent, unit }: UnitContent, tree: string): string {
  const { at, events, origin, seq } = unit
  const what = events.length === 0 ? [origin.kind] : events.map(event => event.type)
  return ownCommitText(tree, [parent], at, joinForSubject(`${seq}`, what))
}

/** The last second that JavaScript can name; Git wants whole seconds that are not negative. */
const lastSecond = 8_640_000_000_000

function putCommit(put: Put, tree: string, parents: readonly string[], at: number, subject: string): string {
  return put('commit', ownCommitText(tree, parents, at, subject))
}

function ownCommitText(tree: string, parents: readonly string[], at: number, subject: string): string {
  const seconds = Math.min(Math.max(0, Math.floor(at / 1000)), lastSecond)
  const who = `xmachines <runs@xmachines.invalid> ${seconds} +0000`
  const message = `${commitSubject(subject)}\n`
  return commitText({ tree, parents, author: who, committer: who, message })
}
