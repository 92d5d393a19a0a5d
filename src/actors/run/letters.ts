import { batchesOf } from '../batch-stream.ts'
import type { OutputMark, Store } from '../contracts/store.ts'
import type { NewUnit, SentMail, TraceContext } from '../contracts/unit.ts'

/** One mail of a run, and the mark after it. */
export interface Letter extends SentMail {
  readonly seq: number
  readonly index: number
  readonly next: OutputMark
  /** Of its unit. */
  readonly trace: TraceContext | undefined
}

/** A durable unit with mail; what it sends is read again where it is not at hand. */
interface Sheaf {
  readonly seq: number
  mail: readonly SentMail[] | undefined
  trace: TraceContext | undefined
}

/** Units whose mail stays at hand while it waits; that of others is read from the store. */
const unitsAtHand = 1024

/** The durable mail of a run that is still to be delivered, in the order sent. */
export class Letters {
  readonly #run: string
  readonly #store: Store
  #sheaves: Sheaf[] = []

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
    for (const { seq, mail, trace } of units)
      if (mail !== undefined) this.#sheaves.push({ seq, mail: this.units < unitsAtHand ? mail : undefined, trace })
  }

  /** These wait, as the store says; some may be known. */
  merge(seqs: readonly number[]): void {
    const known = new Set(this.#sheaves.map(({ seq }) => seq))
    const more = seqs.filter(seq => !known.has(seq)).map((seq): Sheaf => ({ seq, mail: undefined, trace: undefined }))
    this.#sheaves = [...this.#sheaves, ...more].sort((a, b) => a.seq - b.seq)
  }

  /** All before `mark` is delivered. */
  pass(mark: OutputMark): void {
    this.#sheaves = this.#sheaves.filter(({ seq }) => seq >= mark.seq)
  }

  /** The next ones from `mark` on, from several units. */
  async next(mark: OutputMark, limit: number): Promise<readonly Letter[]> {
    const letters: Letter[] = []
    for (const sheaf of this.#sheaves) {
      const { seq } = sheaf
      if (sheaf.mail === undefined) Object.assign(sheaf, await this.#read(seq))
      const { trace } = sheaf
      const mail = sheaf.mail!
      for (let index = seq === mark.seq ? mark.index : 0; index < mail.length && letters.length < limit; index++) {
        const next = index + 1 < mail.length ? { seq, index: index + 1 } : { seq: seq + 1, index: 0 }
        letters.push({ ...mail[index]!, seq, index, next, trace })
      }
      if (letters.length === limit) break
    }
    // A unit without mail is in no outbox; what is there anyway is passed over.
    if (letters.length === 0) this.#sheaves = this.#sheaves.filter(({ mail }) => mail === undefined || mail.length > 0)
    return letters
  }

  async #read(seq: number): Promise<Omit<Sheaf, 'seq'>> {
    for await (const batch of batchesOf(this.#store.read(this.#run, { from: seq, to: seq, ids: false })))
      for (const { mail = [], trace } of batch) return { mail, trace }
    return { mail: [], trace: undefined }
  }
}
