import type { OutgoingRecord } from '../contracts/broker.ts'
import type { Refusal } from '../contracts/store.ts'
import type { XMachinesError } from '../errors.ts'
import type { ParcelOwner, Sender } from './sender.ts'

/** What becomes of dead letters that no run keeps. */
export interface UnkeptLettersHome extends ParcelOwner {
  readonly deadLetters: Sender | undefined
  letterOf(refusal: Refusal): OutgoingRecord
  deadLettered(key: string | undefined, refusal: Refusal): void
  sendFailed(error: XMachinesError): void
}

/** Dead letters of records whose run does not exist: nothing is stored, and the record stays unsettled until they arrive. */
export class UnkeptLetters {
  readonly #home: UnkeptLettersHome
  readonly #waiting = new Set<(sent: boolean) => void>()

  constructor(home: UnkeptLettersHome) {
    this.#home = home
  }

  /** Resolves to whether it has arrived; `false`: the lease ended before. */
  send(refusal: Refusal): Promise<boolean> {
    return new Promise(resolve => {
      const done = (sent: boolean): void => {
        if (this.#waiting.delete(done)) resolve(sent)
      }
      this.#waiting.add(done)
      this.#home.deadLetters?.push({
        owner: this.#home,
        isOver: () => !this.#waiting.has(done),
        records: () => [this.#home.letterOf(refusal)],
        sent: () => {
          this.#home.deadLettered(undefined, refusal)
          done(true)
        },
        unreadable: () => done(false),
        failed: error => {
          this.#home.sendFailed(error)
          done(false)
        },
      })
    })
  }

  end(): void {
    for (const done of [...this.#waiting]) done(false)
  }
}
