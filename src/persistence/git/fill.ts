import { batchesOf } from '../../actors/batch-stream.ts'
import type { Beside, MachineRecord, Store } from '../../actors/contracts/store.ts'
import { AppendQueue } from '../../actors/copy/append-queue.ts'
import { RunCopy } from '../../actors/copy/copy-run.ts'
import { type ErrorDetails, XMachinesError } from '../../actors/errors.ts'
import { emptyBeside } from '../judge.ts'
import type { Archiver } from './archiver.ts'
import { readCommit } from './branch.ts'
import { badCommit } from './failures.ts'
import { runPrefix } from './layout.ts'
import type { Repository } from './repository.ts'
import type { RepositoryStore } from './repository-store.ts'

/**
 * Copies into a journal what the branches have and the journal has not: all of a clone, or what was pushed. The runs are
 * held, as imported ones are: nobody knows whether their effects were started elsewhere.
 *
 * @param remote where the branches are, if not here
 * @throws ARCHIVE_DIFFERS where both have a run, and not the same; COMMIT_DAMAGED
 */
export async function fill(
  journal: Store,
  repository: RepositoryStore,
  branches: ReadonlyMap<string, number>,
  remote?: string,
): Promise<void> {
  const queue = new AppendQueue(journal)
  const missing = new Set<string>()
  const copies: { readonly run: string; readonly copy: RunCopy }[] = []
  const flush = async (): Promise<void> => {
    await queue.flush()
    for (const { run, copy } of copies.splice(0)) if (copy.error !== undefined) throw refused(run, copy.error, remote)
  }
  const fillRun = async (run: string): Promise<void> => {
    if (!missing.delete(run)) return
    const [head, known] = [(await repository.head(run))!, await journal.head(run)]
    const parent = known === undefined ? head.fork?.creation?.fork?.run : undefined
    if (parent !== undefined) {
      await fillRun(parent)
      if (queue.has(parent)) await flush()
    }
    const place = {
      from: repository,
      to: journal,
      queue,
      lease: async () => undefined,
      held: true,
      signal: undefined,
      machine: (oid: string) => machineOf(repository, run, oid),
    }
    const copy = new RunCopy(place, { ...head, due: null, beside: merged(known?.beside, head.beside) }, known)
    copies.push({ run, copy })
    await copy.run().catch(error => {
      throw refused(run, error, remote)
    })
    if (copies.length >= 1024) await flush()
  }
  for (const [run, seq] of branches) {
    const known = await journal.head(run)
    if (known === undefined || known.seq < seq) missing.add(run)
  }
  for (const run of [...missing]) await fillRun(run)
  await flush()
}

/**
 * Compares the branches that are as long as their run in the journal: a unit may have come from somebody else while the journal
 * took its own. It takes the ids of whole histories.
 *
 * @throws ARCHIVE_DIFFERS
 */
export async function compareHeads(
  journal: Store,
  { refs }: Repository,
  branches: ReadonlyMap<string, number>,
): Promise<void> {
  for (const [run, seq] of branches) {
    const oid = refs.get(runPrefix + run)
    if (oid === undefined || oid === run || (await journal.head(run))?.seq !== seq) continue
    const own = await idAt(journal, run, seq)
    if (own !== oid) throw differs(run, `Unit ${seq} is ${own} in the journal, and ${oid} in the branch.`, { run, seq })
  }
}

/** The id of a unit. */
export async function idAt(store: Store, run: string, seq: number): Promise<string | undefined> {
  for await (const { id } of store.read(run, { from: seq, to: seq })) return id
  return undefined
}

/** How far each branch of a run goes: what an open has to know of all of them, and no more. */
export function branchSeqs(repository: Repository): ReadonlyMap<string, number> {
  const seqs = new Map<string, number>()
  for (const [name, oid] of repository.refs.all()) {
    if (name.startsWith(runPrefix)) {
      const run = name.slice(runPrefix.length)
      seqs.set(run, readCommit(repository, run, oid).seq)
    }
  }
  return seqs
}

/** Commits all that the journal has and the branches have not. */
export async function catchUp(
  archiver: Archiver,
  journal: Store,
  branches: ReadonlyMap<string, number>,
): Promise<void> {
  for await (const batch of batchesOf(journal.list())) {
    for (const head of batch) if (branches.get(head.run) !== head.seq) await archiver.take(journal, head)
  }
  await archiver.commit()
}

/**
 * What is kept beside a run after it was filled: the journal's own, and what the branch knows of what was taken, tried and
 * published. Nothing that is still to be sent or delivered: who recorded it does that, or did.
 */
function merged(known: Beside = emptyBeside, found: Beside): Beside {
  return {
    ...known,
    sources: { ...known.sources, ...found.sources },
    attempts: { ...known.attempts, ...found.attempts },
    parked: found.parked,
    ...(found.published && { published: found.published }),
    ...(found.parent && { parent: found.parent }),
    ...(found.linked && { linked: found.linked }),
  }
}

async function machineOf(repository: RepositoryStore, run: string, oid: string): Promise<MachineRecord> {
  const record = await repository.machine(oid)
  if (record === undefined) throw badCommit(run, oid, 'its machine is missing')
  return record
}

/** A copy that the journal does not take. */
function refused(run: string, error: unknown, remote: string | undefined): unknown {
  return XMachinesError.is(error, 'IMPORT_DIFFERS')
    ? differs(run, error.message, { ...error.details, run }, { remote, cause: error })
    : error
}

/** A branch of another history than the journal's, and the way out: without the branch, the journal writes its own. */
function differs(
  run: string,
  why: string,
  details: ErrorDetails,
  { remote, cause }: { readonly remote?: string | undefined; readonly cause?: unknown } = {},
): XMachinesError {
  const [branch, next] =
    remote === undefined
      ? [`r/${run}`, "Give the branch another name, and open again: the journal's own is written in its place."]
      : [`${remote}/r/${run}`, `Forget it, and open again: git branch -d -r ${remote}/r/${run}`]
  const text = `The branch ${branch} is not what the journal has of that run. ${why} ${next}`
  return new XMachinesError('ARCHIVE_DIFFERS', text, { cause, details })
}
