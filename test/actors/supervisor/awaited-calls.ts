import type { Store } from 'xmachines'
import { batchesOf, batchStream } from '../../../src/actors/batch-stream.ts'

/** The calls to stores that are not answered yet. */
export class AwaitedCalls {
  readonly #pending = new Set<Promise<unknown>>()

  get pending(): boolean {
    return this.#pending.size > 0
  }

  /** Resolves when every call is answered, with those that are made meanwhile. */
  async answered(): Promise<void> {
    while (this.pending) await Promise.allSettled(this.#pending)
  }

  /** The same store; what is read of a stream is a call for each batch, so that one which stands still is none. */
  of(store: Store): Store {
    return new Proxy(store, {
      get: (target, name) => {
        const value = Reflect.get(target, name) as unknown
        if (typeof value !== 'function') return value
        return (...args: unknown[]) => {
          const answer = Reflect.apply(value, target, args) as Promise<unknown> | ReadableStream<unknown>
          return answer instanceof ReadableStream ? batchStream(this.#batches(answer)) : this.#awaited(answer)
        }
      },
    })
  }

  async *#batches(stream: ReadableStream<unknown>): AsyncGenerator<readonly unknown[]> {
    const batches = batchesOf(stream)
    try {
      for (;;) {
        const { done, value } = await this.#awaited(batches.next())
        if (done) return
        yield value
      }
    } finally {
      await this.#awaited(batches.return())
    }
  }

  #awaited<T>(call: Promise<T>): Promise<T> {
    this.#pending.add(call)
    const end = (): void => void this.#pending.delete(call)
    call.then(end, end)
    return call
  }
}
