import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { json, jsonEncode, ndjsonDecode, ndjsonEncode, sseDecode, sseEncode } from 'xmachines/transports/framing'
import { everySplit, joined, jsonValue, through, utf8 } from './streams.ts'

describe('a single JSON value', () => {
  test('comes back under every byte split', async () => {
    await fc.assert(
      fc.asyncProperty(jsonValue, async value => {
        const { values } = await through([value], jsonEncode<unknown>())
        expect(values).toHaveLength(1)
        for (const chunks of everySplit(joined(values))) {
          expect(await through(chunks, json())).toEqual({ values: [value] })
        }
      }),
    )
  }, 300_000)

  test('may be written on many lines, after a mark', async () => {
    expect(await through([utf8('\uFEFF{\r\n  "a": [1,\n2]\n}\n')], json())).toEqual({ values: [{ a: [1, 2] }] })
  })

  test.each([
    ['nothing', ''],
    ['white space', ' \n'],
    ['half a value', '{"a":'],
    ['two values', '1\n2'],
    ['invalid UTF-8', new Uint8Array([0x22, 0xff, 0x22])],
  ])('is not %s', async (_, input) => {
    const { values, error } = await through([typeof input === 'string' ? utf8(input) : input], json())
    expect(values).toEqual([])
    expect(error).toMatchObject({ code: 'LINE_INVALID' })
  })

  test('is refused over the limit, without waiting for its end', async () => {
    function* endless() {
      for (;;) yield utf8('        ')
    }
    expect((await through(endless(), json({ maxBytes: 100 }))).error).toMatchObject({ code: 'LINE_TOO_LONG' })
    expect(await through([utf8('"12345678"')], json({ maxBytes: 10 }))).toEqual({ values: ['12345678'] })
    expect(await through([utf8('"123456789"')], json({ maxBytes: 10 }))).toMatchObject({
      error: { code: 'LINE_TOO_LONG' },
    })
  })

  test.each<[string, unknown[]]>([
    ['no value', []],
    ['two values', [1, 2]],
    ['undefined', [undefined]],
  ])('cannot be written from %s', async (_, values) => {
    expect((await through(values, jsonEncode<unknown>())).error).toMatchObject({ code: 'FRAME_INVALID' })
  })
})

test('NDJSON, SSE and JSON give equal records, in the same order', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(jsonValue, { maxLength: 8 }), async records => {
      const lines = await through(records, ndjsonEncode<unknown>())
      const overNdjson = await through(lines.values, ndjsonDecode<unknown>())

      const messages = records.map(record => ({ data: JSON.stringify(record) }))
      const events = await through((await through(messages, sseEncode())).values, sseDecode())
      const overSse = events.values.map(event => JSON.parse(event.data) as unknown)

      const overJson: unknown[] = []
      for (const record of records) {
        const { values } = await through([record], jsonEncode<unknown>())
        overJson.push(...(await through(values, json())).values)
      }

      expect(overNdjson).toEqual({ values: records })
      expect(overSse).toEqual(records)
      expect(overJson).toEqual(records)
    }),
  )
})
