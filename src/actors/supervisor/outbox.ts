import { batchesOf } from '../batch-stream.ts'
import type { OutgoingRecord } from '../contracts/broker.ts'
import type { AppendOutcome, OutputMark, Refusal, RunHead, Store } from '../contracts/store.ts'
import type { NewUnit, SourcePosition } from '../contracts/unit.ts'
import { XMachinesError } from '../errors.ts'
import type { AdoptedUnit } from '../run/command.ts'
import type { BesideDraft, RunOutbox } from '../run/outbox.ts'
import { resultsOf } from './result.ts'
import type { Parcel, Sender } from './sender.ts'

/** What an outbox needs of its lease. */
export interface OutboxHome {
  readonly store: Store
  /** Where outputs go, if they do. */
  readonly results: Sender | undefined
  readonly deadLetters: Sender | undefined
  /** The dead letter of a refused record. */
  letterOf(refusal: Refusal): OutgoingRecord
  /** Something is to be written of this outbox, without haste. */
  writeSoon(outbox: Outbox): void
  outputsSent(count: number): void
  deadLettered(key: string | undefined, refusal: Refusal): void
  /** The store refused an item of the run: its lease is over. */
  appendFenced(): void
  /** The run is out of memory. */
  gone(outbox: Outbox): void
  /** The topic does not take what is to be sent, for good. */
  sendFailed(error: XMachinesError): void
}

/** Whoever writes items of the run: its resident, or what stands in for one. */
export interface OutboxWriter {
  /** Asks for the next item soon. */
  touch(): void
  /** Ends the run's life in memory. */
  end(error: XMachinesError): void
}

/** Units whose outputs are kept in memory until they are sent; of those beyond, only the seq. */
const unitsInMemory = 256
/** Units of one send. */
const unitsAtOnce = 256

/** A refusal that is kept, and what waits for its dead letter. */
interface Outstanding {
  readonly refusal: Refusal
  readonly acknowledged: (() => void)[]
}

/**
 * What one run has to send: its outputs to the result topic, its refused records to the dead letters. Both are durable
 * before they are sent, and are sent again, with the same ids, until the store knows of the acknowledgement.
 */
export class Outbox implements RunOutbox {
  readonly run: string
  readonly key: string | undefined
  readonly #home: OutboxHome
  readonly #parked: boolean
  #writer: OutboxWriter | undefined
  #over = false
  /** Units with outputs, durable and not acknowledged, oldest first; a number is one that is still to be read. */
  #unsent: (NewUnit | number)[]
  #inMemory = 0
  /** How many of {@link #unsent} are with the sender. */
  #sending = 0
  /** The last unit that the store has in the outbox, and the last one that it knows to be sent. */
  #entered = -1
  #published = -1
  /** What the result topic acknowledged last. */
  #mark: OutputMark | undefined
  /** Refusals that the store has, by source and position; those that are acknowledged and not yet written. */
  readonly #outstanding = new Map<string, Outstanding>()
  #acknowledged: SourcePosition[] = []
  /** Refusals so far, and those of them that the store has no more. */
  #kept = 0
  #cleared = 0
  /** What went into the item that is under way. */
  #inItem: { readonly entered: number; readonly acknowledged: SourcePosition[]; readonly published: number } | undefined
  /** Whether the store knows that the run needs its owner for this. */
  #attention: boolean
  /** There is something that only an owner with `results`, or with `deadLetters`, can send. */
  #unserved: boolean
  due: number | undefined
  /** Called when nothing waits to be acknowledged any more. */
  onQuiet: (() => void) | undefined
  #flushes: { readonly entered: number; readonly kept: number; readonly resolve: () => void }[] = []

  /** @param head the run as it is kept; `undefined`: a new one @param parked its history may be unreadable */
  constructor(run: string, key: string | undefined, head: RunHead | undefined, parked: boolean, home: OutboxHome) {
    this.run = run
    this.key = key
    this.#parked = parked
    this.#home = home
    const { outbox = [], refusals = [], published = null } = head?.beside ?? {}
    this.#attention = outbox.length + refusals.length > 0
    this.#unserved = outbox.length > 0 && home.results === undefined
    this.#published = published?.seq ?? -1
    this.#unsent = home.results === undefined ? [] : [...outbox]
    this.#entered = Math.max(this.#published, (this.#unsent.at(-1) as number | undefined) ?? -1)
    if (home.deadLetters !== undefined) for (const refusal of refusals) this.deadLetter(refusal)
    else if (refusals.length > 0) this.#unserved = true
    this.due = this.#attention ? 0 : undefined
  }

  attach(writer: OutboxWriter): void {
    this.#writer = writer
    this.#send()
  }

  /** Nothing waits to be acknowledged. */
  get quiet(): boolean {
    return this.#unsent.length === 0 && this.#outstanding.size === 0
  }

  get dirty(): boolean {
    return this.#acknowledged.length > 0 || (this.#mark !== undefined && this.#mark.seq > this.#published)
  }

  /** Sends the dead letter of a refusal that is durable. `acknowledged` is called once it has arrived. */
  deadLetter(refusal: Refusal, acknowledged?: () => void): void {
    const outstanding = { refusal, acknowledged: acknowledged === undefined ? [] : [acknowledged] }
    this.#outstanding.set(nameOf(refusal), outstanding)
    this.#kept++
    this.#home.deadLetters?.push(new DeadLetter(this, outstanding))
  }

  /** Calls `acknowledged` once the dead letter of the record at `source` has arrived; answers whether there is one to wait for. */
  await(source: SourcePosition, acknowledged: () => void): boolean {
    const outstanding = this.#outstanding.get(nameOf(source))
    outstanding?.acknowledged.push(acknowledged)
    return outstanding !== undefined
  }

  /** Resolves when all that is in it now is sent, and the store knows; or when the run is over here. */
  flush(): Promise<void> {
    if (this.#over || (this.#published >= this.#entered && this.#cleared >= this.#kept)) return Promise.resolve()
    return new Promise(resolve => {
      this.#flushes.push({ entered: this.#entered, kept: this.#kept, resolve })
      if (this.dirty) this.#writer?.touch()
    })
  }

  /** Asks for an item if there is something to write. */
  write(): void {
    if (!this.#over && this.dirty) this.#writer?.touch()
  }

  // RunOutbox: what goes along with the run's items.

  enter(units: readonly NewUnit[], refused: number, beside: BesideDraft): boolean {
    let entered = this.#entered
    if (this.#home.results !== undefined) {
      for (const { seq, outputs } of units) {
        if (outputs.length === 0) continue
        ;((beside.outbox ??= []) as number[]).push(seq)
        entered = seq
      }
    }
    let published = this.#published
    if (this.#mark !== undefined && this.#mark.seq > published) {
      beside.published = this.#mark
      published = this.#mark.seq
    }
    const acknowledged = this.#acknowledged
    if (acknowledged.length > 0) {
      beside.acknowledged = acknowledged
      this.#acknowledged = []
    }
    this.#inItem = { entered, published, acknowledged }
    const stored = this.#kept - this.#cleared
    const attention = this.#unserved || entered > published || stored + refused - acknowledged.length > 0
    if (attention === this.#attention) return false
    this.due = attention ? 0 : undefined
    return true
  }

  entered(status: AppendOutcome['status']): void {
    if (status === 'fenced') this.#home.appendFenced()
    const item = this.#inItem
    if (item === undefined) return
    this.#inItem = undefined
    if (status !== 'appended') {
      this.#acknowledged = [...item.acknowledged, ...this.#acknowledged]
      this.due = this.#attention ? 0 : undefined
      return
    }
    this.#entered = item.entered
    this.#published = item.published
    this.#cleared += item.acknowledged.length
    this.#attention = this.due === 0
    if (this.#flushes.length > 0) this.#settleFlushes()
  }

  // Observer: units became durable.

  adopted(units: readonly AdoptedUnit[]): void {
    if (this.#home.results === undefined) return
    for (const { unit } of units) {
      if (unit.outputs.length === 0 || unit.seq <= this.#lastUnsent() || unit.seq > this.#entered) continue
      const fits = this.#inMemory < unitsInMemory
      this.#unsent.push(fits ? unit : unit.seq)
      if (fits) this.#inMemory++
    }
    this.#send()
  }

  refused(): void {}

  /** Ends the run's life in memory, and with it this. */
  end(error: XMachinesError): void {
    this.#writer?.end(error)
  }

  /** The resident is over: what is not sent yet is the next owner's. */
  ended(): void {
    this.#over = true
    this.#home.gone(this)
    for (const { resolve } of this.#flushes.splice(0)) resolve()
  }

  // Parcel of outputs.

  isOver(): boolean {
    return this.#over
  }

  records(): readonly OutgoingRecord[] | Promise<readonly OutgoingRecord[]> {
    const units: NewUnit[] = []
    const unread: number[] = []
    for (const unit of this.#unsent) {
      if (units.length + unread.length >= unitsAtOnce) break
      if (typeof unit === 'number' && units.length === 0) unread.push(unit)
      else if (typeof unit !== 'number' && unread.length === 0) units.push(unit)
      else break
    }
    return unread.length > 0 ? this.#read(unread) : this.#take(units)
  }

  sent(): void {
    const units = this.#unsent.splice(0, this.#sending)
    this.#sending = 0
    let count = 0
    for (const unit of units) {
      if (typeof unit === 'number') continue
      this.#inMemory--
      count += unit.outputs.length
      this.#mark = { seq: unit.seq, index: unit.outputs.length - 1 }
    }
    this.#home.outputsSent(count)
    this.#acted()
    this.#send()
  }

  /** A run with such a history is brought back, then parked; once it is, its outputs stay in the store. */
  unreadable(error: XMachinesError): void {
    if (!this.#parked) return this.end(error)
    this.#unsent = []
    this.#sending = this.#inMemory = 0
    this.#entered = this.#published
    this.#unserved = true
    this.#settleFlushes()
  }

  /** It ends the run's life here, and with it this. */
  failed(error: XMachinesError): void {
    this.#home.sendFailed(error)
  }

  #lastUnsent(): number {
    const last = this.#unsent.at(-1)
    return last === undefined ? (this.#mark?.seq ?? this.#published) : typeof last === 'number' ? last : last.seq
  }

  #take(units: readonly NewUnit[]): readonly OutgoingRecord[] {
    this.#sending = units.length
    return units.flatMap(unit => resultsOf(this.run, this.key, unit))
  }

  /** Units that left memory, or never were in it, come back from the store. */
  async #read(seqs: readonly number[]): Promise<readonly OutgoingRecord[]> {
    const wanted = new Set(seqs)
    const found: NewUnit[] = []
    const range = { from: seqs[0]!, to: seqs.at(-1)!, ids: false }
    for await (const batch of batchesOf(this.#home.store.read(this.run, range)))
      for (const unit of batch) if (wanted.has(unit.seq)) found.push(unit)
    if (found.length < seqs.length)
      throw new XMachinesError(
        'RUN_DAMAGED',
        `Run ${this.run} has outputs to send of units that its history has not: ${seqs.join(', ')}.`,
        { details: { run: this.run } },
      )
    this.#unsent.splice(0, found.length, ...found)
    this.#inMemory += found.length
    return this.#take(found)
  }

  #send(): void {
    if (this.#sending > 0 || this.#unsent.length === 0 || this.#over || this.#home.results === undefined) return
    this.#sending = 1 // with the sender: it says how many when it takes them
    this.#home.results.push(this)
  }

  /** @internal */
  letterOf(refusal: Refusal): OutgoingRecord {
    return this.#home.letterOf(refusal)
  }

  /** @internal A dead letter has arrived. */
  letterSent({ refusal, acknowledged }: Outstanding): void {
    this.#outstanding.delete(nameOf(refusal))
    this.#acknowledged.push({ id: refusal.id, position: refusal.position })
    this.#home.deadLettered(this.key, refusal)
    for (const call of acknowledged) call()
    this.#acted()
  }

  /** Something can be written: at once where somebody waits, else with the run's next item or a little later. */
  #acted(): void {
    if (this.quiet) this.onQuiet?.()
    if (this.#flushes.length > 0) this.#writer?.touch()
    else this.#home.writeSoon(this)
  }

  #settleFlushes(): void {
    const done = ({ entered, kept }: { readonly entered: number; readonly kept: number }): boolean =>
      this.#published >= entered && this.#cleared >= kept
    const settled = this.#flushes.filter(done)
    this.#flushes = this.#flushes.filter(flush => !done(flush))
    for (const { resolve } of settled) resolve()
    if (this.#flushes.length > 0 && this.dirty) this.#writer?.touch()
  }
}

/** One refused record on its way. */
class DeadLetter implements Parcel {
  readonly #outbox: Outbox
  readonly #outstanding: Outstanding

  constructor(outbox: Outbox, outstanding: Outstanding) {
    this.#outbox = outbox
    this.#outstanding = outstanding
  }

  isOver(): boolean {
    return this.#outbox.isOver()
  }

  records(): readonly OutgoingRecord[] {
    return [this.#outbox.letterOf(this.#outstanding.refusal)]
  }

  sent(): void {
    this.#outbox.letterSent(this.#outstanding)
  }

  unreadable(error: XMachinesError): void {
    this.#outbox.end(error)
  }

  failed(error: XMachinesError): void {
    this.#outbox.failed(error)
  }
}

function nameOf({ id, position }: SourcePosition): string {
  return `${id}/${position}`
}
