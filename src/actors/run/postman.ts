import type { Beside, Mail, MailKey, OutputMark } from '../contracts/store.ts'
import type { NewUnit, SentEnd, SentMail, SentRestart, SentSpawn } from '../contracts/unit.ts'
import type { TimeoutHandle } from '../environment.ts'
import { XMachinesError } from '../errors.ts'
import { type DeliveryHome, deliver, deliverLetters } from './delivery.ts'
import { keyOf, nameOf } from './inbox.ts'
import { links } from './kinship.ts'
import { type Letter, Letters } from './letters.ts'
import { turnOf } from './mail-turns.ts'
import type { BesideDraft } from './outbox.ts'
import { Spawner, type SpawnerHome } from './spawner.ts'
import { timeLeft } from './time-left.ts'

/** What a postman needs of its run. */
export interface PostmanHome extends SpawnerHome, DeliveryHome {
  /** Something is to be written, also if no unit comes that would take it along. */
  touch(): void
  /** Mail cannot be delivered, and trying again would not help. */
  failed(error: XMachinesError): unknown
}

/** The first restart of a child comes so long after it failed, ms, each further one after twice as long; at most {@link longestRestart}. */
const firstRestart = 100
/** Less than a close waits: a failed child goes out of memory, and its successor has to be there by then. */
const longestRestart = 3200
/** Mails that are delivered, and children that are created, at a time. */
const batchSize = 256

/**
 * Delivers the mail of a run to inboxes of its store, in the order sent, and has its child runs created: what a crash
 * interrupts is done again, and known there. Answers to mail that this run refused go back the same way.
 */
export class Postman {
  readonly #home: PostmanHome
  readonly #letters: Letters
  /** Made with the first child run: most runs have none. */
  #spawner: Spawner | undefined
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
  #gaveUp = false
  #failures = 0
  #pause: { readonly handle: TimeoutHandle; readonly end: () => void } | undefined
  #whenIdle: (() => void)[] = []

  constructor(home: PostmanHome) {
    this.#home = home
    this.#letters = new Letters(home.run, home.store)
  }

  /** Something is to be written. */
  get dirty(): boolean {
    return this.#failed.length + this.#returned.length > 0 || isBefore(this.#written, this.#mark)
  }

  /** Something is on its way, or children have something under way: not to be passivated. */
  get busy(): boolean {
    return this.#delivers || (!this.#over && this.#spawner?.busy === true)
  }

  /** Something is to be delivered, and trying again may help. */
  get owes(): boolean {
    return this.#waits && !this.#gaveUp
  }

  get #delivers(): boolean {
    return !this.#over && (this.#working || this.dirty || this.#waits)
  }

  get #waits(): boolean {
    return this.#letters.units + this.#returns.length > 0
  }

  /** What the store says is to be delivered: when the run comes into memory, or somebody else wrote to it. */
  follow({ mailing, mailed, returns }: Pick<Beside, 'mailing' | 'mailed' | 'returns'>): void {
    if (mailed !== null) {
      this.#written = mailed
      if (isBefore(this.#mark, mailed)) this.#mark = mailed
      // Whoever wrote the mark has answered, or delivered, what comes before it.
      this.#failed = this.#failed.filter(({ seq, index }) => !isBefore({ seq, index }, mailed))
    }
    this.#letters.merge(mailing)
    this.#letters.pass(this.#mark)
    this.#returned = this.#returned.filter(key => returns.some(other => nameOf(other) === nameOf(key)))
    const done = new Set(this.#returned.map(nameOf))
    this.#returns = returns.filter(mail => !done.has(nameOf(mail)))
    this.#start()
  }

  /** These units became durable. */
  send(units: Iterable<NewUnit>): void {
    this.#letters.add(units)
    this.#start()
  }

  /**
   * Adds to an item what it is to say. @param units those of the item, unless the run is held
   * @returns whether something is left to be delivered after it
   */
  enter(units: readonly NewUnit[], beside: BesideDraft): boolean {
    const mailing = units.filter(unit => unit.mail !== undefined).map(unit => unit.seq)
    if (mailing.length > 0) beside.mailing = mailing
    if (mailing.length > 0 && units.some(({ mail }) => links(mail))) beside.linked = true
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
      this.#written = this.#offered
      if (this.#offeredReturned.length > 0) this.#returned = this.#returned.slice(this.#offeredReturned.length)
      if (this.#entering.length > 0) {
        const own = new Set(this.#entering.map(nameOf))
        this.#failed = this.#failed.filter(mail => !own.has(nameOf(mail)))
        this.#returns = [...this.#returns, ...this.#entering]
      }
    }
    this.#entering = this.#offeredReturned = []
    this.#start()
  }

  /** Resolves when everything is delivered and written, and no child is in memory for it; after `timeout`, what is left is in the store. */
  async close(timeout: number): Promise<void> {
    const { environment } = this.#home
    const left = timeLeft(environment, timeout)
    if (this.#delivers) {
      await new Promise<void>(resolve => {
        const deadline = environment.setTimeout(resolve, timeout)
        this.#whenIdle.push(() => {
          environment.clearTimeout(deadline)
          resolve()
        })
      })
    }
    this.#over = true
    await this.#spawner?.close(left())
    this.stop()
  }

  stop(): void {
    this.#over = true
    this.#pause?.end()
    this.#tellIdle()
    void this.#spawner?.close(0)
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
    if (this.#whenIdle.length > 0 && !this.#delivers) for (const resolve of this.#whenIdle.splice(0)) resolve()
  }

  async #work(): Promise<void> {
    // What nobody could take has to be durable before the mark may pass it by more than one batch.
    while (!this.#over && this.#waits && this.#failed.length === 0) {
      try {
        const turn = turnOf(this.#home.environment)
        if (turn !== undefined) await turn
        if (this.#over) return
        if (this.#returns.length > 0) await this.#deliverReturns()
        else await this.#deliverLetters()
        this.#failures = 0
      } catch (thrown) {
        if (this.#over) return
        if (XMachinesError.is(thrown) && (!thrown.retryable || thrown.code === 'STORE_LOCKED')) {
          this.#over = this.#gaveUp = true
          return void this.#home.failed(thrown)
        }
        await this.#wait(Math.min(10_000, 100 * 2 ** Math.min(this.#failures++, 7)))
      }
    }
  }

  async #deliverReturns(): Promise<void> {
    const batch = this.#returns.slice(0, batchSize)
    await deliver(this.#home, batch)
    const done = new Set(batch.map(nameOf))
    this.#returns = this.#returns.filter(mail => !done.has(nameOf(mail)))
    this.#returned.push(...batch.map(keyOf))
    this.#home.touch()
  }

  async #deliverLetters(): Promise<void> {
    const batch = await this.#letters.next(this.#mark, batchSize)
    const last = batch.at(-1)
    if (last === undefined) return
    // Children first: whoever starts one may write to it in the same breath.
    const spawns = batch.filter(isSpawn)
    const failed: Mail[] = spawns.length === 0 ? [] : [...(await this.#children().spawn(spawns))]
    const undeliverable = await deliverLetters(this.#home, batch.filter(isMail))
    // The last things that a run sends.
    if ('stop' in last.sent) await this.#children().stopChildren(last)
    const again = batch.filter(isRestart)
    if (again.length > 0) {
      await this.#untilRestart(again[0]!)
      if (this.#over) return
      failed.push(...(await this.#children().spawn(again)))
    }
    // Somebody else wrote meanwhile, and was further.
    if (isBefore(this.#mark, last.next)) {
      const answers = [...failed, ...undeliverable].filter(mail => !isBefore(mail, this.#mark))
      this.#failed.push(...answers.sort((a, b) => (isBefore(a, b) ? -1 : 1)))
      this.#mark = last.next
    }
    this.#letters.pass(this.#mark)
    this.#home.touch()
  }

  #children(): Spawner {
    this.#spawner ??= new Spawner(this.#home)
    return this.#spawner
  }

  /** What fails at once must not be restarted as fast as it fails. Under source time nobody waits. */
  async #untilRestart({ sent, at }: Letter<SentRestart>): Promise<void> {
    const { environment, time } = this.#home
    if (time === 'source') return
    const pause = Math.min(longestRestart, firstRestart * 2 ** Math.min(sent.restart - 1, 10))
    const left = Math.min(pause, at + pause - environment.now())
    if (left > 0) await this.#wait(left)
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

function isSpawn(letter: Letter): letter is Letter<SentSpawn> {
  return 'policy' in letter.sent
}

function isRestart(letter: Letter): letter is Letter<SentRestart> {
  return 'restart' in letter.sent
}

function isMail(letter: Letter): letter is Letter<SentMail | SentEnd> {
  return 'event' in letter.sent
}

function isBefore(a: OutputMark, b: OutputMark): boolean {
  return a.seq < b.seq || (a.seq === b.seq && a.index < b.index)
}
