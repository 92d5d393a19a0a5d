import type { AppendItem, MachineRecord, Store } from '../contracts/store.ts'
import type { NewUnit, Unit } from '../contracts/unit.ts'
import { XMachinesError } from '../errors.ts'
import { plainUnit } from './plain-unit.ts'

/** Units of one append. */
export const unitsAtOnce = 512

/** Appends the units of a run, in order, that a store has not got; the run is held there. */
export class UnitTaker {
  readonly #store: Store
  readonly #run: string
  readonly #machine: (oid: string) => Promise<MachineRecord | undefined>
  #units: NewUnit[] = []
  #expected: AppendItem['expected'] = null
  #next: number | undefined
  /** The last unit that the store had at first; −1: none. */
  #last = -1
  #stored: AsyncIterator<Unit> | undefined
  #flushing: Promise<void> = Promise.resolve()

  constructor(store: Store, run: string, machine: (oid: string) => Promise<MachineRecord | undefined>) {
    this.#store = store
    this.#run = run
    this.#machine = machine
  }

  /** Takes the next one. It is durable once {@link flush} has resolved. */
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
    if (unit.seq <= this.#last) return this.#compare(unit)
    // An item brings one machine.
    if (unit.machine !== undefined) await this.flush()
    this.#units.push(plainUnit(unit))
    if (this.#units.length >= unitsAtOnce) await this.flush()
  }

  /** Has all that were taken made durable. One append after the other. */
  flush(): Promise<void> {
    const flushed = this.#flushing.then(() => this.#append())
    this.#flushing = flushed.catch(() => {})
    return flushed
  }

  async #append(): Promise<void> {
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
    if (head !== undefined) {
      this.#expected = { seq: head.seq, revision: head.revision }
      this.#last = head.seq
      this.#stored = this.#store.read(this.#run, { from: seq, to: head.seq })[Symbol.asyncIterator]()
    }
    if (seq > (head?.seq ?? -1) + 1) {
      throw this.#refused(
        'IMPORT_INVALID',
        seq,
        `the store has it up to unit ${head?.seq ?? 'none'}, and unit ${seq} came`,
      )
    }
    this.#next = seq
  }

  /** Each one that the store has: the last may never come, and whoever stands behind is handed none that it has not got. */
  async #compare({ seq, id }: Unit): Promise<void> {
    const { value: stored } = await this.#stored!.next()
    if (stored?.id === id) return
    throw this.#refused('IMPORT_DIFFERS', seq, `its unit ${seq} is ${stored?.id}, and ${id} came`)
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
