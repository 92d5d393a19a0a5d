import type { Unit } from './contracts/unit.ts'

/**
 * A ReadableStream of units that is made of whole batches.
 *
 * A stream costs two to three microseconds a chunk, as much as deciding a unit. So `for await`, `replay` and the runs
 * take the batches themselves; whoever pipes or uses a reader gets an ordinary stream.
 */
class UnitStream extends ReadableStream<Unit> {
  readonly #batches: AsyncIterator<readonly Unit[]>

  constructor(batches: AsyncIterator<readonly Unit[]>) {
    super(
      {
        async pull(controller) {
          const next = await batches.next()
          if (next.done) return controller.close()
          for (const unit of next.value) controller.enqueue(unit)
        },
        async cancel() {
          await batches.return?.()
        },
      },
      { highWaterMark: 0 },
    )
    this.#batches = batches
  }

  /** The batches, for whoever takes the whole stream. Locks it, as a reader would. */
  batches(): AsyncIterableIterator<readonly Unit[]> {
    this.getReader()
    const source = this.#batches
    return {
      next: () => source.next(),
      return: async () => (await source.return?.()) ?? { done: true, value: undefined },
      [Symbol.asyncIterator]() {
        return this
      },
    }
  }

  override async *[Symbol.asyncIterator](): ReadableStreamAsyncIterator<Unit> {
    for await (const batch of this.batches()) yield* batch
  }
}

/** A stream of the units that `batches` yields, in order; nothing is read ahead of what is asked for. */
export function unitStream(batches: AsyncIterable<readonly Unit[]>): ReadableStream<Unit> {
  return new UnitStream(batches[Symbol.asyncIterator]())
}

/** The units of any stream in batches: as they were stored where the stream is one of ours, one by one otherwise. */
export async function* unitBatches(
  stream: ReadableStream<Unit> | AsyncIterable<Unit>,
): AsyncGenerator<readonly Unit[], void, void> {
  if (stream instanceof UnitStream) yield* stream.batches()
  else for await (const unit of stream) yield [unit]
}
