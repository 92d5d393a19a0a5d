import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type SseEvent, type SseMessage, sseDecode, sseEncode } from 'xmachines/transports/framing'
import { everySplit, joined, text, through, utf8 } from './streams.ts'

/** What the events say, as `[event, id, data]`. */
const told = ({ values }: { values: SseEvent[] }) => values.map(({ event, id, data }) => [event, id, data])

async function written(...messages: SseMessage[]): Promise<string> {
  const { values, error } = await through(messages, sseEncode())
  if (error) throw error
  return new TextDecoder().decode(joined(values))
}

describe('SSE round trip', () => {
  const oneLine = text.map(value => value.replace(/[\r\n\0]/g, ''))
  const message = fc.record(
    { data: text, event: oneLine, id: oneLine, retry: fc.nat(), comment: text },
    { requiredKeys: [] },
  )

  test('holds under every byte split', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(message, { maxLength: 3 }), async messages => {
        const { values } = await through<SseMessage, Uint8Array>(messages, sseEncode())
        expect(values).toHaveLength(messages.length)
        const expected: SseEvent[] = []
        let id = ''
        let retry: number | undefined
        for (const { data, event, ...rest } of messages) {
          id = rest.id ?? id
          retry = rest.retry ?? retry
          if (data === undefined) continue
          const lines = data.replace(/\r\n?/g, '\n')
          expected.push({ data: lines, event: event || 'message', id, ...(retry === undefined ? {} : { retry }) })
          retry = undefined
        }
        for (const chunks of everySplit(joined(values))) {
          expect(await through(chunks, sseDecode())).toEqual({ values: expected })
        }
      }),
    )
  }, 300_000)

  test('writes each field on lines of its own', async () => {
    const message = { data: 'a\r\nb\rc\n', event: 'out', id: '7', retry: 10, comment: 'x\ny' }
    expect(await written(message, { comment: 'ping' })).toBe(
      ': x\n: y\nevent: out\nid: 7\nretry: 10\ndata: a\ndata: b\ndata: c\ndata: \n\n: ping\n\n',
    )
  })

  test.each<[string, unknown]>([
    ['a line break in event', { data: '', event: 'a\nb' }],
    ['a carriage return in event', { data: '', event: 'a\rb' }],
    ['a line break in id', { data: '', id: 'a\nb' }],
    ['NUL in id', { data: '', id: 'a\0b' }],
    ['a negative retry', { data: '', retry: -1 }],
    ['a broken retry', { data: '', retry: 1.5 }],
    ['a retry that is no number', { data: '', retry: '1\ndata: x' }],
    ['data that is no string', { data: { type: 'A' } }],
    ['an id that is no string', { data: '', id: 7 }],
    ['a comment that is no string', { comment: 7 }],
  ])('refuses %s', async (_, message) => {
    const { error } = await through([message as SseMessage], sseEncode())
    expect(error).toMatchObject({ code: 'FRAME_INVALID' })
  })
})

/** After web-platform-tests/eventsource and the examples of the HTML standard, one by one. */
describe('the algorithm of the standard', () => {
  const long = 'x'.repeat(2000)
  test.each<[string, string, string[][]]>([
    [
      'a mark at the start',
      '\uFEFFdata:1\n\n\uFEFFdata:2\n\ndata:3\n\n',
      [
        ['message', '', '1'],
        ['message', '', '3'],
      ],
    ],
    [
      'two marks',
      '\uFEFF\uFEFFdata:1\n\ndata:2\n\ndata:3\n\n',
      [
        ['message', '', '2'],
        ['message', '', '3'],
      ],
    ],
    [
      'comments',
      `data:1\r:\0\n:\r\ndata:2\n:${long}\rdata:3\n:data:fail\r:${long}\ndata:4\n\n`,
      [['message', '', '1\n2\n3\n4']],
    ],
    ['an incomplete last event', 'retry:1000\ndata:test1\n\nid:test\ndata:test2', [['message', '', 'test1']]],
    ['an unfinished blank line', 'data:1\n\ndata:2\n', [['message', '', '1']]],
    [
      'empty data',
      'data:\n\ndata\ndata\n\ndata:test\n\n',
      [
        ['message', '', ''],
        ['message', '', '\n'],
        ['message', '', 'test'],
      ],
    ],
    ['an empty event', 'event: \ndata:data\n\n', [['message', '', 'data']]],
    [
      'an event',
      'event:test\ndata:x\n\ndata:y\n\n',
      [
        ['test', '', 'x'],
        ['message', '', 'y'],
      ],
    ],
    ['the last event field', 'event:a\nevent:b\ndata:x\n\n', [['b', '', 'x']]],
    ['an event without data, forgotten', 'event:test\n\ndata:x\n\n', [['message', '', 'x']]],
    [
      'an id that persists',
      'id:1\ndata:x\n\ndata:y\n\n',
      [
        ['message', '1', 'x'],
        ['message', '1', 'y'],
      ],
    ],
    ['an id without data', 'id:1\n\ndata:y\n\n', [['message', '1', 'y']]],
    [
      'an id that is reset',
      'id:1\ndata:x\n\nid\ndata:y\n\nid:\ndata:z\n\n',
      [
        ['message', '1', 'x'],
        ['message', '', 'y'],
        ['message', '', 'z'],
      ],
    ],
    [
      'an id with NUL, ignored',
      'id:1\ndata:x\n\nid:a\0b\ndata:y\n\n',
      [
        ['message', '1', 'x'],
        ['message', '1', 'y'],
      ],
    ],
    [
      'field parsing',
      'data:\0\ndata:  2\rData:1\ndata\0:2\ndata:1\r\0data:4\nda-ta:3\rdata_5\ndata:3\rdata:\r\n data:32\ndata:4\n\n',
      [['message', '', '\0\n 2\n1\n3\n\n4']],
    ],
    [
      'unknown fields',
      'data:test\n data\ndata\nfoobar:xxx\njustsometext\n:comment\ndata:test\n\n',
      [['message', '', 'test\n\ntest']],
    ],
    ['a leading space', 'data:\ttest\rdata: \ndata:test\n\n', [['message', '', '\ttest\n\ntest']]],
    ['every newline', 'data:test\r\ndata\ndata:test\r\n\r', [['message', '', 'test\n\ntest']]],
    [
      'CR alone',
      'data:1\r\rdata:2\r\r',
      [
        ['message', '', '1'],
        ['message', '', '2'],
      ],
    ],
    [
      'CRLF',
      'data:1\r\n\r\ndata:2\r\n\r\n',
      [
        ['message', '', '1'],
        ['message', '', '2'],
      ],
    ],
    [
      'LF after CRLF',
      'data:1\r\n\ndata:2\n\n',
      [
        ['message', '', '1'],
        ['message', '', '2'],
      ],
    ],
    ['NUL in data', 'data:\0\n\n\n\n', [['message', '', '\0']]],
    ['UTF-8', 'data:ok…漢😀\n\n', [['message', '', 'ok…漢😀']]],
    ['a colon in the value', 'data:a: b\n\n', [['message', '', 'a: b']]],
    ['U+2028, no line break here', 'data:a\u2028b\n\n', [['message', '', 'a\u2028b']]],
    ['stock ticker', 'data: YHOO\ndata: +2\ndata: 10\n\n', [['message', '', 'YHOO\n+2\n10']]],
    [
      'four blocks',
      ': test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n',
      [
        ['message', '1', 'first event'],
        ['message', '', 'second event'],
        ['message', '', ' third event'],
      ],
    ],
    ['nothing', '', []],
  ])('%s', async (_, input, expected) => {
    for (const chunks of everySplit(utf8(input))) {
      const outcome = await through(chunks, sseDecode())
      expect(outcome.error).toBeUndefined()
      expect(told(outcome)).toEqual(expected)
    }
  })

  test.each([
    ['digits', 'retry:03000\ndata:x\n\n', 3000],
    ['with a space', 'retry: 3000\ndata:x\n\n', 3000],
    ['bogus', 'retry:1000x\ndata:x\n\n', undefined],
    ['signed', 'retry:-1\ndata:x\n\n', undefined],
    ['two spaces', 'retry:  1\ndata:x\n\n', undefined],
    ['empty', 'retry\ndata:x\n\n', undefined],
    ['bogus after digits', 'retry:3000\nretry:1000x\ndata:x\n\n', 3000],
    ['beyond all numbers', `retry:${'9'.repeat(400)}\ndata:x\n\n`, undefined],
    ['in a block without data', 'retry:3000\n\ndata:x\n\n', 3000],
  ])('retry: %s', async (_, input, retry) => {
    const { values } = await through([utf8(input)], sseDecode())
    expect(values.map(event => event.retry)).toEqual([retry])
  })

  test('retry is told once', async () => {
    const { values } = await through([utf8('retry:1\ndata:x\n\ndata:y\n\n')], sseDecode())
    expect(values).toEqual([
      { data: 'x', event: 'message', id: '', retry: 1 },
      { data: 'y', event: 'message', id: '' },
    ])
  })

  test('invalid UTF-8 becomes U+FFFD under every split, as a browser reads it', async () => {
    const bytes = joined([
      utf8('data:a'),
      new Uint8Array([0xe6, 0xbc]),
      utf8('\ndata:'),
      new Uint8Array([0xff]),
      utf8('\n\n'),
    ])
    for (const chunks of everySplit(bytes)) {
      expect(told(await through(chunks, sseDecode()))).toEqual([['message', '', 'a\uFFFD\n\uFFFD']])
    }
  })
})

describe('the limit of an event', () => {
  const limited = (input: string | Uint8Array[]) =>
    through(typeof input === 'string' ? [utf8(input)] : input, sseDecode({ maxEventBytes: 20 }))

  test('counts its lines together, and says where it was passed', async () => {
    const twoLines = 'data:12345\ndata:12345\n'
    expect(told(await limited(`${twoLines}\n`))).toEqual([['message', '', '12345\n12345']])
    for (const chunks of everySplit(utf8(`data:1\n\n${twoLines}id:\n\n`))) {
      const outcome = await limited(chunks)
      expect(told(outcome)).toEqual([['message', '', '1']])
      expect(outcome.error).toMatchObject({ code: 'LINE_TOO_LONG', details: { line: 5, byte: 30 } })
    }
  })

  test('names its place also after CRLF and CR', async () => {
    for (const [before, line, byte] of [
      ['data:1\r\n\r\n', 3, 10],
      ['data:1\r\r', 3, 8],
      [':\n:\r\n', 3, 5],
    ] as const) {
      for (const chunks of everySplit(utf8(`${before}${'x'.repeat(21)}\n`))) {
        expect((await limited(chunks)).error).toMatchObject({ details: { line, byte } })
      }
    }
  })

  test('holds for a line that never ends', async () => {
    function* endless() {
      for (;;) yield utf8('data')
    }
    const { error } = await through(endless(), sseDecode({ maxEventBytes: 20 }))
    expect(error).toMatchObject({ code: 'LINE_TOO_LONG', details: { line: 1, byte: 0 } })
  })

  test('holds for lines that never end the event', async () => {
    function* endless() {
      for (;;) yield utf8('event:x\n')
    }
    expect((await through(endless(), sseDecode({ maxEventBytes: 20 }))).error).toMatchObject({ code: 'LINE_TOO_LONG' })
  })

  test('starts anew with each event, and heartbeats do not count', async () => {
    const outcome = await limited(`${'data:12345\n: 2345\n: 2345\n\n'.repeat(50)}${': ping\n'.repeat(50)}`)
    expect(outcome.error).toBeUndefined()
    expect(outcome.values).toHaveLength(50)
  })

  test('holds for a comment', async () => {
    expect((await limited(`:${'x'.repeat(20)}\n`)).error).toMatchObject({ code: 'LINE_TOO_LONG' })
  })
})
