import type { AnyStateMachine } from 'xstate'
import type { XMachinesError } from '../errors.ts'
import type { Settlement } from './command.ts'
import { snapshotOf } from './snapshot.ts'
import type { Receipt, RunError } from './types.ts'

/** What became of a command, as its sender sees it. */
export function receiptOf(run: string, settlement: Settlement): Receipt<AnyStateMachine> {
  if (settlement.kind === 'refused')
    return {
      ok: false,
      seq: settlement.seq,
      error: { ...plain(settlement.error), retryable: settlement.error.retryable },
    }
  if (settlement.kind === 'unchanged') {
    const { seq, at, outputs, state, duplicate } = settlement
    const receipt = {
      ok: true,
      seq,
      at,
      outputs: outputs as never,
      snapshot: snapshotOf(run, seq, at, state.snapshot),
    } as const
    return duplicate ? { ...receipt, duplicate } : receipt
  }
  const { unit, state, fatal } = settlement
  if (fatal !== undefined) return { ok: false, seq: unit.seq, error: { ...plain(fatal), retryable: false } }
  return {
    ok: true,
    seq: unit.seq,
    at: unit.at,
    outputs: unit.outputs as never,
    snapshot: snapshotOf(run, unit.seq, unit.at, state.snapshot),
  }
}

/** An error as plain data. */
export function plain({ code, message, details }: XMachinesError): RunError['error'] {
  return { code, message, details }
}
