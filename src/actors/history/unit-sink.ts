import type { AppendItem, MachineRecord, Store } from '../contracts/store.ts'
import type { NewUnit, Unit } from '../contracts/unit.ts'
import { XMachinesError } from '../errors.ts'
import { plainUnit } from './plain-unit.ts'

/** How {@link unitSink} writes. */
export interface UnitSinkOptions {
  /** Finds the machines of the units, which a store keeps once: mostly that of the store they come from. @default the store's own */
  readonly machine?: (oid: string) => Promise<MachineRecord | undefined>
}

/** Units of one append. */
const chunk = 512

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
    new CountQueuingStrategy({ highWaterMark: chunk }),
  )
}

class UnitTaker {
  readonly #store: Store
  readonly #run: string
  readonly #machine: (oid: string) => Promise<MachineRecord | undefined>
  #units: NewUnit[] = []
  #expected: AppendItem['expected'] = null
  #next: number | undefined

  constructor(store: Store, run: string, machine: (oid: string) => Promise<MachineRecord | undefined>) {
    this.#store = store
    this.#run = run
    this.#machine = machine
  }

  async take(unit: Unit): Promise<void> {
    if (this.#next === undefined) await this.#begin(unit)
    if (unit.run !== this.#run || unit.seq !== this.#next) {
      throw this.#refused(
        'IMPORT_INVALID',
        unit.seq,
        `unit ${unit.seq} of run ${unit.run} is not unit ${this.#next} of it`,
      )
    }
    this.#next++
    const { seq } = this.#expected ?? { seq: -1 }
    if (unit.seq < seq) return
    if (unit.seq === seq) return this.#compare(unit)
    // An item brings one machine.
    if (unit.machine !== undefined) await this.flush()
    this.#units.push(plainUnit(unit))
    if (this.#units.length >= chunk) await this.flush()
  }

  async flush(): Promise<void> {
    const units = this.#units
    if (units.length === 0) return
    this.#units = []
    const oid = units[0]!.machine ?? units[0]!.creation?.machine
    const machine = oid === undefined ? undefined : await this.#known(oid, units[0]!.seq)
    const item = {
      run: this.#run,
      expected: this.#expected,
      units,
      ...(machine && { machine }),
      due: null,
      beside: { held: true, process: null },
    }
    const [outcome] = await this.#store.append([item])
    if (outcome?.status !== 'appended') {
      throw this.#refused('IMPORT_DIFFERS', units[0]!.seq, `somebody else writes to it (${outcome?.status})`)
    }
    this.#expected = { seq: outcome.seq, revision: outcome.revision }
  }

  async #begin({ seq }: Unit): Promise<void> {
    const head = await this.#store.head(this.#run)
    if (head !== undefined) this.#expected = { seq: head.seq, revision: head.revision }
    if (seq > (head?.seq ?? -1) + 1) {
      throw this.#refused(
        'IMPORT_INVALID',
        seq,
        `the store has it up to unit ${head?.seq ?? 'none'}, and unit ${seq} came`,
      )
    }
    this.#next = seq
  }

  /** The last unit that the store has: if it is the same, all before it are. */
  async #compare({ seq, id }: Unit): Promise<void> {
    for await (const known of this.#store.read(this.#run, { from: seq, to: seq })) {
      if (known.id !== id) throw this.#refused('IMPORT_DIFFERS', seq, `its unit ${seq} is ${known.id}, and ${id} came`)
    }
  }

  async #known(oid: string, seq: number): Promise<MachineRecord> {
    const record = await this.#machine(oid)
    if (record !== undefined) return record
    throw this.#refused('IMPORT_INVALID', seq, `nobody has its machine ${oid}: give \`machine\`, which finds it`)
  }

  #refused(code: 'IMPORT_DIFFERS' | 'IMPORT_INVALID', seq: number, why: string): XMachinesError {
    return new XMachinesError(code, `Run ${this.#run} is not taken into ${this.#store.location}: ${why}.`, {
      details: { run: this.#run, seq },
    })
  }
}
