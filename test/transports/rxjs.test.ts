import { from, interval, map, NEVER, Observable, of, Subject, take, toArray } from 'rxjs'
import { describe, expect, expectTypeOf, test, vi } from 'vitest'
import { fromObservable, type ObserverLike, type Overflow, toObservable, toWritable } from 'xmachines/transports/rxjs'
import { createActor, createMachine, type SnapshotFrom } from 'xstate'

const settled = (): Promise<void> => new Promise(resolve => setImmediate(resolve))

/** A stream of 0, 1, 2 …, up to `count`, that notes how far it was read and why it was cancelled. */
function numbers(count = Number.POSITIVE_INFINITY) {
  const seen: { pulled: number; cancelled?: unknown } = { pulled: 0 }
  const stream = new ReadableStream<number>(
    {
      pull(controller) {
        if (seen.pulled >= count) controller.close()
        else controller.enqueue(seen.pulled++)
      },
      cancel(reason) {
        seen.cancelled = reason
      },
    },
    { highWaterMark: 0 },
  )
  return { stream, seen }
}

/** Everything an Observable says. */
function record<T>(observable: Observable<T>) {
  const told: { values: T[]; error?: unknown; complete?: boolean } = { values: [] }
  const subscription = observable.subscribe({
    next: value => told.values.push(value),
    error: error => {
      told.error = error
    },
    complete: () => {
      told.complete = true
    },
  })
  return { told, subscription }
}

async function collect<T>(readable: ReadableStream<T>): Promise<T[]> {
  const values: T[] = []
  for await (const value of readable) values.push(value)
  return values
}

describe('toObservable', () => {
  test('is an Observable of RxJS, whose operators infer', async () => {
    const observable = toObservable(numbers(3).stream)
    expect(observable).toBeInstanceOf(Observable)
    const { told } = record(
      observable.pipe(
        map(n => n.toFixed(1)),
        toArray(),
      ),
    )
    await settled()
    expect(told).toEqual({ values: [['0.0', '1.0', '2.0']], complete: true })
  })

  test('reads nothing before it is subscribed to', async () => {
    const { stream, seen } = numbers()
    toObservable(stream)
    await settled()
    expect(seen.pulled).toBe(0)
    expect(stream.locked).toBe(false)
  })

  test('passes on the error of the stream, after its values', async () => {
    const fault = new Error('source')
    let pulls = 0
    const stream = new ReadableStream<number>(
      {
        pull(controller) {
          if (pulls++ === 0) controller.enqueue(1)
          else controller.error(fault)
        },
      },
      { highWaterMark: 0 },
    )
    const { told } = record(toObservable(stream))
    await settled()
    expect(told).toEqual({ values: [1], error: fault })
  })

  test('unsubscribing cancels the stream', async () => {
    const { stream, seen } = numbers()
    const { told } = record(toObservable(stream).pipe(take(3)))
    await settled()
    expect(told).toEqual({ values: [0, 1, 2], complete: true })
    expect('cancelled' in seen).toBe(true)
    expect(seen.pulled).toBe(3)
  })

  test('unsubscribing cancels a stream that gives nothing', async () => {
    let cancelled = false
    const stream = new ReadableStream<number>({
      cancel() {
        cancelled = true
      },
    })
    const { told, subscription } = record(toObservable(stream))
    await settled()
    subscription.unsubscribe()
    await settled()
    expect(cancelled).toBe(true)
    expect(told).toEqual({ values: [] })
  })

  test('its signal cancels the stream, and the observers are told', async () => {
    const { stream, seen } = numbers()
    const abort = new AbortController()
    const told: { values: number[]; error?: unknown } = { values: [] }
    toObservable(stream, { signal: abort.signal }).subscribe({
      next: value => {
        told.values.push(value)
        if (value === 4) abort.abort('enough')
      },
      error: error => {
        told.error = error
      },
    })
    await settled()
    expect(told.values).toEqual([0, 1, 2, 3, 4])
    expect(told.error).toMatchObject({ code: 'ABORTED', cause: 'enough' })
    expect(seen.cancelled).toBe('enough')
  })

  test('lets go of its signal when the stream ends', async () => {
    const { signal } = new AbortController()
    const removed = vi.spyOn(signal, 'removeEventListener')
    const { told } = record(toObservable(numbers(1).stream, { signal }))
    await settled()
    expect(told.complete).toBe(true)
    expect(removed).toHaveBeenCalledOnce()
  })

  test('a signal that was aborted before lets nothing be read', async () => {
    const { stream, seen } = numbers()
    const { told } = record(toObservable(stream, { signal: AbortSignal.abort('late') }))
    await settled()
    expect(told).toMatchObject({ values: [], error: { code: 'ABORTED', cause: 'late' } })
    expect(seen).toEqual({ pulled: 0, cancelled: 'late' })
  })

  test('a second subscription is told that the stream is taken, and the first goes on', async () => {
    const observable = toObservable(numbers(2).stream)
    const first = record(observable)
    const second = record(observable)
    await settled()
    expect(first.told).toEqual({ values: [0, 1], complete: true })
    expect(second.told.error).toBeInstanceOf(TypeError)
  })
})

describe('toWritable', () => {
  test('tells a subject values and the end', async () => {
    const subject = new Subject<number>()
    const { told } = record(subject)
    await numbers(3).stream.pipeTo(toWritable(subject))
    expect(told).toEqual({ values: [0, 1, 2], complete: true })
  })

  test('tells it the reason of an abort', async () => {
    const subject = new Subject<number>()
    const { told } = record(subject)
    await toWritable(subject).abort('gone')
    expect(told).toEqual({ values: [], error: 'gone' })
  })

  test('fails the writer with what the observer throws', async () => {
    const fault = new Error('observer')
    const { stream, seen } = numbers()
    const observer = {
      next() {
        throw fault
      },
      error() {},
      complete() {},
    }
    await expect(stream.pipeTo(toWritable(observer))).rejects.toBe(fault)
    expect(seen.cancelled).toBe(fault)
  })
})

describe('fromObservable', () => {
  test('gives what the Observable gives, and ends with it', async () => {
    expectTypeOf(fromObservable(of(1), { overflow: 'error' })).toEqualTypeOf<ReadableStream<number>>()
    expect(await collect(fromObservable(of(1, 2, 3), { overflow: 'error' }))).toEqual([1, 2, 3])
    expect(await collect(fromObservable(interval(1).pipe(take(3)), { overflow: 'error', buffer: 1 }))).toEqual([
      0, 1, 2,
    ])
  })

  test('takes every value of a source that the reader keeps up with, whatever the buffer', async () => {
    const subject = new Subject<number>()
    const reader = fromObservable(subject, { overflow: 'error', buffer: 1 }).getReader()
    for (let n = 0; n < 100; n++) {
      subject.next(n)
      expect(await reader.read()).toEqual({ done: false, value: n })
    }
  })

  test('hands a value to a reader that waits', async () => {
    const subject = new Subject<number>()
    const reader = fromObservable(subject, { overflow: 'latest' }).getReader()
    const reading = reader.read()
    await settled()
    subject.next(7)
    expect(await reading).toEqual({ done: false, value: 7 })
    const ending = reader.read()
    await settled()
    subject.complete()
    expect(await ending).toEqual({ done: true, value: undefined })
  })

  test.each<[Overflow, number[]]>([
    [{ overflow: 'drop-oldest', buffer: 3 }, [7, 8, 9]],
    [{ overflow: 'drop-newest', buffer: 3 }, [0, 1, 2]],
    [{ overflow: 'latest' }, [9]],
  ])('%o keeps what it says of ten values', async (options, kept) => {
    const subject = new Subject<number>()
    const stream = fromObservable(subject, options)
    for (let n = 0; n < 10; n++) subject.next(n)
    subject.complete()
    expect(await collect(stream)).toEqual(kept)
  })

  test('"error" gives what waits, then BUFFER_OVERFLOW, and has unsubscribed', async () => {
    const subject = new Subject<number>()
    const reader = fromObservable(subject, { overflow: 'error', buffer: 2 }).getReader()
    subject.next(1)
    subject.next(2)
    expect(subject.observed).toBe(true)
    subject.next(3)
    expect(subject.observed).toBe(false)
    expect((await reader.read()).value).toBe(1)
    expect((await reader.read()).value).toBe(2)
    await expect(reader.read()).rejects.toMatchObject({ code: 'BUFFER_OVERFLOW', details: { buffer: 2 } })
  })

  test('a synchronous source overflows too: its end is not awaited', async () => {
    const stream = fromObservable(from([1, 2, 3]), { overflow: 'error', buffer: 2 })
    await expect(collect(stream)).rejects.toMatchObject({ code: 'BUFFER_OVERFLOW' })
  })

  test('keeps nothing of a source that goes on after its end, and unsubscribes from it', async () => {
    let unsubscribed = 0
    const careless = {
      subscribe(observer: ObserverLike<number>) {
        observer.next(1)
        observer.complete()
        observer.next(2)
        observer.error(new Error('late'))
        return { unsubscribe: () => unsubscribed++ }
      },
    }
    expect(await collect(fromObservable(careless, { overflow: 'error' }))).toEqual([1])
    expect(unsubscribed).toBe(1)
  })

  test('holds 256 values where no buffer is given', async () => {
    const subject = new Subject<number>()
    const stream = fromObservable(subject, { overflow: 'drop-newest' })
    for (let n = 0; n < 1000; n++) subject.next(n)
    subject.complete()
    expect(await collect(stream)).toHaveLength(256)
  })

  test('passes on an error, after the values that wait', async () => {
    const fault = new Error('source')
    const subject = new Subject<number>()
    const reader = fromObservable(subject, { overflow: 'latest' }).getReader()
    subject.next(1)
    subject.error(fault)
    expect((await reader.read()).value).toBe(1)
    await expect(reader.read()).rejects.toBe(fault)
  })

  test('passes on an error that is undefined', async () => {
    const subject = new Subject<number>()
    const reader = fromObservable(subject, { overflow: 'latest' }).getReader()
    subject.error(undefined)
    await expect(reader.read()).rejects.toBeUndefined()
  })

  test('cancelling unsubscribes, also while a read waits', async () => {
    const subject = new Subject<number>()
    const reader = fromObservable(subject, { overflow: 'latest' }).getReader()
    const reading = reader.read()
    await settled()
    await reader.cancel('enough')
    expect(subject.observed).toBe(false)
    expect(await reading).toEqual({ done: true, value: undefined })
  })

  test('refuses a buffer without a bound', () => {
    for (const buffer of [Number.POSITIVE_INFINITY, 0, -1, 1.5, Number.NaN]) {
      expect(() => fromObservable(NEVER, { overflow: 'error', buffer })).toThrow(RangeError)
    }
  })

  test('takes an XState actor as it is', async () => {
    const machine = createMachine({ initial: 'a', states: { a: { on: { GO: 'b' } }, b: { type: 'final' } } })
    const actor = createActor(machine).start()
    const stream = fromObservable(actor, { overflow: 'error' })
    expectTypeOf(stream).toEqualTypeOf<ReadableStream<SnapshotFrom<typeof machine>>>()
    actor.send({ type: 'GO' })
    expect((await collect(stream)).map(snapshot => snapshot.value)).toEqual(['b'])
  })
})

test('a stream goes through an Observable and back', async () => {
  const there = toObservable(numbers(5).stream).pipe(map(n => n * 2))
  expect(await collect(fromObservable(there, { overflow: 'error' }))).toEqual([0, 2, 4, 6, 8])
})
