import { describe, expect, test } from 'vitest'
import { createRun, defineMachine, openRun, type Store, XMachinesError } from 'xmachines'
import { memoryStore } from 'xmachines/persistence/memory'
import { assign, setup } from 'xstate'
import { z } from 'zod'
import { all, take } from './collect.ts'
import { counter } from './machines.ts'

async function history(store: Store, run: string) {
  return (await all(store.read(run))).map(({ seq, events, outputs }) => ({
    seq,
    types: events.map(event => event.type),
    outputs: outputs.length,
  }))
}

describe('creation (R1, R2)', () => {
  test('is synchronous: id, ports and the initial state are there at once, nothing is applied', () => {
    const run = createRun(counter)
    expect(run.id).toMatch(/^[0-9a-f]{40}$/)
    expect(run.in).toBeInstanceOf(WritableStream)
    for (const port of [run.out, run.err, run.snapshot]) expect(port).toBeInstanceOf(ReadableStream)
    expect(run.getSnapshot().context).toEqual({ count: 0 })
  })

  test('two runs differ, a keyed run has one id on every node', async () => {
    expect(createRun(counter).id).not.toBe(createRun(counter).id)
    const one = createRun(counter, { store: memoryStore(), key: 'a' })
    const other = createRun(counter, { store: memoryStore(), key: 'a' })
    expect(one.id).toBe(other.id)
    expect(createRun(counter, { store: memoryStore(), key: 'b' }).id).not.toBe(one.id)
  })

  test('sha256 stores make 64-digit ids', () => {
    expect(createRun(counter, { store: memoryStore({ objectFormat: 'sha256' }) }).id).toMatch(/^[0-9a-f]{64}$/)
  })

  test('createRun with a key that the store pinned to another run ends every port with RUN_EXISTS, naming openRun', async () => {
    const store = memoryStore()
    const first = createRun(defineMachine(counter, { version: '1' }), { store, key: 'a' })
    await first.ready
    const second = createRun(defineMachine(counter, { version: '2' }), { store, key: 'a' })
    const out = second.out.getReader().read()
    const snapshots = second.subscribe('snapshot')
    const errors = all(second.err)
    await expect(second.ready).rejects.toMatchObject({
      code: 'RUN_EXISTS',
      message: expect.stringContaining('openRun'),
    })
    await expect(out).rejects.toMatchObject({ code: 'RUN_EXISTS' })
    await expect(take(snapshots, 1)).rejects.toMatchObject({ code: 'RUN_EXISTS' })
    await expect(second.apply({ type: 'TELL' })).rejects.toMatchObject({ code: 'RUN_EXISTS' })
    expect(await errors).toMatchObject([{ fatal: true, error: { code: 'RUN_EXISTS' } }])
  })

  test('createRun with the same key and machine continues the run that is there', async () => {
    const store = memoryStore()
    const first = createRun(counter, { store, key: 'a' })
    await first.apply({ type: 'ADD', by: 2 })
    await first.close()
    const second = createRun(counter, { store, key: 'a' })
    expect(second.id).toBe(first.id)
    expect(await second.apply({ type: 'ADD', by: 3 })).toMatchObject({
      ok: true,
      seq: 2,
      snapshot: { context: { count: 5 } },
    })
  })
})

describe('application (R3–R6, R12)', () => {
  test('events are applied in order, each once, and receipts tell their place', async () => {
    const run = createRun(counter)
    const receipts = await Promise.all([1, 2, 3].map(by => run.apply({ type: 'ADD', by })))
    expect(receipts.map(receipt => receipt.seq)).toEqual([1, 2, 3])
    expect(receipts.map(receipt => receipt.ok && receipt.snapshot.context.count)).toEqual([1, 3, 6])
    expect(receipts[2]).toMatchObject({ ok: true, outputs: [{ type: 'COUNT', count: 6 }] })
  })

  test('a batch is one unit, and is refused whole', async () => {
    const store = memoryStore()
    const run = createRun(counter, { store })
    expect(
      await run.apply([
        { type: 'ADD', by: 1 },
        { type: 'ADD', by: 1 },
      ]),
    ).toMatchObject({ ok: true, seq: 1, snapshot: { context: { count: 2 } } })
    expect(await run.apply([{ type: 'ADD', by: 1 }, { type: 'THROW' }])).toMatchObject({
      ok: false,
      seq: 1,
      error: { code: 'STEP_FAILED' },
    })
    expect(await run.apply([{ type: 'END' }, { type: 'ADD', by: 1 }])).toMatchObject({
      ok: false,
      seq: 1,
      error: { code: 'RUN_FINISHED' },
    })
    expect(run.getSnapshot().context.count).toBe(2)
    expect(await history(store, run.id)).toEqual([
      { seq: 0, types: [], outputs: 0 },
      { seq: 1, types: ['ADD', 'ADD'], outputs: 2 },
    ])
  })

  test('[] is a receipt and no unit', async () => {
    const run = createRun(counter)
    const receipt = await run.apply([])
    expect(receipt).toMatchObject({ ok: true, seq: 0, outputs: [] })
    expect('duplicate' in receipt).toBe(false)
  })

  test('changing an event after it was sent changes nothing', async () => {
    const store = memoryStore()
    const run = createRun(counter, { store })
    const event = { type: 'ADD' as const, by: 1 }
    const applied = run.apply(event)
    event.by = 100
    expect(await applied).toMatchObject({ snapshot: { context: { count: 1 } } })
    expect((await all(store.read(run.id)))[1]!.events).toEqual([{ type: 'ADD', by: 1 }])
  })

  test('the in port applies what is written, an array as a batch, and settles when it is durable', async () => {
    const store = memoryStore()
    const run = createRun(counter, { store })
    const writer = run.in.getWriter()
    await writer.write({ type: 'ADD', by: 1 })
    await writer.write([
      { type: 'ADD', by: 1 },
      { type: 'ADD', by: 1 },
    ])
    expect((await store.head(run.id))!.seq).toBe(2)
    expect(run.getSnapshot().context.count).toBe(3)
    await writer.close()
    await expect(run.apply({ type: 'TELL' })).rejects.toMatchObject({ code: 'RUN_CLOSED' })
  })
})

describe('refusals (R8)', () => {
  test.each([
    ['THROW', 'STEP_FAILED'],
    ['BAD_CONTEXT', 'STATE_NOT_JSON'],
    ['BAD_OUTPUT', 'OUTPUT_NOT_JSON'],
    ['xstate.done.actor.x', 'EVENT_RESERVED'],
    ['xmachines.anything', 'EVENT_RESERVED'],
    ['', 'EVENT_INVALID'],
  ])('%j is refused with %s: on the receipt and on err, history untouched', async (type, code) => {
    const store = memoryStore()
    const run = createRun(counter, { store })
    await run.apply({ type: 'ADD', by: 7 })
    const { err } = run
    expect(await run.apply({ type } as never)).toMatchObject({ ok: false, seq: 1, error: { code, retryable: false } })
    expect(await take(err, 1)).toMatchObject([{ runId: run.id, seq: 1, error: { code }, fatal: false }])
    expect(await run.apply({ type: 'ADD', by: 1 })).toMatchObject({
      ok: true,
      seq: 2,
      snapshot: { context: { count: 8 } },
    })
    expect((await store.head(run.id))!.seq).toBe(2)
  })

  test('a refusal settles the write: one bad event does not kill the port', async () => {
    const run = createRun(counter)
    const writer = run.in.getWriter()
    await writer.write({ type: 'THROW' })
    await writer.write({ type: 'ADD', by: 1 })
    expect(run.getSnapshot().context.count).toBe(1)
  })

  test("errors: 'fatal' records the unit and ends the run with status error", async () => {
    const store = memoryStore()
    const run = createRun(defineMachine(counter, { errors: 'fatal' }), { store })
    const { err, done } = run
    expect(await run.apply({ type: 'THROW' })).toMatchObject({ ok: false, seq: 1, error: { code: 'STEP_FAILED' } })
    expect(run.getSnapshot().status).toBe('error')
    await expect(done).rejects.toThrow('thrown by the machine')
    expect(await all(err)).toMatchObject([{ seq: 1, fatal: true, error: { code: 'STEP_FAILED' } }])
    expect(await run.apply({ type: 'TELL' })).toMatchObject({ ok: false, seq: 1, error: { code: 'RUN_FINISHED' } })
    expect(await store.head(run.id)).toMatchObject({ seq: 1, status: 'error' })
    // Replay ends it too, whatever today's policy says: the machine is the same one.
    await run.close()
    const again = await openRun(counter, { store, id: run.id })
    expect(again.getSnapshot().status).toBe('error')
  })

  test.each([
    ['nothing', () => undefined, '`undefined` (undefined)'],
    ['a promise', async () => 'reject', 'a promise'],
    ['another word', () => 'ignore', '`ignore` (string)'],
  ])(
    'an `errors` that answers %s ends nothing: the unit is rejected with POLICY_INVALID',
    async (_what, errors, got) => {
      const run = createRun(defineMachine(counter, { errors: errors as never }))
      await expect(run.apply({ type: 'THROW' })).rejects.toMatchObject({
        code: 'POLICY_INVALID',
        message: expect.stringContaining(`got ${got}`),
      })
      expect(await run.apply({ type: 'ADD', by: 1 })).toMatchObject({ ok: true, seq: 1 })
    },
  )

  test('a reason to stop is a string of whole characters, or its unit would have no id', async () => {
    const run = createRun(counter)
    for (const reason of [7, '\u{1f600}'.slice(0, 1)]) expect(() => run.stop(reason as string)).toThrow(TypeError)
    expect(await run.apply({ type: 'ADD', by: 1 })).toMatchObject({ ok: true, seq: 1 })
    run.done.catch(() => {})
    await run.stop('\u{1f600}')
    expect(run.getSnapshot().status).toBe('stopped')
  })

  test("unhandled: 'reject' refuses what no transition takes; 'accept' records it", async () => {
    const strict = createRun(defineMachine(counter, { unhandled: 'reject' }))
    expect(await strict.apply({ type: 'NO_SUCH' } as never)).toMatchObject({
      ok: false,
      error: { code: 'EVENT_UNHANDLED' },
    })
    expect(await strict.apply({ type: 'ADD', by: 1 })).toMatchObject({ ok: true, seq: 1 })
    expect(await createRun(counter).apply({ type: 'NO_SUCH' } as never)).toMatchObject({ ok: true, seq: 1 })
  })

  test('a schema runs once, at the border; what it returns is recorded', async () => {
    const store = memoryStore()
    const schema = z.object({ type: z.literal('ADD'), by: z.string().transform(Number) })
    const run = createRun(defineMachine(counter, { events: schema }), { store })
    expect(await run.apply({ type: 'ADD', by: '4' })).toMatchObject({ ok: true, snapshot: { context: { count: 4 } } })
    expect((await all(store.read(run.id)))[1]!.events).toEqual([{ type: 'ADD', by: 4 }])
    expect(await run.apply({ type: 'ADD', by: 4 } as never)).toMatchObject({
      ok: false,
      error: { code: 'EVENT_REJECTED_BY_SCHEMA' },
    })
  })

  test('an async schema keeps the order of the calls', async () => {
    const slowFirst = z.object({ type: z.literal('ADD'), by: z.number() }).refine(async event => {
      for (let i = 0; i < (event.by === 1 ? 20 : 0); i++) await Promise.resolve()
      return event.by !== 3
    })
    const run = createRun(defineMachine(counter, { events: { ADD: slowFirst } }))
    const receipts = await Promise.all([1, 2, 3, 4].map(by => run.apply({ type: 'ADD', by })))
    expect(receipts.map(receipt => [receipt.ok, receipt.seq])).toEqual([
      [true, 1],
      [true, 2],
      [false, 2],
      [true, 3],
    ])
    expect(await run.apply({ type: 'OTHER' } as never)).toMatchObject({
      ok: false,
      error: { code: 'EVENT_REJECTED_BY_SCHEMA' },
    })
  })
})

describe('completion (R10)', () => {
  test('done resolves with the output, the ports end, later events are refused', async () => {
    const run = createRun(counter)
    const { out, snapshot, err, done } = run
    await run.apply({ type: 'ADD', by: 3 })
    await run.apply({ type: 'END' })
    expect(await done).toEqual({ total: 3 })
    expect((await all(out)).map(output => output.event)).toEqual([{ type: 'COUNT', count: 3 }])
    expect((await all(snapshot)).at(-1)).toMatchObject({ status: 'done', output: { total: 3 } })
    expect(await all(err)).toEqual([])
    expect(await run.apply({ type: 'TELL' })).toMatchObject({ ok: false, error: { code: 'RUN_FINISHED' } })
  })

  test('stop ends the run for good and is in the history', async () => {
    const store = memoryStore()
    const run = createRun(counter, { store })
    await run.stop('no longer needed')
    expect(run.getSnapshot().status).toBe('stopped')
    expect((await all(store.read(run.id))).at(-1)).toMatchObject({
      seq: 1,
      origin: { kind: 'stop', reason: 'no longer needed' },
    })
    await expect(run.done).rejects.toMatchObject({ code: 'RUN_FINISHED' })
    expect(await run.apply({ type: 'TELL' })).toMatchObject({ ok: false, error: { code: 'RUN_FINISHED' } })
  })
})

describe('duplicates (semantics 18, 19)', () => {
  test('a source or an id that is none is a TypeError, and nothing is applied', async () => {
    const store = memoryStore()
    const run = createRun(counter, { store, key: 'a' })
    const source = { id: 's', position: 1 }
    const wrong = [Number.NaN, Infinity, undefined, null, '5'].map(position => ({ source: { ...source, position } }))
    for (const options of [...wrong, { source: { position: 1 } }, { id: 5 }])
      await expect(run.apply({ type: 'ADD', by: 1 }, options as never)).rejects.toThrow(TypeError)
    expect(await run.apply({ type: 'ADD', by: 1 }, { source, id: '' })).toMatchObject({ ok: true, seq: 1 })
    await run.close()
  })

  test('a source position at or below the last one changes nothing', async () => {
    const store = memoryStore()
    const run = createRun(counter, { store, key: 'a' })
    expect(await run.apply({ type: 'ADD', by: 1 }, { source: { id: 's', position: 5 } })).toMatchObject({
      ok: true,
      seq: 1,
    })
    expect(await run.apply({ type: 'ADD', by: 1 }, { source: { id: 's', position: 5 } })).toMatchObject({
      ok: true,
      seq: 1,
      duplicate: true,
      outputs: [],
    })
    expect(await run.apply({ type: 'ADD', by: 1 }, { source: { id: 's', position: 4n } })).toMatchObject({
      duplicate: true,
    })
    expect(await run.apply({ type: 'THROW' }, { source: { id: 's', position: 6 } })).toMatchObject({
      ok: false,
      seq: 1,
    })
    expect(await run.apply({ type: 'ADD', by: 1 }, { source: { id: 's', position: 6 } })).toMatchObject({
      duplicate: true,
    })
    expect(await run.apply({ type: 'ADD', by: 1 }, { source: { id: 'other', position: 1 } })).toMatchObject({
      ok: true,
      seq: 2,
    })
    await run.close()
    const again = await openRun(counter, { store, key: 'a' })
    expect(await again.apply({ type: 'ADD', by: 1 }, { source: { id: 's', position: 6 } })).toMatchObject({
      duplicate: true,
      seq: 2,
    })
  })

  test('a repeated id answers what its unit answered; a refused one is decided again', async () => {
    const store = memoryStore()
    const run = createRun(counter, { store, key: 'a' })
    const [first, twin] = await Promise.all([
      run.apply({ type: 'ADD', by: 1 }, { id: 'w1' }),
      run.apply({ type: 'ADD', by: 1 }, { id: 'w1' }),
    ])
    expect(first).toMatchObject({ ok: true, seq: 1 })
    expect(twin).toMatchObject({ ok: true, seq: 1, duplicate: true, outputs: [{ type: 'COUNT', count: 1 }] })
    expect(await run.apply({ type: 'THROW' }, { id: 'w2' })).toMatchObject({ ok: false })
    expect(await run.apply({ type: 'ADD', by: 1 }, { id: 'w2' })).toMatchObject({ ok: true, seq: 2 })
    await run.close()
    const again = await openRun(counter, { store, key: 'a' })
    expect(await again.apply({ type: 'ADD', by: 1 }, { id: 'w1' })).toMatchObject({
      ok: true,
      seq: 1,
      duplicate: true,
      snapshot: { context: { count: 2 } },
    })
  })
})

describe('openRun', () => {
  test('creates once, then goes on; the machine list serves older versions', async () => {
    const store = memoryStore()
    const v1 = defineMachine(counter, { version: '1' })
    const v2 = defineMachine(counter, { version: '2' })
    const run = await openRun(v1, { store, key: 'a' })
    await run.apply({ type: 'ADD', by: 1 })
    await run.close()
    await expect(openRun(v2, { store, key: 'a' })).rejects.toMatchObject({ code: 'MACHINE_MISMATCH' })
    const again = await openRun([v2, v1], { store, key: 'a' })
    expect(again.id).toBe(run.id)
    expect(await again.apply({ type: 'ADD', by: 1 })).toMatchObject({ ok: true, seq: 2 })
  })

  test('create: false refuses a key that is unknown; an unknown id is refused', async () => {
    const store = memoryStore()
    await expect(openRun(counter, { store, key: 'a', create: false })).rejects.toMatchObject({ code: 'RUN_UNKNOWN' })
    await expect(openRun(counter, { store, id: '0'.repeat(40) })).rejects.toMatchObject({ code: 'RUN_UNKNOWN' })
  })

  test('handles share the run; the last close passivates it', async () => {
    const store = memoryStore()
    const one = await openRun(counter, { store, key: 'a' })
    const other = await openRun(counter, { store, key: 'a' })
    await one.apply({ type: 'ADD', by: 1 })
    expect(other.getSnapshot().context.count).toBe(1)
    await one.close()
    expect(await other.apply({ type: 'ADD', by: 1 })).toMatchObject({ ok: true, seq: 2 })
    await expect(one.apply({ type: 'ADD', by: 1 })).rejects.toMatchObject({ code: 'RUN_CLOSED' })
    await other.close()
    await using third = await openRun(counter, { store, key: 'a' })
    expect(third.getSnapshot().context.count).toBe(2)
  })

  test('many openers of a new key get one run', async () => {
    const store = memoryStore()
    const runs = await Promise.all(Array.from({ length: 20 }, () => openRun(counter, { store, key: 'a' })))
    await Promise.all(runs.map(run => run.apply({ type: 'ADD', by: 1 })))
    expect(new Set(runs.map(run => run.id)).size).toBe(1)
    expect(runs[0]!.getSnapshot().context.count).toBe(20)
  })

  test('the time mode is fixed at the creation', async () => {
    const store = memoryStore()
    const run = await openRun(counter, { store, key: 'a', time: 'source', at: 5 })
    await run.close()
    await expect(openRun(counter, { store, key: 'a', time: 'arrival' })).rejects.toMatchObject({
      code: 'TIME_MODE_MISMATCH',
    })
  })

  test('a throwing first step rejects openRun, throws from createRun, and stores nothing', async () => {
    const store = memoryStore()
    const broken = setup({}).createMachine({
      id: 'broken',
      context: () => {
        throw new Error('no context')
      },
    })
    expect(() => createRun(broken, { store, key: 'a' })).toThrow(XMachinesError)
    await expect(openRun(broken, { store, key: 'a' })).rejects.toMatchObject({ code: 'STEP_FAILED' })
    expect(await store.find('broken', 'a')).toBeUndefined()
  })

  test('input is part of the identity and must be JSON', async () => {
    const machine = setup({ types: {} as { input: { start: number }; context: { n: number } } }).createMachine({
      id: 'm',
      context: ({ input }) => ({ n: input.start }),
    })
    const one = createRun(machine, { store: memoryStore(), key: 'k', input: { start: 1 } })
    const two = createRun(machine, { store: memoryStore(), key: 'k', input: { start: 2 } })
    expect(one.getSnapshot().context.n).toBe(1)
    expect(one.id).not.toBe(two.id)
    expect(() => createRun(machine, { input: { start: Number.NaN } })).toThrow(/INPUT_INVALID|NaN/)
  })
})

test('determinism (R11): assign in parallel runs gives equal ids, states and outputs under source time', async () => {
  const make = async () => {
    const store = memoryStore()
    const run = await openRun(counter, { store, key: 'k', time: 'source', at: 1000 })
    for (const [i, by] of [3, 1, 4].entries()) await run.apply({ type: 'ADD', by }, { at: 2000 + i })
    return (await all(store.read(run.id))).map(({ seq, id, at, outputs }) => ({ seq, id, at, outputs }))
  }
  expect(await make()).toEqual(await make())
})

test('a plain assign machine with undefined in context keeps it as absent', async () => {
  const store = memoryStore()
  const machine = setup({ types: {} as { context: { a?: number | undefined } } }).createMachine({
    id: 'u',
    context: { a: 1 },
    on: { DROP: { actions: assign({ a: undefined }) } },
  })
  const run = await openRun(machine, { store, key: 'k' })
  expect(await run.apply({ type: 'DROP' })).toMatchObject({ ok: true })
  await run.close()
  expect((await openRun(machine, { store, key: 'k' })).getSnapshot().context.a).toBeUndefined()
})
