import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { batchesOf, batchStream } from '../../src/actors/batch-stream.ts'

async function* batches(...all: number[][]): AsyncGenerator<readonly number[]> {
  yield* all
}

async function collect<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const all: Item[] = []
  for await (const item of items) all.push(item)
  return all
}

async function readWith(stream: ReadableStream<number>, count: number): Promise<number[]> {
  const reader = stream.getReader()
  const seen: number[] = []
  while (seen.length < count) seen.push((await reader.read()).value!)
  reader.releaseLock()
  return seen
}

/** Lets everything go on that can. */
const turn = () => new Promise(resolve => setImmediate(resolve))

const three = () => batches([1, 2], [], [3, 4, 5])

describe('a stream of batches', () => {
  test('is an ordinary stream to a reader, a pipe and `for await`', async () => {
    expect(await readWith(batchStream(three()), 5)).toEqual([1, 2, 3, 4, 5])
    expect(await collect(batchStream(three()))).toEqual([1, 2, 3, 4, 5])
    const piped: number[] = []
    await batchStream(three()).pipeTo(new WritableStream({ write: item => void piped.push(item) }))
    expect(piped).toEqual([1, 2, 3, 4, 5])
  })

  test('gives its batches whole; any other stream one by one', async () => {
    const plain = new ReadableStream<number>({
      start(controller) {
        for (const item of [1, 2]) controller.enqueue(item)
        controller.close()
      },
    })
    expect(await collect(batchesOf(batchStream(batches([1, 2], [3]))))).toEqual([[1, 2], [3]])
    expect(await collect(batchesOf(plain))).toEqual([[1], [2]])
  })

  test('loses nothing when readers, batches and loops follow one another', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 10 }),
        fc.array(fc.nat({ max: 4 })),
        async (sizes, reads) => {
          let next = 0
          const stream = batchStream(batches(...sizes.map(size => Array.from({ length: size }, () => next++))))
          const all = Array.from({ length: next }, (_, at) => at)
          const seen: number[] = []
          for (const count of reads) seen.push(...(await readWith(stream, Math.min(count, all.length - seen.length))))
          const rest = seen.length % 2 ? (await collect(batchesOf(stream))).flat() : await collect(stream)
          expect([...seen, ...rest]).toEqual(all)
        },
      ),
    )
  })

  test('a read that was in flight when its reader let go is not lost', async () => {
    for (const late of [true, false]) {
      let arrive = () => {}
      const arrival = new Promise<void>(resolve => {
        arrive = resolve
      })
      const source = (async function* () {
        await arrival
        yield* batches([1, 2], [3])
      })()
      const stream = batchStream(source)
      const reader = stream.getReader()
      const left = reader.read().catch(() => 'let go')
      await turn()
      reader.releaseLock()
      await left
      if (!late) arrive()
      await turn()
      const rest = collect(batchesOf(stream))
      arrive()
      expect((await rest).flat()).toEqual([1, 2, 3])
    }
  })

  test('reads nothing ahead of what is asked for', async () => {
    let asked = 0
    const source = (async function* () {
      for (;;) yield [asked++]
    })()
    const stream = batchStream(source)
    await turn()
    expect(asked).toBe(0)
    await readWith(stream, 2)
    expect(asked).toBe(2)
  })

  test('leaving a loop, cancelling, or leaving the batches ends the source; the lock is given back', async () => {
    for (const leave of [
      async (stream: ReadableStream<number>) => {
        for await (const _ of stream) break
      },
      async (stream: ReadableStream<number>) => {
        for await (const _ of batchesOf(stream)) break
      },
      (stream: ReadableStream<number>) => stream.cancel(),
    ]) {
      let ended = false
      const source = (async function* () {
        try {
          for (;;) yield [1]
        } finally {
          ended = true
        }
      })()
      const stream = batchStream(source)
      await readWith(stream, 1)
      await leave(stream)
      expect([ended, stream.locked]).toEqual([true, false])
      expect((await stream.getReader().read()).done).toBe(true)
    }
  })

  test('is locked while its batches are taken', async () => {
    const stream = batchStream(three())
    const taken = batchesOf(stream)
    await taken.next()
    expect(stream.locked).toBe(true)
    await expect(batchesOf(stream).next()).rejects.toThrow(TypeError)
  })

  test('errors as its source does, for everyone', async () => {
    const failing = () =>
      batchStream(
        (async function* () {
          yield [1]
          throw new Error('source')
        })(),
      )
    await expect(collect(failing())).rejects.toThrow('source')
    await expect(collect(batchesOf(failing()))).rejects.toThrow('source')
    const stream = failing()
    await expect(collect(stream)).rejects.toThrow('source')
    await expect(stream.getReader().read()).rejects.toThrow('source')
    await expect(readWith(failing(), 2)).rejects.toThrow('source')
  })

  test('`until` drops what is left of the batch in hand', async () => {
    const ends = [
      async (stream: ReadableStream<number>, stop: () => void) => {
        const seen: number[] = []
        for await (const item of stream) {
          seen.push(item)
          if (item === 2) stop()
        }
        return seen
      },
      async (stream: ReadableStream<number>, stop: () => void) => {
        const seen = await readWith(stream, 2)
        stop()
        return [...seen, ...(await collect(stream))]
      },
      async (stream: ReadableStream<number>, stop: () => void) => {
        const seen = await readWith(stream, 2)
        stop()
        return [...seen, ...(await collect(batchesOf(stream))).flat()]
      },
      async (stream: ReadableStream<number>, stop: () => void) => {
        const seen = await readWith(stream, 2)
        stop()
        const { done } = await stream.getReader().read()
        return done ? seen : ['more']
      },
    ]
    for (const end of ends) {
      const stop = new AbortController()
      const source = (async function* () {
        yield [1, 2, 3, 4]
        if (!stop.signal.aborted) yield [5]
      })()
      expect(await end(batchStream(source, { until: stop.signal }), () => stop.abort())).toEqual([1, 2])
    }
  })
})
