import type { LiveMachineSnapshot } from '../machine/xstate.ts'
import type { RunSnapshot } from './types.ts'

/** A state as plain values. */
export function snapshotOf(
  runId: string,
  seq: number,
  at: number,
  { status, value, context, output, error }: LiveMachineSnapshot,
): RunSnapshot {
  return {
    runId,
    seq,
    at,
    status,
    value: value as RunSnapshot['value'],
    context: context as RunSnapshot['context'],
    output: output as never,
    error,
  }
}
