import { batchesOf } from '../batch-stream.ts'
import type { Beside, Mail, MailKey, OutputMark, Store } from '../contracts/store.ts'
import type { NewUnit, SentMail } from '../contracts/unit.ts'
import type { Environment, TimeoutHandle } from '../environment.ts'
import { XMachinesError } from '../errors.ts'
import { undelivered } from '../machine/tell.ts'
import { keyOf, nameOf } from './inbox.ts'
import type { BesideDraft } from './outbox.ts'
import { residencyOf } from './residency.ts'

/** What a postman needs of its run. */
export interface PostmanHome {
  readonly run: string
  readonly store: Store
  readonly environment: Environment
  /** Something is to be written, also if no unit comes that would take it along. */
  touch(): void
  /** Mail cannot be delivered, and trying again would not help. */
  failed(error: XMachinesError): unknown
}

/** A durable unit with mail; what it sends is read again where it is not at hand. */
interface Letters {
  readonly seq: number
  mail: readonly SentMail[] | undefined
}

/** One mail, and the mark after it. */
interface Letter extends SentMail {
  readonly seq: number
  readonly index: number
  readonly next: OutputMark
}

/** Mails that are delivered in one call. */
const batchSize = 256
/** Units whose mail stays at hand while it waits; that of others is read from the store. */
const unitsAtHand = 1024

/**
 * Delivers the mail of a run to inboxes of its store, in the order sent: what a crash interrupts is delivered again, and known
 * there. Answers to mail that this run refused go back the same way.
 */
export class Postman {
  readonly #home: PostmanHome
  #queue: Letters[] = []
  /** Where it stands, and where the store knows that it stands. */
  #mark: OutputMark = { seq: 0, index: 0 }
  #written: OutputMark = this.#mark
  #offered: OutputMark = this.#mark
  /** Answers that are durable, to be delivered. */
  #returns: readonly Mail[] = []
  /** Answers that are delivered, which is still to be written. */
  #returned: MailKey[] = []
  #offeredReturned: readonly MailKey[] = []
  /** Answers to this run itself, still to be written: nobody is there to refuse its mail. */
  #failed: Mail[] = []
  /** What the item on its way makes durable of answers. */
  #entering: readonly Mail[] = []
  #working = false
  #over = false
  #failures = 0
  #pause: { readonly handle: TimeoutHandle; readonly end: () => void } | undefined
  #whenIdle: (() => void)[] = []

  constructor(home: PostmanHome) {
    this.#home = home
  }

  /** Something is to be written. */
  get dirty(): boolean {
    return this.#failed.length + this.#returned.length > 0 || isBefore(this.#written, this.#mark)
  }

  /** Something is on its way: not to be passivated. */
  get busy(): boolean {
    return !this.#over && (this.#working || this.dirty || this.#waits)
  }

  get #waits(): boolean {
    return this.#queue.length + this.#returns.length > 0
  }

  /** What the store says is to be delivered: when the run comes into memory, or somebody else wrote to it. */
  follow({ mailing, mailed, returns }: Pick<Beside, 'mailing' | 'mailed' | 'returns'>): void {
    if (mailed !== null) {
      this.#written = mailed
      if (isBefore(this.#mark, mailed)) this.#mark = mailed
      // Whoever wrote the mark has answered, or delivered, what comes before it.
      this.#failed = this.#failed.filter(({ seq, index }) => !isBefore({ seq, index }, mailed))
    }
    const known = new Map(this.#queue.map(letters => [letters.seq, letters]))
    for (const seq of mailing) if (!known.has(seq)) known.set(seq, { seq, mail: undefined })
    this.#queue = [...known.values()].filter(({ seq }) => seq >= this.#mark.seq).sort((a, b) => a.seq - b.seq)
    this.#returned = this.#returned.filter(key => returns.some(other => nameOf(other) === nameOf(key)))
    const done = new Set(this.#returned.map(nameOf))
    this.#returns = returns.filter(mail => !done.has(nameOf(mail)))
    this.#start()
  }

  /** These units became durable. */
  send(units: Iterable<NewUnit>): void {
    for (const { seq, mail } of units)
      if (mail !== undefined) this.#queue.push({ seq, mail: this.#queue.length < unitsAtHand ? mail : undefined })
    this.#start()
  }

  /**
   * Adds to an item what it is to say. @param units those of the item, unless the run is held
   * @returns whether something is left to be delivered after it
   */
  enter(units: readonly NewUnit[], beside: BesideDraft): boolean {
    const mailing = units.filter(unit => unit.mail !== undefined).map(unit => unit.seq)
    if (mailing.length > 0) beside.mailing = mailing
    if (isBefore(this.#written, this.#mark)) beside.mailed = this.#mark
    if (this.#failed.length > 0) beside.returns = [...(beside.returns ?? []), ...this.#failed]
    if (this.#returned.length > 0) beside.returned = [...this.#returned]
    this.#offered = this.#mark
    this.#offeredReturned = beside.returned ?? []
    this.#entering = beside.returns ?? []
    return this.#waits || mailing.length + this.#entering.length > 0
  }

  /** The item is durable, or nothing of it is. */
  entered(durable: boolean): void {
    if (durable) {
      const own = new Set(this.#entering.map(nameOf))
      this.#written = this.#offered
      this.#failed = this.#failed.filter(mail => !own.has(nameOf(mail)))
      this.#returned = this.#returned.slice(this.#offeredReturned.length)
      this.#returns = [...this.#returns, ...this.#entering]
    }
    this.#entering = this.#offeredReturned = []
    this.#start()
  }

  /** Resolves when everything is delivered and written, or after `timeout`: what is left is in the store. */
  async close(timeout: number): Promise<void> {
    if (this.busy) {
      const { environment } = this.#home
      await new Promise<void>(resolve => {
        const deadline = environment.setTimeout(resolve, timeout)
        this.#whenIdle.push(() => {
          environment.clearTimeout(deadline)
          resolve()
        })
      })
    }
    this.stop()
  }

  stop(): void {
    this.#over = true
    this.#pause?.end()
    this.#tellIdle()
  }

  #start(): void {
    if (this.#over || this.#working || !this.#waits || this.#failed.length > 0) return this.#tellIdle()
    this.#working = true
    void this.#work().finally(() => {
      this.#working = false
      this.#start()
    })
  }

  #tellIdle(): void {
    if (this.#whenIdle.length > 0 && !this.busy) for (const resolve of this.#whenIdle.splice(0)) resolve()
  }

  async #work(): Promise<void> {
    // What nobody could take has to be durable before the mark may pass it by more than one batch.
    while (!this.#over && this.#waits && this.#failed.length === 0) {
      try {
        if (this.#returns.length > 0) await this.#deliverReturns()
        else await this.#deliverLetters()
        this.#failures = 0
      } catch (thrown) {
        if (this.#over) return
        if (XMachinesError.is(thrown) && (!thrown.retryable || thrown.code === 'STORE_LOCKED')) {
          this.#over = true
          return void this.#home.failed(thrown)
        }
        await this.#wait(Math.min(10_000, 100 * 2 ** Math.min(this.#failures++, 7)))
      }
    }
  }

  async #deliverReturns(): Promise<void> {
    const batch = this.#returns.slice(0, batchSize)
    await this.#deliver(batch)
    const done = new Set(batch.map(nameOf))
    this.#returns = this.#returns.filter(mail => !done.has(nameOf(mail)))
    this.#returned.push(...batch.map(keyOf))
    this.#home.touch()
  }

  async #deliverLetters(): Promise<void> {
    const { run: sender } = this.#home
    const batch = await this.#nextLetters()
    const last = batch.at(-1)
    if (last === undefined) return
    const receivers = await this.#find(batch)
    const found = batch.filter(letter => receivers.get(addressOf(letter)) !== undefined)
    const answers = await this.#deliver(
      found.map(letter => {
        const { seq, index, event } = letter
        return { receiver: receivers.get(addressOf(letter))!, sender, seq, index, event }
      }),
    )
    const finished = new Set(found.filter((_, at) => answers[at] === 'finished'))
    const reached = new Set(found.filter((_, at) => answers[at] !== 'unknown'))
    // Somebody else wrote meanwhile, and was further.
    if (isBefore(this.#mark, last.next)) {
      for (const letter of batch) {
        const error = !reached.has(letter) ? noRun(letter) : finished.has(letter) ? ended(letter) : undefined
        if (error === undefined || isBefore(letter, this.#mark)) continue
        const { seq, index } = letter
        this.#failed.push({ receiver: sender, sender, seq, index, failure: true, event: undelivered(letter, error) })
      }
      this.#mark = last.next
    }
    this.#queue = this.#queue.filter(({ seq }) => seq >= this.#mark.seq)
    this.#home.touch()
  }

  /** The next mails to be delivered, from several units. */
  async #nextLetters(): Promise<readonly Letter[]> {
    const batch: Letter[] = []
    for (const letters of this.#queue) {
      const { seq } = letters
      const mail = (letters.mail ??= await this.#read(seq))
      const from = seq === this.#mark.seq ? this.#mark.index : 0
      for (let index = from; index < mail.length && batch.length < batchSize; index++) {
        const next = index + 1 < mail.length ? { seq, index: index + 1 } : { seq: seq + 1, index: 0 }
        batch.push({ ...mail[index]!, seq, index, next })
      }
      if (batch.length === batchSize) break
    }
    // A unit without mail is in no outbox; what is there anyway is passed over.
    if (batch.length === 0) this.#queue = []
    return batch
  }

  async #read(seq: number): Promise<readonly SentMail[]> {
    const { store, run } = this.#home
    for await (const batch of batchesOf(store.read(run, { from: seq, to: seq, ids: false })))
      for (const unit of batch) return unit.mail ?? []
    return []
  }

  async #find(batch: readonly Letter[]): Promise<ReadonlyMap<string, string | undefined>> {
    const found = new Map<string, Promise<string | undefined>>()
    for (const letter of batch) {
      const address = addressOf(letter)
      if (!found.has(address)) found.set(address, this.#home.store.find(letter.to.namespace, letter.to.key))
    }
    return new Map(await Promise.all([...found].map(async ([address, run]) => [address, await run] as const)))
  }

  async #deliver(mail: readonly Mail[]): Promise<readonly ('taken' | 'duplicate' | 'unknown' | 'finished')[]> {
    if (mail.length === 0) return []
    const { store } = this.#home
    const answers = await store.deliver(mail)
    for (const receiver of new Set(mail.map(({ receiver }) => receiver))) residencyOf(store).notice(receiver)
    return answers
  }

  #wait(ms: number): Promise<void> {
    return new Promise(resolve => {
      const { environment } = this.#home
      const end = (): void => {
        environment.clearTimeout(this.#pause!.handle)
        this.#pause = undefined
        resolve()
      }
      this.#pause = { handle: environment.setTimeout(end, ms), end }
    })
  }
}

function addressOf({ to }: SentMail): string {
  return JSON.stringify([to.namespace, to.key])
}

function isBefore(a: OutputMark, b: OutputMark): boolean {
  return a.seq < b.seq || (a.seq === b.seq && a.index < b.index)
}

function noRun({ to: { namespace, key } }: SentMail): XMachinesError {
  return new XMachinesError(
    'RUN_UNKNOWN',
    `The store has no run ${namespace}/${key}. A mail creates none: open the receiver before it is told something.`,
  )
}

function ended({ to: { namespace, key }, event }: SentMail): XMachinesError {
  return new XMachinesError('RUN_FINISHED', `Run ${namespace}/${key} has ended and takes no mail '${event.type}'.`)
}
