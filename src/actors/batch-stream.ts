/** A stream's source: hands out single items where a reader asks for them, and whole batches to {@link batchesOf}. */
class BatchSource<T> {
  readonly #batches: AsyncIterator<readonly T[]>
  readonly until: AbortSignal | undefined
  controller!: ReadableStreamDefaultController<T>
  #batch: readonly T[] = []
  #at = 0
  #filling: Promise<void> | undefined

  constructor(batches: AsyncIterator<readonly T[]>, until: AbortSignal | undefined) {
    this.#batches = batches
    this.until = until
  }

  start(controller: ReadableStreamDefaultController<T>): void {
    this.controller = controller
  }

  /** One item a pull: what is left of a batch stays here, where `batches` finds it after a reader let go. */
  pull(): void | Promise<void> {
    if (this.#at < this.#batch.length && !this.until?.aborted) this.#enqueue()
    else return this.#refill()
  }

  async cancel(): Promise<void> {
    await this.#batches.return?.()
  }

  /** The items that were taken from the source, and by no reader. */
  async rest(reader: ReadableStreamDefaultReader<T>): Promise<readonly T[]> {
    await this.#filling
    const queued: T[] = []
    while (queuedIn(this.controller)) {
      const { done, value } = await reader.read()
      if (done) break
      queued.push(value)
    }
    const rest = this.until?.aborted ? [] : [...queued, ...this.#batch.slice(this.#at)]
    this.#batch = []
    return rest
  }

  next(): Promise<IteratorResult<readonly T[]>> {
    return this.#batches.next()
  }

  #enqueue(): void {
    this.controller.enqueue(this.#batch[this.#at++] as T)
  }

  #refill(): Promise<void> {
    this.#filling = this.#fill().finally(() => {
      this.#filling = undefined
    })
    return this.#filling
  }

  async #fill(): Promise<void> {
    for (;;) {
      const next = await this.#batches.next()
      if (next.done) return this.controller.close()
      if (next.value.length === 0) continue
      this.#batch = next.value
      this.#at = 0
      return this.#enqueue()
    }
  }
}

/** Whether a chunk waits in the stream: a read that was in flight when its reader let go leaves one there. */
function queuedIn(controller: ReadableStreamDefaultController<unknown>): boolean {
  return (controller.desiredSize ?? 0) < 0
}

/**
 * A ReadableStream that is made of whole batches.
 *
 * A stream costs two to three microseconds a chunk, as much as deciding a unit. So `for await` and `batchesOf` take the
 * batches themselves; whoever pipes or uses a reader gets an ordinary stream.
 */
class BatchStream<T> extends ReadableStream<T> {
  readonly #source: BatchSource<T>

  constructor(source: BatchSource<T>) {
    super(source, { highWaterMark: 0 })
    this.#source = source
  }

  /** The batches, for whoever takes the whole stream. Locked meanwhile; cancelled at the end, as `for await` does. */
  async *batches(): AsyncGenerator<readonly T[], void, void> {
    const source = this.#source
    const reader = this.getReader()
    try {
      const rest = await source.rest(reader)
      if (rest.length > 0) yield rest
      for (;;) {
        const next = await source.next()
        if (next.done) return
        yield next.value
      }
    } catch (error) {
      source.controller.error(error)
      throw error
    } finally {
      // Of an errored stream the cancel rejects too, with the same error.
      await reader.cancel().finally(() => reader.releaseLock())
    }
  }

  override async *[Symbol.asyncIterator](): ReadableStreamAsyncIterator<T> {
    const { until } = this.#source
    for await (const batch of this.batches()) {
      for (const item of batch) {
        if (until?.aborted) return
        yield item
      }
    }
  }
}

/**
 * A stream of the items that `batches` yields, in order; nothing is read ahead of what is asked for.
 *
 * @param until when it fires, what is left of the batch in hand is dropped; ending `batches` is its source's matter
 */
export function batchStream<T>(
  batches: AsyncIterable<readonly T[]>,
  options: { readonly until?: AbortSignal | undefined } = {},
): ReadableStream<T> {
  return new BatchStream(new BatchSource(batches[Symbol.asyncIterator](), options.until))
}

/** The items of any stream in batches: as the source yields them where it is a {@link batchStream}, else one by one. */
export function batchesOf<T>(stream: ReadableStream<T> | AsyncIterable<T>): AsyncGenerator<readonly T[], void, void> {
  return stream instanceof BatchStream ? (stream as BatchStream<T>).batches() : oneByOne(stream)
}

async function* oneByOne<T>(items: AsyncIterable<T>): AsyncGenerator<readonly T[], void, void> {
  for await (const item of items) yield [item]
}
