import { batchesOf } from '../batch-stream.ts'
import type { OutgoingRecord } from '../contracts/broker.ts'
import type { OutputMark, Store } from '../contracts/store.ts'
import type { NewUnit } from '../contracts/unit.ts'
import { XMachinesError } from '../errors.ts'
import { resultsOf } from './result.ts'

/** Units whose outputs are kept in memory until they are sent; of those beyond, only the seq. */
const unitsInMemory = 256
/** Units of one send. */
const unitsAtOnce = 256

/** Outputs of one run that are durable and not acknowledged, oldest first. What is not in memory is read from the store. */
export class UnsentOutputs {
  readonly #run: string
  readonly #key: string | undefined
  readonly #store: Store
  /** A number is a unit that is still to be read. */
  #units: (NewUnit | number)[]
  #inMemory = 0
  /** How many of {@link #units} are with the sender. */
  #sending = 0
  #mark: OutputMark | undefined

  /** @param seqs the units that the store has in the outbox */
  constructor(run: string, key: string | undefined, store: Store, seqs: readonly number[]) {
    this.#run = run
    this.#key = key
    this.#store = store
    this.#units = [...seqs]
  }

  get empty(): boolean {
    return this.#units.length === 0
  }

  /** What the result topic acknowledged last. */
  get mark(): OutputMark | undefined {
    return this.#mark
  }

  /** The seq of the newest one. */
  get last(): number | undefined {
    const last = this.#units.at(-1)
    return typeof last === 'object' ? last.seq : last
  }

  /** A unit with outputs became durable. */
  add(unit: NewUnit): void {
    const fits = this.#inMemory < unitsInMemory
    this.#units.push(fits ? unit : unit.seq)
    if (fits) this.#inMemory++
  }

  /** Whether the sender is to be told: there is something to send, and nothing is with it. */
  claim(): boolean {
    if (this.#sending > 0 || this.#units.length === 0) return false
    this.#sending = 1 // with the sender: it says how many when it takes them
    return true
  }

  /** The next ones, asked again where the sending failed. */
  records(): readonly OutgoingRecord[] | Promise<readonly OutgoingRecord[]> {
    const units: NewUnit[] = []
    const unread: number[] = []
    for (const unit of this.#units) {
      if (units.length + unread.length >= unitsAtOnce) break
      if (typeof unit === 'number' && units.length === 0) unread.push(unit)
      else if (typeof unit !== 'number' && unread.length === 0) units.push(unit)
      else break
    }
    return unread.length > 0 ? this.#read(unread) : this.#take(units)
  }

  /** Those are acknowledged. Answers how many outputs they were. */
  sent(): number {
    const units = this.#units.splice(0, this.#sending)
    this.#sending = 0
    let count = 0
    for (const unit of units) {
      if (typeof unit === 'number') continue
      this.#inMemory--
      count += unit.outputs.length
      this.#mark = { seq: unit.seq, index: unit.outputs.length - 1 }
    }
    return count
  }

  /** They cannot be read: none of them is sent from here. */
  clear(): void {
    this.#units = []
    this.#sending = this.#inMemory = 0
  }

  #take(units: readonly NewUnit[]): readonly OutgoingRecord[] {
    this.#sending = units.length
    return units.flatMap(unit => resultsOf(this.#run, this.#key, unit))
  }

  /** Units that left memory, or never were in it, come back from the store. */
  async #read(seqs: readonly number[]): Promise<readonly OutgoingRecord[]> {
    const wanted = new Set(seqs)
    const found: NewUnit[] = []
    const range = { from: seqs[0]!, to: seqs.at(-1)!, ids: false }
    for await (const batch of batchesOf(this.#store.read(this.#run, range)))
      for (const unit of batch) if (wanted.has(unit.seq)) found.push(unit)
    if (found.length < seqs.length)
      throw new XMachinesError(
        'RUN_DAMAGED',
        `Run ${this.#run} has outputs to send of units that its history has not: ${seqs.join(', ')}.`,
        { details: { run: this.#run } },
      )
    this.#units.splice(0, found.length, ...found)
    this.#inMemory += found.length
    return this.#take(found)
  }
}
