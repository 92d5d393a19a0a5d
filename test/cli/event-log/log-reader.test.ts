import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Consumed, ConsumedFile } from '../../../src/cli/event-log/consumed.ts'
import { LogReader } from '../../../src/cli/event-log/log-reader.ts'

/** What was consumed, kept in memory. */
function memoryFile(consumed?: Consumed): ConsumedFile & { saved: Consumed | undefined } {
  const file = {
    topic: 'log',
    saved: consumed,
    load: () => consumed,
    save: (next: Consumed) => {
      file.saved = next
    },
  }
  return file as unknown as ConsumedFile & { saved: Consumed | undefined }
}

async function* chunksOf(text: string, sizes: readonly number[]): AsyncGenerator<Uint8Array, void, void> {
  const bytes = new TextEncoder().encode(text)
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const size = sizes[turn % sizes.length]!
    yield bytes.slice(at, at + size)
    at += size
  }
}

/** Reads up to `most` lines, settling all of them but the last `open`; ends in order, or not at all. */
async function consume(
  text: string,
  sizes: readonly number[],
  before: Consumed | undefined,
  { most = Number.POSITIVE_INFINITY, open = 0, orderly = true } = {},
): Promise<{ lines: string[]; numbers: number[]; consumed: Consumed | undefined }> {
  const file = memoryFile(before)
  const reader = new LogReader(chunksOf(text, sizes), file)
  const lines: string[] = []
  const numbers: number[] = []
  for await (const batch of reader.lines()) {
    for (const { number, bytes } of batch) {
      if (lines.length >= most) break
      lines.push(new TextDecoder().decode(bytes))
      numbers.push(number)
    }
    if (lines.length >= most) break
  }
  const settled = numbers[numbers.length - 1 - open]
  if (settled !== undefined) reader.settle(settled + 1)
  if (orderly) reader.save(true)
  return { lines, numbers, consumed: file.saved }
}

const lineText = fc.stringMatching(/^[a-zé ]{0,12}$/)
const sizes = fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 5 })

describe('reading a log', () => {
  it('gives every line its number, however the bytes are split, with or without a last LF', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(lineText, { minLength: 1 }), fc.boolean(), sizes, async (lines, lastLf, sizes) => {
        const text = lines.join('\n') + (lastLf ? '\n' : '')
        const read = await consume(text, sizes, undefined)
        const expected = lastLf || lines[lines.length - 1] !== '' ? lines : lines.slice(0, -1)
        expect(read.lines).toEqual(expected)
        expect(read.numbers).toEqual(expected.map((_, index) => index + 1))
      }),
    )
  })

  it('goes on where it was, after an orderly end and after a crash, also when the log has grown', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(lineText, { minLength: 1 }),
        fc.array(lineText),
        fc.nat(20),
        fc.nat(5),
        fc.boolean(),
        sizes,
        sizes,
        async (lines, more, most, open, orderly, sizes, otherSizes) => {
          const first = await consume(`${lines.join('\n')}\n`, sizes, undefined, { most, open, orderly })
          const settled = Math.max(0, first.numbers.length - open)
          const grown = [...lines, ...more]
          const second = await consume(`${grown.join('\n')}\n`, otherSizes, first.consumed)
          // A crash may have come before anything was written down about what is settled.
          const from = orderly ? settled : (first.consumed?.settled.lines ?? 0)
          expect(from).toBeLessThanOrEqual(settled)
          expect(second.lines).toEqual(grown.slice(from))
          expect(second.numbers[0]).toBe(second.lines.length === 0 ? undefined : from + 1)
          const third = await consume(`${grown.join('\n')}\n`, sizes, second.consumed)
          expect(third.lines).toEqual([])
        },
      ),
    )
  })

  it('refuses another log, before it gives out anything', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(lineText, { minLength: 1 }), fc.nat(), sizes, async (lines, at, sizes) => {
        const { consumed } = await consume(`${lines.join('\n')}\n`, sizes, undefined)
        const changed = lines.map((line, index) => (index === at % lines.length ? `${line}x` : line))
        await expect(consume(`${changed.join('\n')}\n`, sizes, consumed)).rejects.toMatchObject({ code: 'LOG_CHANGED' })
        await expect(consume(lines.slice(1).join('\n'), sizes, consumed)).rejects.toMatchObject({ code: 'LOG_CHANGED' })
      }),
    )
  })

  it('after a crash refuses a log that differs in what had been read, though nothing was settled', async () => {
    const crashed = await consume('a\nb\nc\n', [2], undefined, { most: 2, open: 2, orderly: false })
    expect(crashed.consumed).toMatchObject({ settled: { lines: 0 }, read: { bytes: 4 } })
    await expect(consume('a\nB\nc\n', [2], crashed.consumed)).rejects.toMatchObject({ code: 'LOG_CHANGED' })
    expect((await consume('a\nb\nC\n', [2], crashed.consumed)).lines).toEqual(['a', 'b', 'C'])
  })

  it('after an orderly end lets what was not settled be corrected', async () => {
    const stopped = await consume('a\nb\nc\n', [100], undefined, { most: 2, open: 1 })
    expect((await consume('a\nB\nc\n', [100], stopped.consumed)).lines).toEqual(['B', 'c'])
  })

  it('refuses a log that went on in the middle of its last line', async () => {
    const { consumed } = await consume('a\nb', [100], undefined)
    expect((await consume('a\nb\nc\n', [100], consumed)).lines).toEqual(['c'])
    await expect(consume('a\nbc\n', [100], consumed)).rejects.toMatchObject({ code: 'LOG_CHANGED' })
  })

  it('passes over a line that is too long, and keeps counting', async () => {
    const long = 'x'.repeat((64 << 20) + 1)
    const reader = new LogReader(chunksOf(`a\n${long}\nb\n`, [1 << 20]), memoryFile())
    const found: [number, number | undefined][] = []
    for await (const batch of reader.lines()) for (const { number, bytes } of batch) found.push([number, bytes?.length])
    expect(found).toEqual([
      [1, 1],
      [2, undefined],
      [3, 1],
    ])
  })
})
