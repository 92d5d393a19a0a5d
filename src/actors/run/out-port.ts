import { batchesOf } from '../batch-stream.ts'
import type { NewUnit } from '../contracts/unit.ts'
import type { AdoptedUnit } from './command.ts'
import type { Resident } from './resident.ts'
import type { Output } from './types.ts'

/** Outputs that a read of the history takes into memory at a time. */
const historyBatch = 256

/**
 * A reader of a run's outputs: a cursor over the history that goes on live. What it has not read is in the store, not here:
 * it queues only while somebody has it locked, and no more than `buffer`.
 */
export class OutPort {
  readonly stream: ReadableStream<Output>
  readonly #resident: Resident
  readonly #buffer: number
  readonly #queue: Output[] = []
  /** Units before this one are in the queue or were read. */
  #next: number
  /** Outputs from {@link #next} on that are durable and not in the queue. */
  #behind = 0
  #controller!: ReadableStreamDefaultController<Output>
  #waiting: (() => void) | undefined
  #closing = false
  readonly #onProgress: (isGone: boolean) => void

  /** @param onProgress called when a reader took something, or went away for good */
  constructor(resident: Resident, from: number, buffer: number, onProgress: (isGone: boolean) => void) {
    this.#resident = resident
    this.#next = from
    this.#buffer = buffer
    this.#onProgress = onProgress
    this.stream = new ReadableStream<Output>(
      {
        start: controller => {
          this.#controller = controller
        },
        pull: () => this.#pull(),
        cancel: () => this.#close(),
      },
      { highWaterMark: 0 },
    )
  }

  /** Whether somebody reads it and is too far behind. */
  get full(): boolean {
    return !this.#closing && this.stream.locked && this.#queue.length + this.#behind > this.#buffer
  }

  adopted(units: readonly AdoptedUnit[]): void {
    for (const { unit } of units) {
      if (unit.seq < this.#next) continue
      const fits =
        this.stream.locked && unit.seq === this.#next && this.#queue.length + unit.outputs.length <= this.#buffer
      if (fits) this.#take(unit)
      else this.#behind += unit.outputs.length
    }
    this.#wake()
  }

  /** No more comes: what is there is still handed out, then the stream ends. */
  finish(): void {
    this.#closing = true
    this.#wake()
  }

  fail(error: unknown): void {
    if (this.#closing) return
    this.#closing = true
    this.#controller.error(error)
    this.#wake()
  }

  async #pull(): Promise<void> {
    while (this.#queue.length === 0) {
      if (this.#resident.created && this.#next <= this.#resident.seq) await this.#readHistory()
      else if (this.#closing) return this.#controller.close()
      else await new Promise<void>(resolve => (this.#waiting = resolve))
    }
    this.#controller.enqueue(this.#queue.shift()!)
    this.#onProgress(false)
  }

  /** Takes the next outputs from the store, up to where the run is durable now. */
  async #readHistory(): Promise<void> {
    const to = this.#resident.seq
    let taken = 0
    for await (const batch of batchesOf(
      this.#resident.store.read(this.#resident.run, { from: this.#next, to, ids: false }),
    )) {
      for (const unit of batch) {
        if (taken >= historyBatch) return
        // Shown meanwhile: what was taken over counts as durable before it is shown.
        if (unit.seq < this.#next) continue
        taken += unit.outputs.length
        this.#behind = Math.max(0, this.#behind - unit.outputs.length)
        this.#take(unit)
      }
    }
    this.#next = Math.max(this.#next, to + 1)
  }

  #take(unit: Pick<NewUnit, 'seq' | 'at' | 'outputs'>): void {
    const { seq, at, outputs } = unit
    for (let index = 0; index < outputs.length; index++)
      this.#queue.push({ runId: this.#resident.run, seq, index, at, event: outputs[index]! })
    this.#next = seq + 1
  }

  #close(): void {
    this.#closing = true
    this.#queue.length = 0
    this.#onProgress(true)
  }

  #wake(): void {
    const waiting = this.#waiting
    this.#waiting = undefined
    waiting?.()
  }
}
