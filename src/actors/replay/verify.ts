import type { JsonValue } from '../contracts/json.ts'
import type { RunHead, Store } from '../contracts/store.ts'
import { messageOf, XMachinesError } from '../errors.ts'
import { firstDifference } from '../json/differences.ts'
import type { Divergence } from '../run/divergence.ts'
import { learnMachines } from '../run/history.ts'
import { Lineage } from '../run/lineage.ts'
import { programsOf } from '../run/open.ts'
import type { AnyMachine, Machines } from '../run/types.ts'
import { replayOf } from './replay.ts'

/** What verifying one run found. */
export interface Verification {
  readonly run: string
  /** Units that were decided again, the creation not counted. */
  readonly units: number
  /** The first difference, or nothing. */
  readonly divergence?: Divergence
  /** Why a unit could not be decided at all. */
  readonly error?: { readonly code: string; readonly message: string }
}

/** Decides a run's whole history again and compares: every unit's outputs, and the state that the store says it is in. */
export async function verifyRun(store: Store, machine: Machines<AnyMachine>, head: RunHead): Promise<Verification> {
  const { run } = head
  let units = 0
  try {
    let last: { readonly value: JsonValue; readonly status: string; readonly seq: number } | undefined
    const lineage = new Lineage(programsOf(machine, store.objectFormat, false))
    await learnMachines(store, head, lineage)
    for await (const step of replayOf(lineage, store.read(run), { until: head.seq, verify: true })) {
      if (step.divergence !== undefined) return { run, units, divergence: step.divergence }
      if (step.seq > 0) units++
      if (step.seq === head.seq)
        last = { value: step.snapshot.value as JsonValue, status: step.snapshot.status, seq: step.seq }
    }
    if (last === undefined)
      throw new XMachinesError('RUN_DAMAGED', `The history of run ${run} ends before its head, unit ${head.seq}.`, {
        details: { run, seq: head.seq },
      })
    // A fork that was made without its machine knows no value before it is opened.
    const known = head.value !== undefined
    const expected = { status: head.status, value: known ? head.value : null }
    const actual = { status: last.status, value: known ? last.value : null }
    const path = firstDifference(expected, actual, '$')
    return path === undefined
      ? { run, units }
      : { run, units, divergence: { seq: head.seq, kind: 'state', expected, actual, path } }
  } catch (thrown) {
    const code = XMachinesError.is(thrown) ? thrown.code : 'RUN_DAMAGED'
    return { run, units, error: { code, message: messageOf(thrown) } }
  }
}
