import type { OutgoingRecord } from '../contracts/broker.ts'
import type { AppendOutcome, Refusal, RunHead, Store } from '../contracts/store.ts'
import type { NewUnit, SourcePosition } from '../contracts/unit.ts'
import type { XMachinesError } from '../errors.ts'
import type { AdoptedUnit } from '../run/command.ts'
import type { BesideDraft, RunOutbox } from '../run/outbox.ts'
import type { Parcel, ParcelOwner, Sender } from './sender.ts'
import { UnsentOutputs } from './unsent-outputs.ts'

/** What an outbox needs of its lease. */
export interface OutboxHome {
  readonly store: Store
  /** Where outputs go, if they do. */
  readonly results: Sender | undefined
  readonly deadLetters: Sender | undefined
  /** Whose parcels it sends. */
  readonly owner: ParcelOwner
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
  /** Outputs that wait; `undefined` where nobody takes any. */
  readonly #outputs: UnsentOutputs | undefined
  /** The last unit that the store has in the outbox, and the last one that it knows to be sent. */
  #entered = -1
  #published = -1
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
    this.#outputs = home.results && new UnsentOutputs(run, key, home.store, outbox)
    this.#entered = Math.max(this.#published, this.#outputs?.last ?? -1)
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
    return this.#outputs?.empty !== false && this.#outstanding.size === 0
  }

  get dirty(): boolean {
    const mark = this.#outputs?.mark
    return this.#acknowledged.length > 0 || (mark !== undefined && mark.seq > this.#published)
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
    if (this.#outputs !== undefined) {
      for (const { seq, outputs } of units) {
        if (outputs.length === 0) continue
        ;((beside.outbox ??= []) as number[]).push(seq)
        entered = seq
      }
    }
    let published = this.#published
    const mark = this.#outputs?.mark
    if (mark !== undefined && mark.seq > published) {
      beside.published = mark
      published = mark.seq
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
    const outputs = this.#outputs
    if (outputs === undefined) return
    for (const { unit } of units) {
      if (unit.outputs.length === 0 || unit.seq > this.#entered) continue
      const known = outputs.last ?? outputs.mark?.seq ?? this.#published
      if (unit.seq > known) outputs.add(unit)
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

  get owner(): ParcelOwner {
    return this.#home.owner
  }

  isOver(): boolean {
    return this.#over
  }

  records(): readonly OutgoingRecord[] | Promise<readonly OutgoingRecord[]> {
    return this.#outputs!.records()
  }

  sent(): void {
    this.#home.outputsSent(this.#outputs!.sent())
    this.#acted()
    this.#send()
  }

  /** A run with such a history is brought back, then parked; once it is, its outputs stay in the store. */
  unreadable(error: XMachinesError): void {
    if (!this.#parked) return this.end(error)
    this.#outputs?.clear()
    this.#entered = this.#published
    this.#unserved = true
    this.#settleFlushes()
  }

  /** It ends the run's life here, and with it this. */
  failed(error: XMachinesError): void {
    this.#home.sendFailed(error)
  }

  #send(): void {
    if (!this.#over && this.#outputs?.claim() === true) this.#home.results!.push(this)
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

  get owner(): ParcelOwner {
    return this.#outbox.owner
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
