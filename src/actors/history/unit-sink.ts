import type { MachineRecord, Store } from '../contracts/store.ts'
import type { Unit } from '../contracts/unit.ts'
import { UnitTaker, unitsAtOnce } from './unit-taker.ts'

/** How {@link unitSink} and {@link durableUnits} write. */
export interface UnitSinkOptions {
  /** Finds the machines of the units, which a store keeps once: mostly that of the store they come from. @default the store's own */
  readonly machine?: (oid: string) => Promise<MachineRecord | undefined>
}

/**
 * A history as a WritableStream: takes the units of a run in order and appends those that the store has not got. The run
 * is held there, as an imported one is: it is a record of what happened elsewhere, and starts nothing.
 *
 * Units are written in groups. A write resolves when the unit is taken, closing when all of them are durable.
 *
 * @throws IMPORT_DIFFERS: the store has another history; IMPORT_INVALID: a unit of another run, or a gap; and what the
 *   store throws: the stream errors with it
 */
export function unitSink(store: Store, run: string, options: UnitSinkOptions = {}): WritableStream<Unit> {
  const { machine = (oid: string) => store.machine(oid) } = options
  const taker = new UnitTaker(store, run, machine)
  return new WritableStream<Unit>(
    { write: unit => taker.take(unit), close: () => taker.flush() },
    new CountQueuingStrategy({ highWaterMark: unitsAtOnce }),
  )
}

/**
 * Durability as a transform: the units of a run go in, in order, and each comes out once the store has it. So what stands
 * behind it in a pipe has only seen what is kept, and several stores can stand one behind the other. What the store has
 * already is compared and passed on; the run is held there, as by {@link unitSink}.
 *
 * While one append is on its way the next is collected, up to 512 units.
 *
 * @throws as {@link unitSink}: both of its sides error with it
 */
export function durableUnits(store: Store, run: string, options: UnitSinkOptions = {}): TransformStream<Unit, Unit> {
  const { machine = (oid: string) => store.machine(oid) } = options
  const taker = new UnitTaker(store, run, machine)
  /** Taken, and not passed on yet. */
  let taken: Unit[] = []
  let passing: Promise<void> | undefined
  const pass = async (controller: TransformStreamDefaultController<Unit>): Promise<void> => {
    while (taken.length > 0) {
      const units = taken
      taken = []
      await taker.flush()
      for (const unit of units) controller.enqueue(unit)
    }
    passing = undefined
  }
  return new TransformStream<Unit, Unit>(
    {
      async transform(unit, controller) {
        await taker.take(unit)
        taken.push(unit)
        passing ??= pass(controller).catch(error => controller.error(error))
        if (taken.length >= unitsAtOnce) await passing
      },
      flush: () => passing,
    },
    new CountQueuingStrategy({ highWaterMark: unitsAtOnce }),
    new CountQueuingStrategy({ highWaterMark: unitsAtOnce }),
  )
}
