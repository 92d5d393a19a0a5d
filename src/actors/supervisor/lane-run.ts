import type { SourcePosition } from '../contracts/unit.ts'
import { XMachinesError } from '../errors.ts'
import { hold } from '../run/loading.ts'
import type { Resident } from '../run/resident.ts'
import { undecodable } from './decode.ts'
import type { LaneHome, LaneNames } from './lane-home.ts'
import type { Settings } from './options.ts'
import type { RecordCommand } from './record-command.ts'

/**
 * Brings a lane's run into memory, under its lease.
 * @param first the record that waits for it; without one that may be applied, no run is made
 * @throws rejects with `RUN_UNKNOWN` where there is none, and as `openRun`
 */
export async function bringRun(
  { settings, namespace, epoch }: LaneHome,
  { key, run }: LaneNames,
  first: RecordCommand | undefined,
): Promise<Resident> {
  const { store, programs, environment, time, telemetry } = settings
  // A record that is refused anyway makes no run.
  const create = first !== undefined && first.refused === undefined && !first.deferred && !first.stops
  const options = {
    ...(key === undefined ? { id: run! } : { key }),
    namespace,
    time,
    at: time === 'source' && create ? first.at : undefined,
    create,
    behind: create && settings.tombstones === 'stop' ? before(first.source) : undefined,
    held: settings.held,
    telemetry,
    // Asked for only where a run is made.
    get input(): never {
      return inputOf(settings, first) as never
    },
  }
  return (await hold(store, programs, options, environment, epoch)).resident
}

/**
 * What stands before the record that makes a run: were that not taken with the run, a tombstone of before it, delivered again
 * after a crash, would end it.
 */
function before({ id, position }: SourcePosition): SourcePosition | undefined {
  return position > 0 ? { id, position: Number(position) - 1 } : undefined
}

/** The input of a new run, from its first record. */
function inputOf({ input }: Settings, first: RecordCommand | undefined): unknown {
  if (input === undefined || first === undefined) return undefined
  try {
    return input(first.record)
  } catch (thrown) {
    throw XMachinesError.is(thrown) ? thrown : undecodable(first.record, '`input` threw for it', thrown)
  }
}
