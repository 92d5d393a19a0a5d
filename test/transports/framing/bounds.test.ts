import { describe, expect, test } from 'vitest'
import { json, jsonEncode, ndjsonDecode, ndjsonEncode, sseDecode, sseEncode } from 'xmachines/transports/framing'
import { settled, source, through, utf8 } from './streams.ts'

function* endless<T>(chunk: T): Generator<T> {
  for (;;) yield chunk
}

/** Every transform of the door, with an endless input. */
const transforms: [string, () => TransformStream<never, unknown>, unknown][] = [
  ['ndjsonDecode', () => ndjsonDecode() as TransformStream<never, unknown>, utf8('{"a":1}\n')],
  ['ndjsonEncode', () => ndjsonEncode<unknown>(), { a: 1 }],
  ['sseDecode', () => sseDecode() as TransformStream<never, unknown>, utf8('data: 1\n\n')],
  ['sseEncode', () => sseEncode(), { data: '1' }],
]

describe.each(transforms)('%s', (_, make, chunk) => {
  test('is a TransformStream', () => expect(make()).toBeInstanceOf(TransformStream))

  test('takes nothing from the source before somebody reads, but what its writable end holds', async () => {
    const { stream, seen } = source(endless(chunk))
    stream.pipeThrough(make() as TransformStream<unknown, unknown>)
    await settled()
    expect(seen.pulls).toBeLessThanOrEqual(1)
  })

  test('holds the source back when its reader stalls', async () => {
    const { stream, seen } = source(endless(chunk))
    const reader = stream.pipeThrough(make() as TransformStream<unknown, unknown>).getReader()
    for (let reads = 1; reads <= 20; reads++) {
      await reader.read()
      await settled()
      expect(seen.pulls).toBeLessThanOrEqual(reads + 2)
    }
  })

  test('carries a cancellation to the source', async () => {
    const { stream, seen } = source(endless(chunk))
    const reader = stream.pipeThrough(make() as TransformStream<unknown, unknown>).getReader()
    await reader.read()
    await reader.cancel('enough')
    await settled()
    expect(seen.cancelled).toBe('enough')
  })

  test('carries leaving a loop to the source', async () => {
    const { stream, seen } = source(endless(chunk))
    for await (const _value of stream.pipeThrough(make() as TransformStream<unknown, unknown>)) break
    await settled()
    expect('cancelled' in seen).toBe(true)
  })

  test('carries an error of the source to the reader', async () => {
    const fault = new Error('source')
    function* failing() {
      yield chunk
      throw fault
    }
    const { values, error } = await through(failing(), make() as TransformStream<unknown, unknown>)
    expect(values).toHaveLength(1)
    expect(error).toBe(fault)
  })
})

describe.each([
  ['ndjsonDecode', () => ndjsonDecode({ maxLineBytes: 10 }), '1\n', 'broken\n', 'LINE_INVALID'],
  ['sseDecode', () => sseDecode({ maxEventBytes: 10 }), 'data:1\n\n', 'data:0123456789', 'LINE_TOO_LONG'],
])('%s within one chunk', (_, make, good, bad, code) => {
  test('delivers every value before a fault, and then the fault', async () => {
    const { values, error } = await through(
      [utf8(good.repeat(5000) + bad)],
      make() as TransformStream<Uint8Array, unknown>,
    )
    expect(values).toHaveLength(5000)
    expect(error).toMatchObject({ code })
  })

  test('delivers every value before an error of the source, and then that', async () => {
    const fault = new Error('source')
    function* failing() {
      yield utf8(good.repeat(5000))
      throw fault
    }
    const { values, error } = await through(failing(), make() as TransformStream<Uint8Array, unknown>)
    expect(values).toHaveLength(5000)
    expect(error).toBe(fault)
  })

  test('goes no further than the reader does', async () => {
    const { stream, seen } = source([utf8(good + bad)])
    const reader = stream.pipeThrough(make() as TransformStream<Uint8Array, unknown>).getReader()
    expect((await reader.read()).done).toBe(false)
    await settled()
    expect('cancelled' in seen).toBe(false)
    await reader.cancel()
  })

  test('carries its fault to the source', async () => {
    function* input() {
      yield utf8(good + bad)
      yield* endless(utf8(good))
    }
    const { stream, seen } = source(input())
    const reader = stream.pipeThrough(make() as TransformStream<Uint8Array, unknown>).getReader()
    await reader.read()
    await expect(reader.read()).rejects.toMatchObject({ code })
    await settled()
    expect(seen.cancelled).toMatchObject({ code })
  })
})

describe('a writer', () => {
  test('waits for the reader', async () => {
    const { readable, writable } = ndjsonDecode()
    const writer = writable.getWriter()
    let written = 0
    for (let writes = 0; writes < 10; writes++) void writer.write(utf8('1\n')).then(() => written++)
    await settled()
    expect(written).toBe(0)
    const reader = readable.getReader()
    await reader.read()
    await settled()
    expect(written).toBeLessThanOrEqual(1)
    await reader.read()
    await settled()
    expect(written).toBeLessThanOrEqual(2)
  })

  test('is told of a fault, and of a cancelled reader', async () => {
    const failing = ndjsonDecode()
    const writer = failing.writable.getWriter()
    const reading = drained(failing.readable)
    await writer.write(utf8('1\nx\n'))
    await expect(reading).rejects.toMatchObject({ code: 'LINE_INVALID' })
    await expect(writer.closed).rejects.toMatchObject({ code: 'LINE_INVALID' })

    const cancelled = ndjsonDecode()
    await cancelled.readable.cancel('enough')
    await expect(cancelled.writable.getWriter().closed).rejects.toBe('enough')
  })

  test('that aborts fails the reader', async () => {
    const { readable, writable } = ndjsonDecode()
    const reading = drained(readable)
    await writable.abort('gone')
    await expect(reading).rejects.toBe('gone')
  })

  test('of text instead of bytes is told so', async () => {
    const { error } = await through(['{"a":1}\n'] as unknown as Uint8Array[], ndjsonDecode())
    expect(error).toBeInstanceOf(TypeError)
  })
})

test('a single value is held back and cancelled as well', async () => {
  const { stream, seen } = source(endless(utf8(' ')))
  const reader = stream.pipeThrough(json()).getReader()
  await settled()
  expect(seen.pulls).toBeLessThanOrEqual(1)
  await reader.cancel('enough')
  await settled()
  expect(seen.cancelled).toBe('enough')

  const values = source(endless(1))
  const encoded = values.stream.pipeThrough(jsonEncode()).getReader()
  await encoded.read()
  await expect(encoded.read()).rejects.toMatchObject({ code: 'FRAME_INVALID' })
  await settled()
  expect(values.seen.cancelled).toMatchObject({ code: 'FRAME_INVALID' })
})

test('a million lines pass in flat memory', async () => {
  const lines = 1_000_000
  const block = utf8(`{"note":"${'x'.repeat(100)}"}\n`.repeat(500))
  function* blocks() {
    for (let sent = 0; sent < lines; sent += 500) yield block
  }
  const before = process.memoryUsage().heapUsed
  let peak = 0
  let read = 0
  for await (const _value of source(blocks()).stream.pipeThrough(ndjsonDecode())) {
    if (++read % 10_000 === 0) peak = Math.max(peak, process.memoryUsage().heapUsed - before)
  }
  expect(read).toBe(lines)
  // Kept, they would be well over 100 MB.
  expect(peak).toBeLessThan(64 * 1_048_576)
})

async function drained(readable: ReadableStream<unknown>): Promise<void> {
  for await (const _value of readable);
}
