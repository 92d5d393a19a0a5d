import { batchesOf } from '../batch-stream.ts'
import type { AppendItem, Beside, BesideChange, RunHead, Store } from '../contracts/store.ts'
import type { Unit } from '../contracts/unit.ts'
import type { Environment } from '../environment.ts'
import { messageOf } from '../errors.ts'
import { encodeState, stateFormat } from '../machine/codec.ts'
import { migrationFailed } from '../machine/migration.ts'
import { nextTimer, type RunState } from '../machine/state.ts'
import { StateHash } from '../machine/state-hash.ts'
import { type Recovered, recover } from './history.ts'
import { asStoreError, journalOf } from './journal.ts'
import { links, sentBy, sentOf } from './kinship.ts'
import type { Lineage } from './lineage.ts'
import { refused, unknownPast, unmappedPast } from './mismatch.ts'
import type { Leased } from './resident-start.ts'
import { leaseHeld, leaseLost, misplaced } from './run-errors.ts'

/** What a migration comes to: its unit, and the place after it. */
export interface Migrated extends Recovered {
  readonly unit: Unit
}

/**
 * Decides how a run goes over to the first machine that was given. Writes nothing.
 *
 * @throws rejects with `MACHINE_MISMATCH` when no migration leads there, `MIGRATION_FAILED`, and as {@link recover}
 */
export async function decideMigration(
  store: Store,
  head: RunHead,
  lineage: Lineage,
  now: number,
  signal?: AbortSignal,
): Promise<Migrated> {
  const { run, machine } = head
  const target = lineage.programs[0]
  await lineage.learn(store, machine, signal)
  const way = lineage.way(machine, target)
  if (way === undefined) throw refused(head, lineage)
  if (way.by === 'state' && lineage.find(machine) === undefined) throw unknownPast(head, lineage)
  if (way.by === 'event') await checkBeginning(store, head, lineage, signal)
  const unit = {
    run,
    seq: head.seq + 1,
    at: head.time === 'arrival' ? Math.max(head.at, now) : head.at,
    events: [],
    origin: { kind: 'migration', from: machine },
    machine: target.record.oid,
    outputs: [],
  } as const
  // It has no id before it is in the history, and nothing asks for one.
  const found = await recover(store, head, lineage, { next: { ...unit, id: '' }, signal })
  const { state, outputs, effects } = found.decided!
  if (head.status === 'active' && state.snapshot.status === 'error')
    throw migrationFailed(`run ${run} would end: ${messageOf(state.snapshot.error)}`, state.snapshot.error, { run })
  const { parent, linked } = head.beside
  const stepped = sentBy(target, effects)
  const mail = sentOf({ run, parent, linked: linked || links(stepped) }, stepped, state, unit.origin)
  const hash = new StateHash().of(state, effects)
  return { ...found, unit: { ...unit, outputs, ...(mail && { mail }), state: hash, id: '' } }
}

/** By events all of the history is decided anew, also what was before earlier migrations. */
async function checkBeginning(
  store: Store,
  head: RunHead,
  lineage: Lineage,
  signal: AbortSignal | undefined,
): Promise<void> {
  for await (const batch of batchesOf(store.read(head.run, { to: 0, ids: false, signal }))) {
    for (const { creation } of batch) {
      if (creation === undefined) continue
      await lineage.learn(store, creation.machine, signal)
      if (lineage.way(creation.machine, lineage.programs[0])?.by !== 'event')
        throw unmappedPast(head, creation.machine, lineage)
    }
  }
}

/**
 * Brings a run over to the first machine that was given: appends the migration. Also resolves when somebody else was first; so
 * look again where the run stands.
 *
 * @throws rejects as {@link decideMigration}, with `LEASE_HELD`, `LEASE_LOST`, `LEASE_MISPLACED`, and what the store fails with
 */
export async function migrate(
  store: Store,
  head: RunHead,
  lineage: Lineage,
  environment: Environment,
  lease: Leased | undefined,
  signal: AbortSignal | undefined,
): Promise<void> {
  const now = environment.now()
  const { unit, system, state } = await decideMigration(store, head, lineage, now, signal)
  const { run, seq, revision } = head
  const { id: _, run: __, ...appended } = unit
  const { status, value } = state.snapshot
  const { record } = lineage.programs[0]
  const posts = unit.mail !== undefined && !head.beside.held
  const beside: BesideChange = {
    ...(posts && { mailing: [unit.seq], ...(links(unit.mail) && { linked: true }) }),
    ...leftBy(head.beside),
  }
  const item: AppendItem = {
    run,
    expected: { seq, revision },
    units: [appended],
    machine: record,
    lease,
    value: value as NonNullable<AppendItem['value']>,
    due: posts ? 0 : dueOf(head, state, now),
    ...(status === head.status ? undefined : { status }),
    ...(Object.keys(beside).length > 0 && { beside }),
  }
  const journal = journalOf(store)
  const outcomes = await store.append([item], { signal }).catch(thrown => {
    const error = asStoreError(thrown)
    if (error.code === 'STORE_OUTCOME_UNKNOWN') journal.doubts(run)
    throw error
  })
  const outcome = outcomes[0]!
  switch (outcome.status) {
    case 'appended':
      if (journal.feed.isRead) journal.feed.tell(run, head, item.units)
      // What spares deciding it again is a cache: losing it is nobody's concern.
      return store
        .saveSnapshot(run, {
          seq: unit.seq,
          machine: record.oid,
          format: stateFormat,
          state: encodeState(system, state),
        })
        .catch(() => {})
    case 'fenced':
      throw lease === undefined ? leaseHeld(run, outcome) : leaseLost(run, lease, outcome)
    case 'misplaced':
      throw misplaced(run, lease, outcome.partition)
  }
}

/** Whoever has the run open with its earlier machine cannot record an outcome any more: what it has in flight is nobody's. */
function leftBy({ process, owners }: Beside): Pick<BesideChange, 'process' | 'owners'> {
  const named = Object.keys(owners)
  return {
    ...(process !== null && { process: null }),
    ...(named.length > 0 && { owners: Object.fromEntries(named.map(key => [key, null])) }),
  }
}

/** When somebody has to go on with the run if this process does not. */
function dueOf({ time, beside }: RunHead, state: RunState, now: number): number | null {
  if (beside.held || state.snapshot.status !== 'active') return null
  const timer = time === 'arrival' ? nextTimer(state)?.due : undefined
  const due = Math.min(
    timer ?? Number.POSITIVE_INFINITY,
    state.table.invocations.size > 0 ? now : Number.POSITIVE_INFINITY,
  )
  return Number.isFinite(due) ? due : null
}
