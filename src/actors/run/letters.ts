import { batchesOf } from '../batch-stream.ts'
import type { OutputMark, Store } from '../contracts/store.ts'
import type { NewUnit, Sent, TraceContext } from '../contracts/unit.ts'

/** One thing that a run sent, and the mark after it. */
export interface Letter<T extends Sent = Sent> {
  readonly sent: T
  readonly seq: number
  readonly index: number
  /** The unit's time, ms. */
  readonly at: number
  readonly next: OutputMark
  /** Of its unit. */
  readonly trace: TraceContext | undefined
}

/** A durable unit with mail; what it sends is read again where it is not at hand. */
interface Sheaf {
  readonly seq: number
  unit: Pick<NewUnit, 'at' | 'mail' | 'trace'> | undefined
}

/** Mail that stays at hand while it waits; other mail is read from the store. */
const mostAtHand = 1024

/** What a run has sent, durably, and is still to be delivered, in the order sent. */
export class Letters {
  readonly #run: string
  readonly #store: Store
  #sheaves: Sheaf[] = []
  #atHand = 0

  constructor(run: string, store: Store) {
    this.#run = run
    this.#store = store
  }

  /** How many units have mail here. */
  get units(): number {
    return this.#sheaves.length
  }

  /** These became durable. */
  add(units: Iterable<NewUnit>): void {
    for (const unit of units)
      if (unit.mail !== undefined) {
        const isAtHand = this.#atHand < mostAtHand
        if (isAtHand) this.#atHand += unit.mail.length
        this.#sheaves.push({ seq: unit.seq, unit: isAtHand ? unit : undefined })
      }
  }

  /** These wait, as the store says; some may be known. */
  merge(seqs: readonly number[]): void {
    const known = new Set(this.#sheaves.map(({ seq }) => seq))
    const more = seqs.filter(seq => !known.has(seq)).map((seq): Sheaf => ({ seq, unit: undefined }))
    this.#sheaves = [...this.#sheaves, ...more].sort((a, b) => a.seq - b.seq)
  }

  /** All before `mark` is delivered. */
  pass(mark: OutputMark): void {
    const first = this.#sheaves.findIndex(({ seq }) => seq >= mark.seq)
    for (const { unit } of this.#sheaves.splice(0, first < 0 ? this.#sheaves.length : first))
      this.#atHand -= unit?.mail?.length ?? 0
  }

  /** The next ones from `mark` on, from several units. */
  async next(mark: OutputMark, limit: number): Promise<readonly Letter[]> {
    const letters: Letter[] = []
    for (const sheaf of this.#sheaves) {
      const { seq } = sheaf
      if (sheaf.unit === undefined) {
        sheaf.unit = await this.#read(seq)
        this.#atHand += sheaf.unit.mail?.length ?? 0
      }
      const { at, mail = [], trace } = sheaf.unit
      for (let index = seq === mark.seq ? mark.index : 0; index < mail.length && letters.length < limit; index++) {
        const next = index + 1 < mail.length ? { seq, index: index + 1 } : { seq: seq + 1, index: 0 }
        letters.push({ sent: mail[index]!, seq, index, at, next, trace })
      }
      if (letters.length === limit) break
    }
    // A unit without mail is in no outbox; what is there anyway is passed over.
    if (letters.length === 0)
      this.#sheaves = this.#sheaves.filter(({ unit }) => unit === undefined || (unit.mail?.length ?? 0) > 0)
    return letters
  }

  async #read(seq: number): Promise<Pick<NewUnit, 'at' | 'mail' | 'trace'>> {
    for await (const batch of batchesOf(this.#store.read(this.#run, { from: seq, to: seq, ids: false })))
      for (const unit of batch) return unit
    return { at: 0 }
  }
}
