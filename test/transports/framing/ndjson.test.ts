import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type BadLine, NdjsonDecoder, ndjsonDecode, ndjsonEncode } from 'xmachines/transports/framing'
import { XMachinesError } from '../../../src/actors/errors.ts'
import { cut, everySplit, joined, jsonValue, text, through, utf8 } from './streams.ts'

const decode = (input: string, options?: Parameters<typeof ndjsonDecode>[0]) =>
  through([utf8(input)], ndjsonDecode<unknown>(options))

describe('NDJSON round trip', () => {
  test('holds under every byte split', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(jsonValue, { maxLength: 4 }), async records => {
        const { values: lines } = await through(records, ndjsonEncode<unknown>())
        for (const chunks of everySplit(joined(lines))) {
          expect(await through(chunks, ndjsonDecode())).toEqual({ values: records })
        }
      }),
    )
  }, 300_000)

  test('writes one line a value', async () => {
    const { values: lines } = await through([{ a: 'é\n' }, null, 'x'], ndjsonEncode<unknown>())
    expect(lines.map(line => new TextDecoder().decode(line))).toEqual(['{"a":"é\\n"}\n', 'null\n', '"x"\n'])
  })

  test.each([
    ['undefined', undefined],
    ['a function', () => 1],
    ['a bigint', 1n],
    [
      'a cycle',
      (() => {
        const a: unknown[] = []
        a.push(a)
        return a
      })(),
    ],
  ])('refuses %s, which JSON has no word for', async (_, value) => {
    const { values, error } = await through<unknown, Uint8Array>([{ fine: 1 }, value], ndjsonEncode())
    expect(values).toHaveLength(1)
    expect(XMachinesError.is(error, 'FRAME_INVALID')).toBe(true)
  })
})

describe('NDJSON is read leniently where the standard leaves room', () => {
  test.each([
    ['LF', '1\n2\n', [1, 2]],
    ['CRLF', '1\r\n2\r\n', [1, 2]],
    ['no last newline', '1\n2', [1, 2]],
    ['CRLF and no last newline', '1\r\n2\r', [1, 2]],
    ['blank lines', '\n\n1\n \t\n\r\n2\n\n', [1, 2]],
    ['white space around values', ' 1 \n\t2\t\n', [1, 2]],
    ['a byte-order mark', '\uFEFF1\n2\n', [1, 2]],
    ['a byte-order mark and a blank line', '\uFEFF\n2\n', [2]],
    ['nothing at all', '', []],
    ['only a mark', '\uFEFF', []],
  ])('%s', async (_, input, values) => {
    for (const chunks of everySplit(utf8(input))) {
      expect(await through(chunks, ndjsonDecode())).toEqual({ values })
    }
  })

  test('empty chunks change nothing', async () => {
    const chunks = [utf8(''), utf8('{"a"'), utf8(''), utf8(':1}'), utf8(''), utf8('\n'), utf8('')]
    expect(await through(chunks, ndjsonDecode())).toEqual({ values: [{ a: 1 }] })
  })
})

describe('a bad line', () => {
  test.each([
    ['broken JSON', utf8('{"a":')],
    ['two values', utf8('1 2')],
    ['a mark that is not at the start', utf8('\uFEFF1')],
    ['white space that JSON does not know', utf8('\u00A0')],
    ['a vertical tab', utf8('\v')],
    ['NUL', utf8('\0')],
    ['an overlong UTF-8 form', new Uint8Array([0x22, 0xc0, 0xaf, 0x22])],
    ['a lone continuation byte', new Uint8Array([0x22, 0x80, 0x22])],
    ['a character that the line cuts short', new Uint8Array([0x22, 0xe6, 0xbc])],
    ['a surrogate in UTF-8', new Uint8Array([0x22, 0xed, 0xa0, 0x80, 0x22])],
  ])('of %s fails with its place, after every line before it, under every split', async (_, bad) => {
    const bytes = joined([utf8('{"n":"漢"}\n\n'), bad, utf8('\n3\n')])
    for (const chunks of everySplit(bytes)) {
      const { values, error } = await through(chunks, ndjsonDecode())
      expect(values).toEqual([{ n: '漢' }])
      expect(error).toMatchObject({ code: 'LINE_INVALID', details: { line: 3, byte: 13 } })
    }
  })

  test('is left out with "skip"', async () => {
    expect(await decode('1\nx\n3\n', { onBadLine: 'skip' })).toEqual({ values: [1, 3] })
  })

  test('ends the stream with what the callback throws', async () => {
    const mine = new Error('mine')
    const onBadLine = () => {
      throw mine
    }
    expect(await decode('1\nx\n3\n', { onBadLine })).toEqual({ values: [1], error: mine })
  })

  test('that the end of the bytes cuts short is one too', async () => {
    const { values, error } = await decode('1\n{"a"')
    expect(values).toEqual([1])
    expect(error).toMatchObject({ code: 'LINE_INVALID', details: { line: 2, byte: 2 } })
  })

  /** A line, and what is to become of it. */
  const line = fc.oneof(
    fc
      .record({
        kind: fc.constant('good' as const),
        bytes: text.map(value => utf8(JSON.stringify(value).slice(0, 38))),
      })
      .filter(({ bytes }) => isJson(bytes) && bytes.length <= 40),
    fc.record({ kind: fc.constant('blank' as const), bytes: fc.constantFrom('', ' ', '\t \r').map(utf8) }),
    fc.record({
      kind: fc.constant('LINE_INVALID' as const),
      bytes: fc.constantFrom(utf8('{'), utf8('漢'), new Uint8Array([0xff]), new Uint8Array([0x22, 0xe6, 0x22])),
    }),
    fc.record({
      kind: fc.constant('LINE_TOO_LONG' as const),
      bytes: fc.integer({ min: 41, max: 90 }).map(n => utf8('"'.repeat(n))),
    }),
  )

  function isJson(bytes: Uint8Array): boolean {
    try {
      JSON.parse(new TextDecoder().decode(bytes))
      return true
    } catch {
      return false
    }
  }

  test('is reported with line, byte and reason, and nothing else is lost, however the bytes are split', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(line, { maxLength: 8 }),
        fc.boolean(),
        fc.array(fc.nat(400), { maxLength: 12 }),
        async (lines, lastNewline, places) => {
          const values: unknown[] = []
          const reports: unknown[] = []
          let byte = 0
          lines.forEach(({ kind, bytes }, index) => {
            if (kind === 'good') values.push(JSON.parse(new TextDecoder().decode(bytes)))
            else if (kind !== 'blank') reports.push([kind, index + 1, byte])
            byte += bytes.length + 1
          })
          const bytes = joined(lines.flatMap(({ bytes }) => [bytes, utf8('\n')])).slice(0, lastNewline ? undefined : -1)
          const bad: BadLine[] = []
          const onBadLine = (report: BadLine) => bad.push(report)
          const outcome = await through(cut(bytes, places), ndjsonDecode({ maxLineBytes: 40, onBadLine }))
          expect(outcome).toEqual({ values })
          expect(bad.map(({ line, byte, error }) => [error.code, line, byte])).toEqual(reports)
          expect(bad.map(({ error }) => error.details)).toEqual(bad.map(({ line, byte }) => ({ line, byte })))
        },
      ),
    )
  })
})

describe('the limit of a line', () => {
  test.each([
    ['exactly at it', '"12345678"\n', { values: ['12345678'] }],
    ['exactly at it, at the end', '"12345678"', { values: ['12345678'] }],
  ])('%s is fine', async (_, input, outcome) => {
    for (const chunks of everySplit(utf8(input))) {
      expect(await through(chunks, ndjsonDecode({ maxLineBytes: 10 }))).toEqual(outcome)
    }
  })

  test('counts bytes, not characters', async () => {
    expect(await decode('"漢漢漢"\n', { maxLineBytes: 10 })).toMatchObject({ error: { code: 'LINE_TOO_LONG' } })
    expect(await decode('"漢漢漢"\n', { maxLineBytes: 11 })).toEqual({ values: ['漢漢漢'] })
  })

  test('ends the stream one byte over it, under every split', async () => {
    for (const chunks of everySplit(utf8('1\n"123456789"\n2\n'))) {
      const { values, error } = await through(chunks, ndjsonDecode({ maxLineBytes: 10 }))
      expect(values).toEqual([1])
      expect(error).toMatchObject({ code: 'LINE_TOO_LONG', details: { line: 2, byte: 2 } })
    }
  })

  test('fails as soon as it is passed, without waiting for the end of the line', async () => {
    function* endless() {
      for (;;) yield utf8('xxxxxxxx')
    }
    const { error } = await through(endless(), ndjsonDecode({ maxLineBytes: 100 }))
    expect(error).toMatchObject({ code: 'LINE_TOO_LONG', details: { line: 1, byte: 0 } })
  })

  test('is 1 MiB where none is given', async () => {
    const fits = `"${'x'.repeat(1_048_574)}"`
    expect((await decode(`${fits}\n`)).values).toHaveLength(1)
    expect(await decode(`${fits} \n`)).toMatchObject({ error: { code: 'LINE_TOO_LONG' } })
  })

  test.each([0, -1, Number.NaN])('cannot be %s', limit => {
    expect(() => ndjsonDecode({ maxLineBytes: limit })).toThrow(RangeError)
  })

  test('a skipped line of 256 MiB takes no memory, and the next line is read', async () => {
    const piece = new Uint8Array(65_536).fill(0x20)
    let peak = 0
    const before = process.memoryUsage().arrayBuffers
    function* chunks() {
      for (let sent = 0; sent < 4096; sent++) {
        yield piece
        peak = Math.max(peak, process.memoryUsage().arrayBuffers - before)
      }
      yield utf8('\n{"next":true}\n')
    }
    const bad: BadLine[] = []
    const options = { maxLineBytes: 100_000, onBadLine: (report: BadLine) => void bad.push(report) }
    expect(await through(chunks(), ndjsonDecode(options))).toEqual({ values: [{ next: true }] })
    expect(bad).toMatchObject([{ line: 1, byte: 0, error: { code: 'LINE_TOO_LONG' } }])
    expect(peak).toBeLessThan(8 * 1_048_576)
  })
})

test('the decoder works without streams, and takes no more of a chunk than is asked for', () => {
  const decoder = new NdjsonDecoder<{ n: number }>()
  const values = decoder.push(utf8('{"n":1}\n{"n":2}\nbroken\n'))
  expect(values.next().value).toEqual({ n: 1 })
  expect(values.next().value).toEqual({ n: 2 })
  expect(() => values.next()).toThrow(XMachinesError)

  const fresh = new NdjsonDecoder<{ n: number }>()
  expect([...fresh.push(utf8('{"n":1}\n{"n"'))]).toEqual([{ n: 1 }])
  expect([...fresh.push(utf8(':2}'))]).toEqual([])
  expect([...fresh.flush()]).toEqual([{ n: 2 }])
})
