import { XMachinesError } from '../../actors/errors.ts'
import { isPassing } from './patience.ts'

/**
 * The answers to what was sent at once, when all have come. Where one is missing, what was sent beside it may have been
 * written all the same.
 *
 * @throws the first failure; in place of `STORE_UNAVAILABLE`, which says that nothing was written, `STORE_OUTCOME_UNKNOWN`
 *   where something else was done or may have been
 */
export async function together<T>(sent: readonly Promise<T>[]): Promise<T[]> {
  const settled = await Promise.allSettled(sent)
  const failures = settled.flatMap(each => (each.status === 'rejected' ? [each.reason as unknown] : []))
  if (failures.length === 0) return settled.map(each => (each as PromiseFulfilledResult<T>).value)
  const lasting = failures.find(error => !isPassing(error))
  if (lasting !== undefined) throw lasting
  const isDone = failures.length < sent.length
  throw isDone ? perhapsDone(failures[0]) : (failures.find(isUnknown) ?? failures[0])
}

/** A failure of an append that had written something, or may have, before. */
export function perhapsDone(error: unknown): unknown {
  if (!XMachinesError.is(error, 'STORE_UNAVAILABLE')) return error
  const message = `A part of an append failed when another was done: ${error.message}`
  return new XMachinesError('STORE_OUTCOME_UNKNOWN', message, { cause: error, details: error.details })
}

function isUnknown(error: unknown): boolean {
  return XMachinesError.is(error, 'STORE_OUTCOME_UNKNOWN')
}
