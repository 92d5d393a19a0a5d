import { XMachinesError } from '../../actors/errors.ts'
import type { Machines, Receipt, Run } from '../../actors/run/types.ts'
import type { SimulatedProcess } from './process.ts'
import type { Sending } from './scenario.ts'
import type { Scheduler } from './scheduler.ts'

/** Something to be sent, until it is answered. */
export interface Delivery {
  /** What the run knows it by, so that it may be sent again. */
  readonly id: string
  readonly run: string
  readonly events: Sending<{ readonly type: string }>
  receipt: Receipt | undefined
}

/** What a sender needs of its world. */
export interface SenderHome {
  readonly scheduler: Scheduler
  /** Resolves when every run is there: before, mail to it would find nobody. */
  readonly created: Promise<void>
  opened(sender: Sender, run: Run): void
  /** Which process a sender goes on with, while `process` still serves. */
  next(sender: Sender, process: SimulatedProcess): SimulatedProcess
  answered(delivery: Delivery): void
  note(line: () => string): void
}

/**
 * Sends a run its events, in order: whatever it gets no answer to, it sends again, under the same id. It is not of the
 * process that serves it, and goes on with the next one.
 */
export class Sender {
  readonly key: string
  readonly machine: Machines
  readonly input: unknown
  readonly waiting: Delivery[] = []
  readonly #home: SenderHome

  constructor(key: string, machine: Machines, input: unknown, home: SenderHome) {
    this.key = key
    this.machine = machine
    this.input = input
    this.#home = home
  }

  /**
   * Sends what waits to a process, now and then to another one, until that is all or the process serves no more. Rejects with what no
   * sender should meet.
   */
  async sendTo(first: SimulatedProcess): Promise<void> {
    const { random } = this.#home.scheduler
    for (let process = first; process.serves; process = this.#home.next(this, process)) {
      try {
        const run = await process.open(this.machine, this.key, this.input)
        this.#home.opened(this, run)
        await this.#home.created
        while (this.waiting.length > 0) {
          await process.life.pause('a sender', random() < 0.2 ? random.pick([1_000, 15_000, 90_000]) : undefined)
          if (!process.serves) return
          await this.#send(run)
          if (random() < 0.15) break
        }
        if (this.waiting.length > 0 || random() < 0.5) await process.letGo(run, random.pick([0, 100, 5_000]))
        if (this.waiting.length === 0) return
      } catch (thrown) {
        if (!XMachinesError.is(thrown) || !(thrown.retryable || thrown.code === 'HOST_CLOSED')) throw thrown
        this.#home.note(() => `${process.life.process}: the sender of ${this.key} met ${thrown.code}`)
        await process.life.pause('a sender', 10)
      }
    }
  }

  /** A few at once: they are decided on top of one another. */
  async #send(run: Run): Promise<void> {
    const some = this.waiting.slice(0, 1 + this.#home.scheduler.random.below(3))
    const answers = await Promise.allSettled(
      some.map(({ events, id }) => run.apply(events as never, { id }) as Promise<Receipt>),
    )
    for (const [index, answer] of answers.entries()) {
      if (answer.status === 'rejected') {
        const later = answers.slice(index).find(({ status }) => status === 'fulfilled')
        if (later === undefined) throw answer.reason
        throw new Error(`An event was answered after one before it had failed with ${String(answer.reason)}`)
      }
      const delivery = some[index]!
      delivery.receipt = answer.value
      // The next process may have answered it meanwhile, while the one before was being closed.
      const place = this.waiting.indexOf(delivery)
      if (place >= 0) this.waiting.splice(place, 1)
      this.#home.answered(delivery)
    }
  }
}
