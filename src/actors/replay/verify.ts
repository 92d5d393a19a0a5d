import { batchesOf } from '../batch-stream.ts'
import type { JsonValue } from '../contracts/json.ts'
import type { RunHead, Store } from '../contracts/store.ts'
import { messageOf, XMachinesError } from '../errors.ts'
import { checkedStore } from '../given.ts'
import { firstDifference } from '../json/differences.ts'
import type { LiveMachineSnapshot } from '../machine/xstate.ts'
import { type Divergence, UnitComparison } from '../run/divergence.ts'
import { HistoryFold, learnMachines } from '../run/history.ts'
import { Lineage } from '../run/lineage.ts'
import { decideMigration } from '../run/migrate.ts'
import { refused } from '../run/mismatch.ts'
import type { AnyMachine, Machines } from '../run/types.ts'
import { programsOf, type Versions } from '../run/versions.ts'
import { decideAgain } from './past.ts'

/** What verifying one run found. */
export interface Verification {
  readonly run: string
  /** Units that were decided again, the creation not counted. */
  readonly units: number
  /**
   * How many of them could only be decided: no state of theirs is recorded, or one in another version; or they are of an older
   * machine that was not given. Absent: all were compared.
   */
  readonly uncompared?: number
  /** The first difference, or nothing. */
  readonly divergence?: Divergence
  /** The run is of an older machine and would go over to this version of the first one of its id that was given. Nothing was written. */
  readonly migratesTo?: string
  /** Why a unit could not be decided at all, or why no machine that was given could open the run. */
  readonly error?: { readonly code: string; readonly message: string }
}

/**
 * Decides a run's whole history again and compares: every unit's outputs, state and effects, and where the store says it stands.
 * Of a run of an older machine it also decides the migration that opening it would take.
 */
export async function verifyRun(store: Store, machine: Machines<AnyMachine>, head: RunHead): Promise<Verification> {
  return verifyRecorded(checkedStore('store', store), machine, head, () => true)
}

/** As {@link verifyRun}, of a run of which only some units are recorded: with others there is nothing to compare. */
export async function verifyRecorded(
  store: Store,
  machine: Machines<AnyMachine>,
  head: RunHead,
  isRecorded: (seq: number) => boolean,
): Promise<Verification> {
  const { run } = head
  let [units, unrecorded] = [0, 0]
  const comparison = new UnitComparison()
  const found = (): Verification => {
    const uncompared = unrecorded + comparison.uncompared
    return { run, units, ...(uncompared > 0 && { uncompared }) }
  }
  try {
    let last: LiveMachineSnapshot | undefined
    const lineage = await lineageOf(store, head, programsOf(machine, store.objectFormat, false))
    await learnMachines(store, head, lineage)
    const { definition } = lineage.programs[0]
    const migrates = lineage.programs.every(program => program.record.oid !== head.machine)
    // What a later machine alone makes of the past cannot be compared with what was recorded.
    if (migrates && lineage.find(head.machine) === undefined && lineage.way(head.machine, lineage.programs[0])) {
      await decideMigration(store, head, lineage, head.at)
      return { run, units: head.seq, migratesTo: definition.version }
    }
    if (!isOfGiven(head, lineage)) {
      await lineage.learn(store, head.machine, undefined)
      throw refused(head, lineage)
    }
    const fold = new HistoryFold(lineage, { fallback: lineage.programs[0] })
    // By batches: a step of `replay` is awaited, which costs as much as deciding it.
    for await (const batch of batchesOf(store.read(run, { to: head.seq }))) {
      for (const unit of batch) {
        // Where it went over to a machine that was not given, the units that follow are that one's.
        if (unit.machine !== undefined && lineage.find(head.machine) === undefined) {
          await lineage.learn(store, head.machine, undefined)
          throw refused(head, lineage)
        }
        const decided = decideAgain(fold, unit)
        const isCompared = !fold.seenFromLater && isRecorded(unit.seq)
        const divergence = isCompared ? comparison.compare(unit, decided) : undefined
        if (divergence !== undefined && fold.setAside(unit, divergence) === undefined) return { ...found(), divergence }
        if (unit.seq > 0) units++
        if (unit.seq > 0 && (!isCompared || divergence !== undefined)) unrecorded++
        if (unit.seq === head.seq) last = decided.state.snapshot
      }
    }
    if (last === undefined)
      throw new XMachinesError('RUN_DAMAGED', `The history of run ${run} ends before its head, unit ${head.seq}.`, {
        details: { run, seq: head.seq },
      })
    // A fork that was made without its machine knows no value before it is opened.
    const known = head.value !== undefined
    const expected = { status: head.status, value: known ? head.value : null }
    const actual = { status: last.status, value: known ? (last.value as JsonValue) : null }
    const path = firstDifference(expected, actual, '$')
    if (path !== undefined && isRecorded(head.seq) && !fold.seenFromLater)
      return { ...found(), divergence: { seq: head.seq, kind: 'state', expected, actual, path } }
    if (!migrates) return found()
    await decideMigration(store, head, lineage, head.at)
    return { ...found(), migratesTo: definition.version }
  } catch (thrown) {
    const code = XMachinesError.is(thrown) ? thrown.code : 'RUN_DAMAGED'
    return { ...found(), error: { code, message: messageOf(thrown) } }
  }
}

/**
 * The machines that may open a run. A list also holds those of child runs, and each run goes over to the first one of its own id, as
 * it does for a host; or to the first of all, where that declares how.
 */
async function lineageOf(store: Store, { machine, machineId }: RunHead, programs: Versions): Promise<Lineage> {
  const all = new Lineage(programs)
  const [first, ...others] = programs.filter(({ record }) => record.id === machineId)
  if (first === undefined || first === programs[0]) return all
  await all.learn(store, machine, undefined)
  return all.way(machine, programs[0]) === undefined ? new Lineage([first, ...others]) : all
}

/** Another version is tried on a run all the same; what a machine of another id makes of it would say nothing. */
function isOfGiven({ machine, machineId }: RunHead, lineage: Lineage): boolean {
  return lineage.find(machine) !== undefined || lineage.programs.some(({ record }) => record.id === machineId)
}
