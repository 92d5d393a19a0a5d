import { batchesOf } from '../../actors/batch-stream.ts'
import type { AppendItem, Beside, RunHead, Store } from '../../actors/contracts/store.ts'
import type { NewUnit } from '../../actors/contracts/unit.ts'
import { XMachinesError } from '../../actors/errors.ts'
import { plainUnit } from '../../actors/history/plain-unit.ts'
import { differs } from './archiver.ts'
import { readCommit } from './branch.ts'
import { badCommit } from './failures.ts'
import { runPrefix } from './layout.ts'
import type { Repository } from './repository.ts'
import type { RepositoryStore } from './repository-store.ts'

const chunk = 512

/**
 * Takes into a journal what the branches have and the journal has not: all of a clone, or what was pushed. The runs are
 * held, as imported ones are: nobody knows whether their effects were started elsewhere.
 *
 * @throws ARCHIVE_DIFFERS where both have a run, and not the same
 */
export async function fill(
  journal: Store,
  repository: RepositoryStore,
  branches: ReadonlyMap<string, number>,
): Promise<void> {
  for (const [run, seq] of branches) {
    if (((await journal.head(run))?.seq ?? -1) < seq) await fillRun(journal, repository, (await repository.head(run))!)
  }
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

async function fillRun(journal: Store, repository: RepositoryStore, head: RunHead): Promise<void> {
  const { run, seq, fork } = head
  const known = await journal.head(run)
  if (known !== undefined && known.seq >= seq) return
  if (known === undefined && fork?.creation?.fork !== undefined) {
    const parent = await repository.head(fork.creation.fork.run)
    if (parent !== undefined) await fillRun(journal, repository, parent)
  }
  if (known !== undefined) await compare(journal, repository, known)
  let expected: AppendItem['expected'] = known === undefined ? null : { seq: known.seq, revision: known.revision }
  let units: NewUnit[] = known === undefined && fork !== undefined ? [fork] : []
  const append = async (rest: Partial<AppendItem>): Promise<void> => {
    const last = units.at(-1)!
    const machine = units[0]!.machine ?? units[0]!.creation?.machine
    const record = machine === undefined ? undefined : await repository.machine(machine)
    if (machine !== undefined && record === undefined) throw badCommit(run, machine, 'its machine is missing')
    const beside = { held: true, process: null, ...rest.beside }
    const item = { run, expected, units, due: null, ...(record && { machine: record }), ...rest, beside }
    const [outcome] = await journal.append([item])
    if (outcome?.status !== 'appended') {
      throw differs(run, last.seq, `the journal does not take it (${outcome?.status})`)
    }
    expected = { seq: outcome.seq, revision: outcome.revision }
    units = []
  }
  const from = known !== undefined ? known.seq + 1 : fork === undefined ? 0 : fork.seq + 1
  for await (const batch of from > seq ? [] : batchesOf(repository.read(run, { from, to: seq }))) {
    for (const unit of batch) {
      // An item brings one machine.
      if (unit.machine !== undefined && units.length > 0) await append({})
      units.push(plainUnit(unit))
    }
    if (units.length >= chunk && units.at(-1)!.seq < seq) await append({})
  }
  await append({
    status: head.status,
    ...(head.value !== undefined && { value: head.value }),
    beside: besideOf(head.beside),
  })
}

function besideOf({ sources, attempts, published, parked, parent, linked }: Beside): NonNullable<AppendItem['beside']> {
  return {
    sources: Object.entries(sources).map(([id, position]) => ({ id, position })),
    attempts,
    ...(published && { published }),
    parked,
    ...(parent && { parent }),
    ...(linked && { linked }),
  }
}

/** Both must have the same unit where the journal stands: its id stands for all before it. */
async function compare(journal: Store, repository: Store, { run, seq }: RunHead): Promise<void> {
  const [one, other] = [await unitAt(journal, run, seq), await unitAt(repository, run, seq)]
  if (one !== other) throw differs(run, seq, `the branch has ${other} there, the journal ${one}`)
}

async function unitAt(store: Store, run: string, seq: number): Promise<string> {
  for await (const unit of store.read(run, { from: seq, to: seq })) return unit.id
  throw new XMachinesError('RUN_DAMAGED', `${store.location} has no unit ${seq} of run ${run}.`, {
    details: { run, seq },
  })
}
