/** Turns chunks of bytes into values. Both methods are lazy: take everything from one call before the next. */
export interface ChunkDecoder<T> {
  /** The values that are complete with this chunk. */
  push(chunk: Uint8Array): Iterator<T>
  /** The values that are complete with the end of the bytes. */
  flush(): Iterator<T>
}

/**
 * A TransformStream that decodes one value each time the reader asks for one.
 *
 * In a plain `transform()` one chunk would become thousands of queued values whether anybody reads or not, and an error
 * would discard those that are queued before it. Here at most one chunk is in hand, it is decoded no further than it was
 * read, and every value before a fault is delivered however the bytes were split.
 */
export function decodeStream<T>(decoder: ChunkDecoder<T>): TransformStream<Uint8Array, T> {
  const chunks = new TransformStream<Uint8Array, Iterator<T>>(
    {
      transform(chunk, controller) {
        if (!ArrayBuffer.isView(chunk)) throw new TypeError(`A decoder takes Uint8Array chunks; got ${typeof chunk}.`)
        controller.enqueue(decoder.push(chunk))
      },
      flush: controller => controller.enqueue(decoder.flush()),
    },
    { highWaterMark: 1 },
    { highWaterMark: 0 },
  )
  const reader = chunks.readable.getReader()
  let values: Iterator<T> | undefined

  const readable = new ReadableStream<T>(
    {
      async pull(controller) {
        for (;;) {
          const next = nextOf(values)
          if (next && !next.done) return controller.enqueue(next.value)
          const chunk = await reader.read()
          if (chunk.done) return controller.close()
          values = chunk.value
        }
      },
      cancel: reason => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  )

  function nextOf(iterator: Iterator<T> | undefined): IteratorResult<T> | undefined {
    try {
      return iterator?.next()
    } catch (error) {
      // The fault must reach the source too, as it does when `transform()` throws.
      void reader.cancel(error)
      throw error
    }
  }

  // A real TransformStream in every respect, whose readable end is ours.
  const stream: { readonly writable: WritableStream<Uint8Array> } = chunks
  return Object.defineProperty(stream, 'readable', { value: readable }) as TransformStream<Uint8Array, T>
}
