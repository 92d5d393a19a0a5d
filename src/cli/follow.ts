import { setTimeout as sleep } from 'node:timers/promises'
import type { CopyReport } from '../actors/copy/copy-store.ts'
import { XMachinesError } from '../actors/errors.ts'

/** A pass that finds no more new units than that has caught up. */
const caughtUp = 100

/** How long to wait after a pass that found nothing new, ms. */
const pause = 500

/** What following did: of the last pass that came to its end, with the units of all. */
export interface FollowReport extends CopyReport {
  /** Whether the source is fenced. */
  readonly fenced: boolean
}

/** How a source is followed. */
export interface Following {
  /** One pass over both stores, with the source as it is told. */
  readonly pass: (source: 'leave' | 'fence') => Promise<CopyReport>
  /** Whether to fence the source once the copy has caught up, and end. */
  readonly fences: boolean
  readonly signal: AbortSignal
}

/**
 * Copies pass after pass until interrupted, or until the source is fenced: not while a run cannot be copied, which nobody would
 * go on with then.
 */
export async function follow({ pass, fences, signal }: Following): Promise<FollowReport> {
  let [last, before, units]: [CopyReport | undefined, number, number] = [undefined, Number.POSITIVE_INFINITY, 0]
  for (;;) {
    try {
      last = await pass('leave')
    } catch (thrown) {
      if (last !== undefined && XMachinesError.is(thrown, 'ABORTED') && signal.aborted)
        return { ...last, units, fenced: false }
      throw thrown
    }
    units += last.units
    if (fences && last.failed.length > 0) return { ...last, units, fenced: false }
    if (fences && hasCaughtUp(before, last.units)) {
      const report = await pass('fence')
      return { ...report, units: units + report.units, fenced: true }
    }
    before = last.units
    if (last.units === 0) await sleep(pause, undefined, { signal }).catch(() => {})
    if (signal.aborted) return { ...last, units, fenced: false }
  }
}

/**
 * Each pass takes what was written during the one before. Once that is no longer half as much, as under a steady load, further
 * passes would make the last one no shorter.
 */
function hasCaughtUp(before: number, units: number): boolean {
  return units <= caughtUp || units > before / 2
}
