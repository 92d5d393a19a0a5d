import { batchesOf } from '../../actors/batch-stream.ts'
import type { Beside, MachineRecord, Store } from '../../actors/contracts/store.ts'
import { AppendQueue } from '../../actors/copy/append-queue.ts'
import { RunCopy } from '../../actors/copy/copy-run.ts'
import { XMachinesError } from '../../actors/errors.ts'
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
 * @throws ARCHIVE_DIFFERS where both have a run, and not the same; COMMIT_DAMAGED
 */
export async function fill(
  journal: Store,
  repository: RepositoryStore,
  branches: ReadonlyMap<string, number>,
): Promise<void> {
  const queue = new AppendQueue(journal)
  const missing = new Set<string>()
  const copies: { readonly run: string; readonly copy: RunCopy }[] = []
  const flush = async (): Promise<void> => {
    await queue.flush()
    for (const { run, copy } of copies.splice(0)) if (copy.error !== undefined) throw refused(run, copy.error)
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
      throw refused(run, error)
    })
    if (copies.length >= 1024) await flush()
  }
  for (const [run, seq] of branches) if (((await journal.head(run))?.seq ?? -1) < seq) missing.add(run)
  for (const run of [...missing]) await fillRun(run)
  await flush()
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

/** A copy that the journal does not take, and the way out: without the branch, the journal writes its own. */
function refused(run: string, error: unknown): unknown {
  if (!XMachinesError.is(error, 'IMPORT_DIFFERS')) return error
  return new XMachinesError(
    'ARCHIVE_DIFFERS',
    `The branch r/${run} is not what the journal has of that run. ${error.message} Give the branch another name, and open again: the journal's own is written in its place.`,
    { cause: error, details: { ...error.details, run } },
  )
}
