import { describe, expect, test } from 'vitest'
import { defineMachine, type EventSchema } from 'xmachines'
import { memoryStore } from 'xmachines/persistence/memory'
import { z } from 'zod'
import { readDeadLetter } from '../../../src/actors/supervisor/dead-letter.ts'
import { faultyStore } from '../../../src/testing/faulty-store.ts'
import { counter } from '../run/machines.ts'
import { settled } from './virtual-environment.ts'
import { headersOf, otherProcess, textOf, World } from './world.ts'

const add = (by: unknown) => ({ type: 'ADD', by })
const bytes = (...values: number[]) => Uint8Array.from(values)

const strict = defineMachine(counter, {
  events: { ADD: z.object({ type: z.literal('ADD'), by: z.number() }), END: z.object({ type: z.literal('END') }) },
})

/** A schema that takes what `isFine` says. */
function schema(isFine: (event: { readonly type: string }) => boolean | Promise<boolean>): EventSchema {
  const result = (value: unknown, ok: boolean) =>
    ok ? { value: value as { type: string } } : { issues: [{ message: 'no' }] }
  return {
    '~standard': {
      version: 1,
      vendor: 'test',
      validate(value) {
        const fine = isFine(value as { type: string })
        return typeof fine === 'boolean' ? result(value, fine) : fine.then(ok => result(value, ok))
      },
    },
  }
}

/** The error codes of all dead letters, by offset. */
async function codes(world: World): Promise<Record<string, string>> {
  const letters = (await world.topic('d')).map(headersOf)
  return Object.fromEntries(letters.map(header => [header['xmachines-offset'], header['xmachines-error-code']!]))
}

describe('poison messages', () => {
  test('each kind is refused with its code, and what comes before and after is applied', async () => {
    const world = new World()
    const { supervisor } = world.supervise({ machine: strict })
    await world.send(
      ['a', add(1)], // 0
      ['a', 'no json'],
      ['a', add('x')],
      ['a', { type: 'OTHER' }],
      ['a', { type: 'xstate.done' }],
      ['a', [add(5), add(null)]],
      ['a', bytes(0xff) as never, { value: bytes(0xff, 0xfe) }],
      ['a', '', { value: null }],
      [null, add(8)],
      ['a', add(9), { key: bytes(0xc3, 0x28) }],
      ['a', '[1]'],
      ['a', add(11)],
      ['a', { type: 'END' }], // 12
      ['a', add(13)],
    )
    await supervisor.caughtUp()
    expect(await codes(world)).toEqual({
      1: 'RECORD_UNDECODABLE',
      2: 'EVENT_REJECTED_BY_SCHEMA',
      3: 'EVENT_REJECTED_BY_SCHEMA',
      4: 'EVENT_RESERVED',
      5: 'EVENT_REJECTED_BY_SCHEMA',
      6: 'RECORD_UNDECODABLE',
      7: 'RECORD_UNDECODABLE',
      8: 'RECORD_UNDECODABLE',
      9: 'RECORD_UNDECODABLE',
      10: 'EVENT_INVALID',
      13: 'RUN_FINISHED',
    })
    expect(await world.added('a')).toEqual([1, 11, undefined])
    expect(await world.committed()).toEqual([14])
    expect(supervisor.status()).toMatchObject({ deadLettered: 11, parked: [] })
    expect((await world.head('a')).beside).toMatchObject({ refusals: [], sources: { 'cluster/t/0': 13 } })
  })

  test('a dead letter is the record as it came, with the reason and where it was', async () => {
    const world = new World()
    const { supervisor } = world.supervise()
    const value = '{"type":"THROW","text":"\u00e4\u{1f600}"}'
    const headers = { trace: '4711', blob: bytes(0, 255, 128), none: null, empty: '' }
    await world.send(['a', add(1)], ['a', value, { timestamp: 123, headers }])
    await supervisor.caughtUp()
    const [letter] = await world.topic('d')
    // Of now, or the topic would soon delete it.
    expect(letter!.timestamp).toBe(1_000_000)
    expect(textOf(letter!.key)).toBe('a')
    expect(textOf(letter!.value)).toBe(value)
    const own = { blob: bytes(0, 255, 128), none: null, empty: bytes() }
    expect(Object.fromEntries(letter!.headers)).toMatchObject(own)
    expect(headersOf(letter!)).toMatchObject({
      trace: '4711',
      'xmachines-id': 'cluster/t/0/1',
      'xmachines-error-code': 'STEP_FAILED',
      'xmachines-error-message': expect.stringContaining('thrown by the machine'),
      'xmachines-topic': 't',
      'xmachines-partition': '0',
      'xmachines-offset': '1',
      'xmachines-timestamp': '123',
    })
  })

  test('a dead letter is read as one, also of a record that is stamped in nanoseconds, or not at all', async () => {
    const world = new World()
    const { supervisor } = world.supervise()
    const times = [-1, 1.79e18]
    await world.send(...times.map(timestamp => ['a', 'no event', { timestamp }] as const))
    await supervisor.caughtUp()
    const letters = (await world.topic('d')).map(readDeadLetter)
    expect(letters.map(letter => letter?.timestamp)).toEqual(times)
  })

  test('a `decode` of the caller that throws, or says nothing usable, refuses the record', async () => {
    const world = new World()
    const { supervisor } = world.supervise({
      decode: record => {
        const value = JSON.parse(textOf(record.value)!)
        if (value.bad === 'throw') throw new Error('cannot')
        if (value.bad === 'key') return { key: 7 as never, events: [] }
        if (value.bad === 'at') return { key: 'x', events: [], at: Number.NaN }
        if (value.bad === 'surrogate') return { key: '\ud800', events: [] }
        return { key: `decoded-${textOf(record.key)}`, events: value }
      },
    })
    await world.send(
      ['a', add(1)],
      ['a', { bad: 'throw' }],
      ['a', { bad: 'key' }],
      ['a', { bad: 'at' }],
      ['a', { bad: 'surrogate' }],
      ['a', add(2)],
    )
    await supervisor.caughtUp()
    expect(await codes(world)).toEqual({
      1: 'RECORD_UNDECODABLE',
      2: 'RECORD_UNDECODABLE',
      3: 'RECORD_UNDECODABLE',
      4: 'RECORD_UNDECODABLE',
    })
    expect(await world.added('decoded-a')).toEqual([1, 2])
  })

  test('an async schema is awaited; what comes behind it in its run waits, what is of other runs does not', async () => {
    const world = new World()
    let judge!: (ok: boolean) => void
    const events = schema(value => {
      if ((value as { by?: unknown }).by !== 'ask') return true
      return new Promise(resolve => {
        judge = resolve
      })
    })
    const { supervisor } = world.supervise({ machine: defineMachine(counter, { events }), window: 8 })
    await world.send(['a', add(1)], ['a', add('ask')], ['a', add(2)], ['b', add(3)])
    await settled()
    expect(await world.added('a')).toEqual([1])
    expect(await world.added('b')).toEqual([3])
    expect(await world.committed()).toEqual([1])
    // Other runs go on until the window is full.
    await world.send(...Array.from({ length: 20 }, (_, i) => ['b', add(10 + i)] as const))
    await settled()
    expect(supervisor.status().leases[0]).toMatchObject({ position: 9, unsettled: 2 })
    judge(false)
    await supervisor.caughtUp()
    expect(await codes(world)).toEqual({ 1: 'EVENT_REJECTED_BY_SCHEMA' })
    expect(await world.added('a')).toEqual([1, 2])
    expect(await world.added('b')).toEqual([3, ...Array.from({ length: 20 }, (_, i) => 10 + i)])
  })
})

describe('a record that is refused before its run exists', () => {
  test.each(['no json', add('x')])('stores nothing: %j', async value => {
    const world = new World()
    const { supervisor } = world.supervise({ machine: strict })
    await world.send(['a', value])
    await supervisor.caughtUp()
    expect(await world.store.find('t', 'a')).toBeUndefined()
    expect(Object.keys(await codes(world))).toEqual(['0'])
    expect(await world.committed()).toEqual([1])
  })

  test('its key waits until the dead letter is acknowledged', async () => {
    const world = new World()
    const failure = world.broker.faults.failSends({ topic: 'd' })
    const { supervisor } = world.supervise({ machine: strict })
    await world.send(['a', 'no json'], ['a', add(1)], ['b', add(2)])
    await settled()
    expect(await world.store.find('t', 'a')).toBeUndefined()
    expect(await world.added('b')).toEqual([2])
    expect(await world.committed()).toEqual([0])
    await world.environment.advance(100)
    await supervisor.caughtUp()
    expect(await world.added('a')).toEqual([1])
    expect(await world.committed()).toEqual([3])
    failure.assertFired()
  })

  test('an `input` that throws, or is no JSON, refuses the record that would have made the run', async () => {
    const world = new World()
    const { supervisor } = world.supervise({
      input: record => {
        if (record.offset === 0) throw new Error('no input')
        return (record.offset === 1 ? { at: new Date() } : { from: record.offset }) as never
      },
    })
    await world.send(['a', add(1)], ['a', add(2)], ['a', add(3)])
    await supervisor.caughtUp()
    expect(await codes(world)).toEqual({ 0: 'RECORD_UNDECODABLE', 1: 'INPUT_INVALID' })
    const units = await world.units('a')
    expect(units[0]!.creation).toMatchObject({ input: { from: 2 } })
    expect(units).toHaveLength(2)
  })
})

describe('dead letters are durable before they are sent', () => {
  test('nothing is sent before the refusal is stored, and no offset counts before it is sent', async () => {
    const store = faultyStore(memoryStore())
    const world = new World({ store })
    const { supervisor } = world.supervise()
    await world.send(['a', add(1)])
    await supervisor.caughtUp()
    const held = store.faults.plan('append.delay')
    const failure = world.broker.faults.failSends({ topic: 'd' })
    await world.send(['a', { type: 'THROW' }])
    await held.met
    await settled()
    expect(failure.fired).toBe(0)
    held.release()
    await settled()
    expect(failure.fired).toBe(1)
    expect((await world.head('a')).beside.refusals).toHaveLength(1)
    expect((await world.head('a')).due).toBe(0)
    expect(await world.committed()).toEqual([1])
    await world.environment.advance(100)
    await supervisor.caughtUp()
    expect(await world.committed()).toEqual([2])
    await world.environment.advance(1000)
    expect(await world.head('a')).toMatchObject({ due: null, beside: { refusals: [] } })
  })

  test('after a crash they are sent again, with the same id, also where the offset was committed', async () => {
    const world = new World()
    const first = world.supervise()
    await world.send(['a', add(1)], ['a', { type: 'THROW' }])
    await settled()
    expect(await world.committed()).toEqual([2])
    // It was sent, and the acknowledgement is not yet in the store.
    expect((await world.head('a')).beside.refusals).toHaveLength(1)
    world.broker.faults.pause(first.consumer).expire()
    const second = world.supervise({ store: otherProcess(world.store) })
    await second.event('dead-lettered')
    const ids = (await world.topic('d')).map(letter => headersOf(letter)['xmachines-id'])
    expect(ids).toEqual(['cluster/t/0/1', 'cluster/t/0/1'])
    await world.environment.advance(1000)
    expect((await world.head('a')).beside.refusals).toEqual([])
  })

  test('a redelivered one is not decided again, and its offset still waits for the dead letter', async () => {
    const world = new World()
    world.broker.faults.failSends({ topic: 'd', times: 2 })
    const first = world.supervise()
    await world.send(['a', add(1)], ['a', { type: 'THROW' }], ['a', add(2)])
    await settled()
    expect(await world.committed()).toEqual([1])
    world.broker.faults.pause(first.consumer).expire()
    const second = world.supervise({ store: otherProcess(world.store) })
    await settled()
    expect(await world.committed()).toEqual([1])
    expect(second.supervisor.status().duplicates).toBe(2)
    await world.environment.advance(1000)
    await second.supervisor.caughtUp()
    expect(await codes(world)).toEqual({ 1: 'STEP_FAILED' })
    expect(await world.added('a')).toEqual([1, 2])
  })
})

describe('without dead letters', () => {
  test('a refused record stops its lease, loudly: nothing is written, the position stays', async () => {
    const world = new World({ partitions: 2 })
    const { supervisor, event } = world.supervise({ refuses: false })
    await world.send(['a', add(1), { partition: 0 }], ['b', add(2), { partition: 1 }])
    await supervisor.caughtUp()
    await world.send(
      ['a', add(3), { partition: 0 }],
      ['a', { type: 'THROW' }, { partition: 0 }],
      ['a', add(4), { partition: 0 }],
      ['c', add(5), { partition: 0 }],
      ['b', add(6), { partition: 1 }],
    )
    const stopped = await event('stopped')
    expect(stopped).toMatchObject({ topic: 't', partition: 0, error: { code: 'SUPERVISOR_STOPPED' } })
    expect(stopped.error.details).toEqual({ topic: 't', partition: 0, offset: 2, code: 'STEP_FAILED' })
    await expect(supervisor.caughtUp()).rejects.toMatchObject({ code: 'SUPERVISOR_STOPPED' })
    await settled()
    expect(await world.added('a')).toEqual([1, 3])
    expect(await world.added('b')).toEqual([2, 6])
    expect(await world.committed()).toEqual([2, 2])
    expect((await world.head('a')).beside).toMatchObject({ refusals: [], sources: { 'cluster/t/0': 1 } })
    expect(supervisor.status().leases).toMatchObject([
      { state: 'stopped', committed: 2, error: { code: 'SUPERVISOR_STOPPED' } },
      { state: 'running' },
    ])
    // With dead letters, it goes on from there.
    await supervisor.close()
    const second = world.supervise()
    await second.supervisor.caughtUp()
    expect(await codes(world)).toEqual({ 2: 'STEP_FAILED' })
    expect(await world.added('a')).toEqual([1, 3, 4])
  })

  test('so does one that cannot be read, and one whose check takes time; what follows in its run is not applied', async () => {
    for (const bad of ['no json', { type: 'ASK' }]) {
      const world = new World()
      const events = schema(async value => value.type !== 'ASK')
      const machine = defineMachine(counter, { events })
      const { supervisor, event } = world.supervise({ machine, refuses: false })
      await world.send(['a', add(1)], ['a', bad], ['a', add(2)], ['a', add(3)])
      await event('stopped')
      await settled()
      expect(await world.added('a')).toEqual([1])
      expect(await world.committed()).toEqual([1])
      await supervisor.close()
    }
  })
})

test('a record that ends its run with an error is a unit, and no dead letter', async () => {
  const world = new World()
  const { supervisor, event } = world.supervise({ machine: defineMachine(counter, { errors: 'fatal' }) })
  await world.send(['a', add(1)], ['a', { type: 'THROW' }], ['a', add(2)])
  await supervisor.caughtUp()
  expect(await event('ended')).toMatchObject({ key: 'a', error: { code: 'STEP_FAILED' } })
  expect(await world.head('a')).toMatchObject({ seq: 2, status: 'error' })
  expect(await codes(world)).toEqual({ 2: 'RUN_FINISHED' })
})

test('a dead-letter topic that is gone for good stops the leases, and nothing is lost', async () => {
  const world = new World()
  const deadLetters = world.broker.producer({ topic: 'd' })
  const { supervisor, event } = world.supervise({ deadLetters })
  await deadLetters.close()
  await world.send(['a', add(1)], ['a', { type: 'THROW' }], ['a', add(2)])
  expect((await event('stopped')).error.cause).toMatchObject({ code: 'BROKER_CLOSED' })
  expect(await world.committed()).toEqual([1])
  await supervisor.close()
  const second = world.supervise()
  await second.supervisor.caughtUp()
  expect(await codes(world)).toEqual({ 1: 'STEP_FAILED' })
  expect(await world.added('a')).toEqual([1, 2])
})

test('every version of the machine has its own border', async () => {
  const world = new World()
  const old = defineMachine(counter, {
    version: '1',
    events: { ADD: z.object({ type: z.literal('ADD'), by: z.string() }) },
  })
  const first = world.supervise({ machine: old })
  await world.send(['a', add('x')])
  await first.supervisor.caughtUp()
  await first.supervisor.close()
  const now = defineMachine(counter, {
    version: '2',
    events: { ADD: z.object({ type: z.literal('ADD'), by: z.number() }) },
  })
  const second = world.supervise({ machine: [now, old] as never })
  await world.send(['a', add('y')], ['b', add('z')], ['a', add(1)], ['b', add(2)])
  await second.supervisor.caughtUp()
  expect(await codes(world)).toEqual({ 2: 'EVENT_REJECTED_BY_SCHEMA', 3: 'EVENT_REJECTED_BY_SCHEMA' })
  expect(await world.added('a')).toEqual(['x', 'y'])
  expect(await world.added('b')).toEqual([2])
})
