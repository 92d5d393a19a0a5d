import type { RunHead } from '../../actors/contracts/store.ts'
import type { NewUnit, ObjectFormat, TimeMode, Unit } from '../../actors/contracts/unit.ts'
import { type GitObject, gitBlob, gitCommit, gitTree } from '../../actors/identity/index.ts'
import { withPosition } from '../unit-text.ts'
import { readWhole } from './branch.ts'
import { parseCommit, parseTree } from './commit.ts'
import { digitsOf } from './layout.ts'
import { badProvenance, type LineStart, readBeside, readLineStart, readUnits } from './provenance-line.ts'
import type { Repository } from './repository.ts'

/*
 * How units were recorded: what their ids are not made of. One commit a flush, on a branch of its own, whose file has
 * two lines for each run of the flush:
 *
 *   {"run":"…","from":4,"units":[{"outputs":[…],"state":"…"},…]}      units from seq 4 on
 *   {"run":"…","beside":{…}}                                          what is kept beside the run, as of then
 *
 * The last word on a unit or a run is the one that counts: a flush that a crash cut off is repeated.
 */

/** What is kept of a unit beside its identity. */
export type UnitProvenance = Pick<
  Unit,
  'outputs' | 'mail' | 'sources' | 'requestId' | 'trace' | 'attempts' | 'state' | 'epoch'
>

/** What is kept beside a run. */
export type RunProvenance = Omit<
  RunHead,
  'run' | 'namespace' | 'key' | 'machine' | 'machineId' | 'version' | 'seq' | 'at' | 'fork'
> & {
  readonly time: TimeMode
  /** The creation's time, which a run without units does not tell otherwise. */
  readonly created: number
}

/** The file in the tree of a flush. */
export const provenanceFile = 'units.ndjson'

/** How the line of a run begins. */
export function lineStart(run: string): string {
  return `{"run":"${run}",`
}

/** The line of units. They follow each other from `from` on. */
export function unitsLine(run: string, from: number, units: readonly NewUnit[]): string {
  return `${lineStart(run)}"from":${from},"units":${JSON.stringify(units.map(written))}}\n`
}

/** The line of what is kept beside a run. @param created the creation's time */
export function besideLine(head: RunHead, created: number): string {
  const { run, time, revision, status, value, due, lease, beside } = head
  const sources = Object.entries(beside.sources).map(([id, position]) => withPosition({ id, position }))
  const refusals = beside.refusals.map(withPosition)
  const owners = Object.keys(beside.owners).length === 0 ? undefined : beside.owners
  const kept = { time, created, revision, status, value, due, lease, ...beside, owners, sources, refusals }
  return `${lineStart(run)}"beside":${JSON.stringify(kept)}}\n`
}

function written(unit: NewUnit): object {
  const { outputs, mail, sources, requestId, trace, attempts, state, epoch } = unit
  return {
    outputs: outputs.length === 0 ? undefined : outputs,
    mail,
    sources: sources?.map(withPosition),
    requestId,
    trace,
    attempts,
    state,
    epoch: epoch ?? undefined,
  }
}

/** A flush, as its commit has it. */
export interface RecordedFlush {
  readonly commit: string
  /** The file; a shallow clone has only those of the last flushes. */
  readonly file: string | undefined
  readonly parent: string | undefined
  /** How many units and runs it tells of, as its commit says. */
  readonly count: number
  /** Its lines of units. @throws COMMIT_DAMAGED */
  lines(): Iterable<{ readonly run: string; readonly from: number; readonly units: readonly UnitProvenance[] }>
  /** The runs that it tells of, each as often as it has lines. @throws COMMIT_DAMAGED for a line that cannot be read */
  runs(): Iterable<string>
}

/** What is asked of a repository to read what it records. */
export type Recording = Pick<Repository, 'objects' | 'objectFormat' | 'shallow'>

/** Reads the commit of a flush. @throws COMMIT_DAMAGED: what was recorded before it would be lost without a word */
export function readFlush(repository: Recording, commit: string): RecordedFlush {
  const { objects, shallow } = repository
  const read = (oid: string, type: 'commit' | 'tree'): Uint8Array =>
    readWhole(repository, oid, type, wrong => badProvenance(oid, `it ${wrong}`))
  const parsed = parseCommit(read(commit, 'commit'))
  const file = parsed && parseTree(read(parsed.tree, 'tree'), digitsOf[objects.format] / 2)?.get(provenanceFile)
  return {
    commit,
    file,
    // A shallow clone has only the last ones.
    parent: shallow.has(commit) ? undefined : parsed?.parents[0],
    count: (parsed?.subject.match(/\d+/g) ?? []).reduce((sum, digits) => sum + Number(digits), 0),
    *lines() {
      for (const { text, run, from } of linesOf(objects, file))
        if (from !== undefined) yield { run, from, units: readUnits(text, file!) }
    },
    *runs() {
      for (const { text, run, from } of linesOf(objects, file)) {
        if (from === undefined) readBeside(text, file!)
        else readUnits(text, file!)
        yield run
      }
    },
  }
}

function* linesOf(
  objects: Repository['objects'],
  file: string | undefined,
): Generator<LineStart & { readonly text: string }> {
  const lines = file === undefined ? [] : readProvenance(objects, file).toString().split('\n')
  // The last line ends with a line feed too.
  if (lines.at(-1) === '') lines.pop()
  for (const text of lines) yield { ...readLineStart(objects.format, text, file!), text }
}

/** Reads the file of a flush. @throws COMMIT_DAMAGED */
export function readProvenance(objects: Repository['objects'], oid: string): Buffer {
  const bytes = readWhole({ objects, objectFormat: objects.format }, oid, 'blob', wrong =>
    badProvenance(oid, `it ${wrong}`),
  )
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
}

/** The commit of a flush on the one before. @param at time of its last unit, ms */
export function provenanceCommit(
  format: ObjectFormat,
  parent: string | undefined,
  text: string,
  { runs, units, at }: { readonly runs: number; readonly units: number; readonly at: number },
): { readonly oid: string; readonly objects: readonly GitObject[] } {
  const file = gitBlob(format, Buffer.from(text))
  const tree = gitTree(format, [{ mode: '100644', name: provenanceFile, oid: file.oid }])
  const seconds = Math.min(Math.max(0, Math.floor(at / 1000)), 8_640_000_000_000)
  const author = `xmachines <runs@xmachines.invalid> ${seconds} +0000`
  const commit = gitCommit(format, {
    tree: tree.oid,
    parents: parent === undefined ? [] : [parent],
    author,
    committer: author,
    message: `how ${units} ${units === 1 ? 'unit' : 'units'} of ${runs} ${runs === 1 ? 'run was' : 'runs were'} recorded\n`,
  })
  return { oid: commit.oid, objects: [file, tree, commit] }
}
