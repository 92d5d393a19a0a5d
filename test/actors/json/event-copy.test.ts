import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { XMachinesError } from '../../../src/actors/errors.ts'
import {
  copyEvent,
  copyEvents,
  defaultEventLimits,
  type EventLimits,
  freezeParsedEvents,
} from '../../../src/actors/json/event-copy.ts'
import { refusalOf } from './refusal-of.ts'

const copy = (value: unknown, limits: Partial<EventLimits> = {}) =>
  copyEvent(value, { ...defaultEventLimits, ...limits })
const bytesOf = (value: unknown) => new TextEncoder().encode(JSON.stringify(value)).length

const json = fc.jsonValue({ stringUnit: 'binary' }).map((value): unknown => JSON.parse(JSON.stringify(value))) // -0 becomes 0
/** Any JSON event. Keys that are reserved, and text that is no Unicode, have their own tests. */
const event = fc
  .tuple(fc.string({ minLength: 1 }), fc.dictionary(fc.string({ unit: 'binary' }), json))
  .map(([type, rest]) => ({ ...rest, type: `E${type}` }))
  .filter(value => !/"(__proto__|constructor|prototype)":/.test(JSON.stringify(value)))

function everything(value: unknown): object[] {
  if (typeof value !== 'object' || value === null) return []
  return [value, ...Object.values(value).flatMap(everything)]
}

describe('laws', () => {
  test('the copy is the event', () => {
    fc.assert(
      fc.property(event, value => {
        const before = JSON.stringify(value)
        const made = copy(value)
        expect(made).toEqual(value)
        expect(JSON.stringify(made)).toBe(before)
        expect(JSON.parse(JSON.stringify(made))).toEqual(made)
        expect(JSON.stringify(value)).toBe(before)
      }),
    )
  })

  test('the copy is frozen throughout, the original nowhere, and they share nothing', () => {
    fc.assert(
      fc.property(event, value => {
        const originals = everything(value)
        const copies = everything(copy(value))
        expect(copies.length).toBe(originals.length)
        for (const each of copies) expect(Object.isFrozen(each)).toBe(true)
        for (const each of originals) expect(Object.isExtensible(each)).toBe(true)
        expect(new Set([...copies, ...originals]).size).toBe(copies.length + originals.length)
      }),
    )
  })

  test('maxBytes is the length of the JSON text, to the byte', () => {
    fc.assert(
      fc.property(event, value => {
        const bytes = bytesOf(value)
        expect(copy(value, { maxBytes: bytes })).toEqual(value)
        const error = refusalOf(() => copy(value, { maxBytes: bytes - 1 }))
        expect(error.code).toBe('EVENT_TOO_LARGE')
        expect(error.details.maxBytes).toBe(bytes - 1)
      }),
    )
  })
})

describe('what was just parsed is frozen where it lies', () => {
  const outcome = (take: typeof copyEvents, text: string, limits: EventLimits) => {
    try {
      return { events: take(JSON.parse(text), limits) }
    } catch (thrown) {
      const { code, message, details } = thrown as XMachinesError
      return { code, message, details }
    }
  }
  /** What JSON text can say and a history does not hold, among what it does. */
  const odd = fc.constantFrom(
    '-0',
    '1e999',
    '"\\ud800"',
    '{"__proto__":1}',
    '{"\\udc00":[]}',
    '{"type":"A"}',
    '[[1],[]]',
  )
  const text = fc.letrec(tie => ({
    value: fc.oneof(
      { maxDepth: 4, withCrossShrink: true },
      odd,
      fc.jsonValue().map(value => JSON.stringify(value)),
      fc.array(tie('value')).map(values => `[${values}]`),
      fc
        .array(fc.tuple(fc.oneof(fc.constantFrom('type', 'constructor'), fc.string()), tie('value')))
        .map(entries => `{${entries.map(([key, value]) => `${JSON.stringify(key)}:${value}`)}}`),
    ),
  })).value
  const events = fc.oneof(
    text,
    fc.tuple(fc.string(), text).map(([type, value]) => `{"type":${JSON.stringify(type)},"value":${value}}`),
    fc.array(text.map(value => `{"type":"A","value":${value}}`)).map(values => `[${values}]`),
  )

  test('into the same events, or the same refusal, as a copy', () => {
    fc.assert(
      fc.property(
        events,
        fc.record({ maxBytes: fc.nat(200), maxDepth: fc.nat(5), maxBatch: fc.nat(3) }),
        (text, limits) => {
          for (const each of [defaultEventLimits, limits]) {
            const frozen = outcome(freezeParsedEvents, text, each)
            expect(frozen).toEqual(outcome(copyEvents, text, each))
            for (const part of everything(frozen.events)) expect(Object.isFrozen(part)).toBe(true)
          }
        },
      ),
      { examples: [['{"":[-0]}', { maxBytes: 2, maxDepth: 2, maxBatch: 0 }]] },
    )
  })
})

test('what the caller does afterwards has no effect', () => {
  const value = { type: 'ADD', items: [{ sku: 'a' }] }
  const made = copy(value)
  value.items[0]!.sku = 'b'
  value.items.push({ sku: 'c' })
  value.type = 'REMOVE'
  expect(made).toEqual({ type: 'ADD', items: [{ sku: 'a' }] })
})

describe('what is an event', () => {
  test.each([
    ['undefined', undefined, 'undefined'],
    ['null', null, 'null'],
    ['a string', 'PLACE', '"PLACE"'],
    ['a number', 7, '7'],
    ['NaN', Number.NaN, 'NaN'],
    ['a function', () => 0, 'a function'],
    ['an array', [{ type: 'A' }], 'an array'],
  ])('%s is none', (_, value, found) => {
    const error = refusalOf(() => copy(value))
    expect(error).toMatchObject({ code: 'EVENT_INVALID', details: { path: '$' } })
    expect(error.message).toContain(found)
    expect(error.message).toContain('{ type: "…" }')
  })

  test.each([
    ['missing', {}],
    ['missing', Object.create({ type: 'A' }, {}) && { kind: 'A' }],
    ['empty', { type: '' }],
    ['not a string', { type: 7 }],
    ['not a string', { type: null }],
    ['not a string', { type: ['A'] }],
  ])('a type that is %s', (found, value) => {
    const error = refusalOf(() => copy(value))
    expect(error).toMatchObject({ code: 'EVENT_INVALID', details: { path: '$.type' } })
    expect(error.message).toContain(found)
  })

  test.each([['xstate.init'], ['xstate.done.actor.0'], ['xstate.'], ['xmachines.stop'], ['xmachines.']])(
    'the type %s is reserved',
    type => {
      expect(refusalOf(() => copy({ type }))).toMatchObject({ code: 'EVENT_RESERVED', details: { path: '$.type' } })
    },
  )

  test.each([['xstate'], ['XSTATE.init'], ['a.xstate.init'], ['xmachinesx.a'], [' ']])('the type %j is free', type => {
    expect(copy({ type })).toEqual({ type })
  })
})

describe('depth', () => {
  const nested = (levels: number): unknown => (levels === 0 ? 1 : { in: nested(levels - 1) })

  test('the event itself is the first level', () => {
    const limits = { maxDepth: 3 }
    expect(copy({ type: 'A', in: nested(2) }, limits)).toEqual({ type: 'A', in: { in: { in: 1 } } })
    expect(copy({ type: 'A', in: [[]] }, limits)).toEqual({ type: 'A', in: [[]] })
    for (const value of [nested(3), [[[]]]]) {
      const error = refusalOf(() => copy({ type: 'A', in: value }, limits))
      expect(error.code).toBe('EVENT_TOO_LARGE')
      expect(error.message).toContain('deeper than 3')
    }
    expect(refusalOf(() => copy({ type: 'A', in: nested(3) }, limits)).details.path).toBe('$.in.in.in')
  })

  test('64 by default', () => {
    expect(copy({ type: 'A', in: nested(63) })).toBeDefined()
    expect(refusalOf(() => copy({ type: 'A', in: nested(64) })).code).toBe('EVENT_TOO_LARGE')
  })
})

describe('size', () => {
  test('1 MiB by default', () => {
    const frame = bytesOf({ type: 'A', text: '' })
    expect(copy({ type: 'A', text: 'x'.repeat(1_048_576 - frame) })).toBeDefined()
    const error = refusalOf(() => copy({ type: 'A', text: 'x'.repeat(1_048_577 - frame) }))
    expect(error).toMatchObject({ code: 'EVENT_TOO_LARGE', details: { maxBytes: 1_048_576 } })
    expect(error.message).toContain('or, in code, raise `limits`')
  })

  test.each([
    ['a long key', { ['k'.repeat(1_048_576)]: 1 }],
    ['many short values', { list: new Array(524_288).fill(1) }],
    ['many long numbers', { list: new Array(45_000).fill(-1.2345678901234567e-308) }],
    ['text that JSON escapes', { text: '\u0000'.repeat(200_000) }],
    ['text of three bytes a character', { text: '€'.repeat(400_000) }],
  ])('%s is counted', (_, rest) => {
    const value = { type: 'A', ...rest }
    expect(bytesOf(value)).toBeGreaterThan(1_048_576)
    expect(refusalOf(() => copy(value)).code).toBe('EVENT_TOO_LARGE')
    expect(copy(value, { maxBytes: bytesOf(value) })).toBeDefined()
  })

  test('a huge array is refused before its elements are looked at', () => {
    let read = 0
    const huge = new Proxy(new Array(3_000_000), {
      get(target, key) {
        if (key !== 'length') read++
        return Reflect.get(target, key)
      },
    })
    expect(refusalOf(() => copy({ type: 'A', huge })).code).toBe('EVENT_TOO_LARGE')
    expect(read).toBe(0)
  })

  test('one object in many places counts each time', () => {
    let value: unknown = 'x'
    for (let level = 0; level < 40; level++) value = { a: value, b: value }
    expect(refusalOf(() => copy({ type: 'A', value })).code).toBe('EVENT_TOO_LARGE')
  })
})

describe('a batch', () => {
  const batch = (value: unknown, limits: Partial<EventLimits> = {}) =>
    copyEvents(value, { ...defaultEventLimits, ...limits })

  test('one event is a batch of one, an array one of its events', () => {
    expect(batch({ type: 'A' })).toEqual([{ type: 'A' }])
    expect(batch([{ type: 'A' }, { type: 'B', n: 1 }])).toEqual([{ type: 'A' }, { type: 'B', n: 1 }])
    expect(batch([])).toEqual([])
  })

  test('is frozen and a copy', () => {
    const events = [{ type: 'A' }]
    const made = batch(events)
    events.push({ type: 'B' })
    expect(made).toEqual([{ type: 'A' }])
    expect(Object.isFrozen(made) && Object.isFrozen(made[0]) && Object.isFrozen(batch({ type: 'A' }))).toBe(true)
  })

  test('paths begin with the event', () => {
    const path = (value: unknown) => refusalOf(() => batch(value)).details.path
    expect(path([{ type: 'A' }, { type: 'B', items: [1, Number.NaN] }])).toBe('$[1].items[1]')
    expect(path([{ type: 'A' }, 'B'])).toBe('$[1]')
    expect(path([{ type: 'A' }, [{ type: 'B' }]])).toBe('$[1]')
    expect(path([{ type: '' }])).toBe('$[0].type')
    expect(path([{ type: 'xstate.stop' }])).toBe('$[0].type')
    expect(path({ type: 'A', b: undefined })).toBe('$.b')
    expect(path(new Array(2))).toBe('$[0]')
  })

  test('has at most maxBatch events, 10,000 by default', () => {
    const events = (count: number) => Array.from({ length: count }, () => ({ type: 'A' }))
    expect(batch(events(3), { maxBatch: 3 })).toHaveLength(3)
    expect(refusalOf(() => batch(events(4), { maxBatch: 3 }))).toMatchObject({
      code: 'EVENT_TOO_LARGE',
      details: { maxBatch: 3 },
    })
    expect(batch(events(10_000))).toHaveLength(10_000)
    expect(refusalOf(() => batch(events(10_001))).code).toBe('EVENT_TOO_LARGE')
  })

  test('maxBytes and maxDepth hold for each event', () => {
    const two = [
      { type: 'A', text: 'xx' },
      { type: 'A', text: 'xx' },
    ]
    expect(batch(two, { maxBytes: bytesOf(two[0]) })).toEqual(two)
    expect(batch([{ type: 'A', in: {} }], { maxDepth: 2 })).toHaveLength(1)
  })

  test('a revoked proxy is refused like everything else', () => {
    const { proxy, revoke } = Proxy.revocable([], {})
    revoke()
    const error = refusalOf(() => batch(proxy))
    expect(error).toBeInstanceOf(XMachinesError)
    expect(error.code).toBe('EVENT_INVALID')
    expect(error.cause).toBeInstanceOf(TypeError)
  })
})
