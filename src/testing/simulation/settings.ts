import type { Simulation, SimulationOptions } from './scenario.ts'

/** The options of a seed, with their defaults. */
export interface Settings extends Pick<SimulationOptions, 'keep' | 'store' | 'strict'> {
  readonly crashes: number
  readonly faults: number
  readonly processes: number
  readonly duration: number
  readonly patience: number
}

/** @throws a TypeError for options that are none */
export function settingsOf(options: Simulation): Settings {
  const {
    crashes = 2,
    faults = 2,
    processes = 1,
    duration = 3_600_000,
    patience = 600_000,
    keep,
    store,
    strict,
  } = options
  checkCount('crashes', crashes, 0)
  checkCount('faults', faults, 0)
  checkCount('processes', processes)
  checkDuration('duration', duration)
  checkDuration('patience', patience)
  if (keep !== undefined && !Array.isArray(keep))
    throw new TypeError(`Expected \`keep\` to be a list of indexes, got \`${String(keep)}\`.`)
  if (!('scenario' in options) && !('machine' in options))
    throw new TypeError('Expected `machine` and `events`, or a `scenario` that makes them, got neither.')
  return { crashes, faults, processes, duration, patience, keep, store, strict }
}

/** @throws a TypeError for what is no time that may pass; it may be without end */
function checkDuration(name: string, value: number): void {
  if (!(typeof value === 'number' && value >= 0))
    throw new TypeError(`Expected \`${name}\` to be milliseconds from 0, got \`${String(value)}\`.`)
}

/** @throws a TypeError for what is no whole number, or less than `least` */
export function checkCount(name: string, value: number, least = 1): void {
  // Beyond that, the next seed is the same one.
  if (!Number.isSafeInteger(value) || value < least)
    throw new TypeError(
      `Expected \`${name}\` to be a whole number${least < 0 ? '' : ` from ${least}`}, got \`${String(value)}\`.`,
    )
}
