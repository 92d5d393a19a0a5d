import type { AppendItem, AppendOutcome, Mail, MailKey, Store } from '../../../src/actors/contracts/store.ts'
import { XMachinesError } from '../../../src/actors/errors.ts'
import type { Random } from '../../../src/testing/simulation/random.ts'
import { deepFreeze, type TestRun, testUnit } from '../../../src/testing/store-conformance/test-run.ts'

/** Where a writer believes that a run stands. */
interface Belief {
  seq: number
  revision: number
}

/** What writers were told, to be held against what the server has. */
export class Ledger {
  /** Run → seq → the name of the unit that was acknowledged there. */
  readonly acknowledged = new Map<string, Map<number, string>>()
  /** Names of units that may have been written. */
  readonly unknown = new Set<string>()
  /** Mail that was answered `taken`, by receiver and seq. */
  readonly delivered = new Set<string>()
  /** Mail that an acknowledged item took. */
  readonly taken = new Set<string>()
  /** Mail of which the answer was lost. */
  readonly perhaps = new Set<string>()
  readonly outcomes: Record<string, number> = {}

  count(what: string): void {
    this.outcomes[what] = (this.outcomes[what] ?? 0) + 1
  }
}

const passing = ['STORE_UNAVAILABLE', 'STORE_OUTCOME_UNKNOWN']

/** One of several that write to the same runs at once, each believing what it last saw. */
export class Writer {
  readonly #name: string
  readonly #store: Store
  readonly #runs: readonly TestRun[]
  readonly #ledger: Ledger
  readonly #random: Random
  readonly #beliefs = new Map<string, Belief>()
  #units = 0
  #mail = 0

  constructor(name: string, store: Store, runs: readonly TestRun[], ledger: Ledger, random: Random) {
    this.#name = name
    this.#store = store
    this.#runs = runs
    this.#ledger = ledger
    this.#random = random
  }

  /** One operation: mostly an append to several runs. */
  async step(): Promise<void> {
    const chance = this.#random()
    if (chance < 0.15) await this.#tell()
    else await this.#append(chance < 0.3)
  }

  async #append(takes: boolean): Promise<void> {
    const runs = this.#pick(1 + Math.floor(this.#random() * 12))
    const items: AppendItem[] = []
    const names = new Map<AppendItem, readonly string[]>()
    for (const run of runs) {
      const belief = this.#beliefs.get(run.id)
      const mail = takes && belief !== undefined ? await this.#waiting(run.id) : []
      const now = this.#beliefs.get(run.id)
      const first = now === undefined ? 1 : now.seq + 1
      const own = Array.from({ length: Math.floor(this.#random() * 3) }, () => `${this.#name} ${this.#units++}`)
      const units = own.map((name, n) => testUnit(first + n, { events: [{ type: 'NEXT', name }] }))
      const item: AppendItem =
        now === undefined
          ? { ...run.creates(), units: [run.beginning, ...units] }
          : { run: run.id, expected: { ...now }, units, beside: { taken: mail } }
      items.push(item)
      names.set(item, own)
    }
    const outcomes = await this.#try(
      () => this.#store.append(items),
      () => {
        for (const item of items) {
          for (const name of names.get(item)!) this.#ledger.unknown.add(name)
          for (const key of item.beside?.taken ?? []) this.#ledger.perhaps.add(`${item.run} ${key.sender} ${key.seq}`)
        }
      },
    )
    if (outcomes === undefined) for (const { run } of items) await this.#look(run)
    else for (const [at, item] of items.entries()) await this.#learn(item, names.get(item)!, outcomes[at]!)
  }

  async #learn(item: AppendItem, names: readonly string[], outcome: AppendOutcome): Promise<void> {
    this.#ledger.count(outcome.status)
    if (outcome.status === 'conflict') {
      if (outcome.seq < 0) this.#beliefs.delete(item.run)
      else this.#beliefs.set(item.run, { seq: outcome.seq, revision: outcome.revision })
    }
    if (outcome.status !== 'appended') return
    this.#beliefs.set(item.run, { seq: outcome.seq, revision: outcome.revision })
    const units = this.#ledger.acknowledged.get(item.run) ?? new Map<number, string>()
    this.#ledger.acknowledged.set(item.run, units)
    const first = outcome.seq - names.length + 1
    for (const [n, name] of names.entries()) {
      if (units.has(first + n)) this.#ledger.count(`seq ${first + n} of ${item.run} acknowledged twice`)
      units.set(first + n, name)
    }
    for (const key of item.beside?.taken ?? []) this.#ledger.taken.add(`${item.run} ${key.sender} ${key.seq}`)
  }

  async #tell(): Promise<void> {
    const mail = this.#pick(1 + Math.floor(this.#random() * 5)).map<Mail>(run =>
      deepFreeze({ receiver: run.id, sender: this.#name, seq: this.#mail++, index: 0, event: { type: 'MAIL' } }),
    )
    const nameOf = ({ receiver, sender, seq }: Mail): string => `${receiver} ${sender} ${seq}`
    const answers = await this.#try(
      () => this.#store.deliver(mail),
      () => {
        for (const entry of mail) this.#ledger.perhaps.add(nameOf(entry))
      },
    )
    for (const [at, entry] of mail.entries()) {
      // The answer to a first try may have been lost within the store: then it says what is true, that it is there.
      if (answers?.[at] === 'taken' || answers?.[at] === 'duplicate') this.#ledger.delivered.add(nameOf(entry))
    }
  }

  async #waiting(run: string): Promise<readonly MailKey[]> {
    const head = await this.#look(run)
    return (head?.beside.inbox ?? []).slice(0, 3).map(({ sender, seq, index }) => ({ sender, seq, index }))
  }

  async #look(run: string): Promise<Awaited<ReturnType<Store['head']>>> {
    const head = await this.#try(
      () => this.#store.head(run),
      () => {},
    )
    if (head === undefined) this.#beliefs.delete(run)
    else this.#beliefs.set(run, { seq: head.seq, revision: head.revision })
    return head
  }

  #pick(count: number): readonly TestRun[] {
    const picked = new Set<TestRun>()
    while (picked.size < Math.min(count, this.#runs.length)) {
      picked.add(this.#runs[Math.floor(this.#random() * this.#runs.length)]!)
    }
    return [...picked]
  }

  async #try<T>(work: () => Promise<T>, lost: () => void): Promise<T | undefined> {
    try {
      return await work()
    } catch (error) {
      if (!XMachinesError.is(error) || !passing.includes(error.code)) throw error
      this.#ledger.count(error.code)
      if (error.code === 'STORE_OUTCOME_UNKNOWN') lost()
      return undefined
    }
  }
}
