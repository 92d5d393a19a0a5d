import fc from 'fast-check'

/** The UTF-8 of a text. */
export const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text)

/** Several pieces of bytes as one. */
export function joined(pieces: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(pieces.reduce((length, piece) => length + piece.length, 0))
  let at = 0
  for (const piece of pieces) {
    whole.set(piece, at)
    at += piece.length
  }
  return whole
}

/** The bytes, cut at these places. */
export function cut(bytes: Uint8Array, places: readonly number[]): Uint8Array[] {
  const cuts = [0, ...places.map(place => Math.min(place, bytes.length)).sort((a, b) => a - b), bytes.length]
  return cuts.slice(1).map((end, index) => bytes.slice(cuts[index], end))
}

/** Every way to cut the bytes once, all of it at once, and byte by byte. */
export function* everySplit(bytes: Uint8Array): Generator<Uint8Array[]> {
  for (let place = 0; place <= bytes.length; place++) yield cut(bytes, [place])
  yield cut(
    bytes,
    Array.from({ length: bytes.length }, (_, index) => index),
  )
}

/** A source that gives one chunk a pull, and counts. */
export function source<T>(chunks: Iterable<T>): {
  readonly stream: ReadableStream<T>
  readonly seen: { pulls: number; cancelled?: unknown }
} {
  const seen: { pulls: number; cancelled?: unknown } = { pulls: 0 }
  const iterator = chunks[Symbol.iterator]()
  const stream = new ReadableStream<T>(
    {
      pull(controller) {
        const next = iterator.next()
        if (next.done) return controller.close()
        seen.pulls++
        controller.enqueue(next.value)
      },
      cancel(reason) {
        seen.cancelled = reason
      },
    },
    { highWaterMark: 0 },
  )
  return { stream, seen }
}

/** What came out of a stream, and how it ended. */
export interface Outcome<T> {
  readonly values: T[]
  readonly error?: unknown
}

/** Everything that a transform makes of the chunks; errors are part of the answer. */
export async function through<I, O>(chunks: Iterable<I>, transform: TransformStream<I, O>): Promise<Outcome<O>> {
  const values: O[] = []
  try {
    for await (const value of source(chunks).stream.pipeThrough(transform)) values.push(value)
    return { values }
  } catch (error) {
    return { values, error }
  }
}

/** Lets everything happen that needs no more input. */
export const settled = (): Promise<void> => new Promise(resolve => setImmediate(resolve))

/** Text with what framing has to mind: every kind of line break, NUL, marks, characters of one to four bytes. */
export const text: fc.Arbitrary<string> = fc.string({
  unit: fc.oneof(
    fc.constantFrom('\r', '\n', '\r\n', '\0', '\uFEFF', '\u2028', ' ', ':', '"', '\\', 'é', '漢', '😀'),
    fc.string({ unit: 'grapheme', minLength: 1, maxLength: 1 }),
  ),
  maxLength: 12,
})

/** JSON values as they come back from `JSON.parse`. */
export const jsonValue: fc.Arbitrary<unknown> = fc
  .oneof(
    fc.jsonValue({ maxDepth: 2, stringUnit: 'grapheme' }),
    fc.record({ type: fc.constantFrom('A', 'B'), note: text, at: fc.integer() }),
  )
  .map(value => JSON.parse(JSON.stringify(value)))
