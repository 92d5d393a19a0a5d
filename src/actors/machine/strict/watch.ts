import type { XMachinesError } from '../../errors.ts'
import type { InPlaceChanges } from './in-place.ts'
import { frozenChanged, isFrozenComplaint } from './strict-errors.ts'

/** An attempt at a step that is watched: what the machine runs just now, and the first thing that it may not do. */
export interface Watch {
  /** What of the machine runs, in words: `The guard 'isOpen'`; `undefined` where nothing says. */
  doing: string | undefined
  violation: XMachinesError | undefined
  /** Looked at after each part of the machine, to find the one that changed something in place. */
  readonly suspects: InPlaceChanges | undefined
}

let current: Watch | undefined

/** The attempt that is watched now. */
export function watched(): Watch | undefined {
  return current
}

/** Runs `body` watched, or past the watch. The watch before is restored, also when `body` throws. */
export function watch<T>(watching: Watch | undefined, body: () => T): T {
  const before = current
  current = watching
  try {
    return body()
  } finally {
    current = before
  }
}

/** Runs a part of the machine under its name. */
export function doing<T>(name: string, part: () => T): T {
  const watching = current
  if (watching === undefined) return part()
  const before = watching.doing
  watching.doing = name
  try {
    return part()
  } catch (thrown) {
    // XState may take it for an error of a child, which its parent handles.
    if (isFrozenComplaint(thrown)) watching.violation ??= frozenChanged(name, thrown)
    throw thrown
  } finally {
    const changed = watching.suspects?.first()
    if (changed !== undefined) watching.violation ??= changed(name)
    watching.doing = before
  }
}
