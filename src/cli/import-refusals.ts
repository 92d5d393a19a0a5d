import type { AppendOutcome } from '../actors/contracts/store.ts'
import type { ObjectFormat } from '../actors/contracts/unit.ts'
import { XMachinesError } from '../actors/errors.ts'
import type { UnitLine } from './unit-line.ts'

/** The store did not take the run. */
export function refused(run: string, outcome: AppendOutcome): XMachinesError {
  if (outcome.status === 'pinned') {
    const text = `its key is pinned to run ${outcome.run}`
    return differs(run, 0, text)
  }
  const why =
    outcome.status === 'fenced'
      ? `'${outcome.owner}' holds its partition`
      : `somebody else wrote to it (${outcome.status})`
  return new XMachinesError('IMPORT_DIFFERS', `Run ${run} was not imported: ${why}.`, { details: { run, ...outcome } })
}

/** The store has another history. */
export function differs(run: string, seq: number, why: string): XMachinesError {
  return new XMachinesError('IMPORT_DIFFERS', `Run ${run} is not the store's: ${why}.`, { details: { run, seq } })
}

/** The line's id is not that of its content. */
export function foreign({ run, seq, id }: UnitLine, format: ObjectFormat): XMachinesError {
  return invalid(run, seq, `What it holds is not what its ${format} id ${id} says`)
}

/** Something that no export writes. */
export function invalid(run: string, seq: number, why: string): XMachinesError {
  return new XMachinesError(
    'IMPORT_INVALID',
    `Unit ${seq} of run ${run} cannot be imported: ${why}. Export it again.`,
    {
      details: { run, seq },
    },
  )
}
