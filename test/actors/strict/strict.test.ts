import { afterEach, describe, expect, test, vi } from 'vitest'
import { createRun, defineMachine, forkRun, openRun, type Strictness, supervise } from 'xmachines'
import { memoryStore } from 'xmachines/persistence/memory'
import { memoryBroker } from 'xmachines/transports/memory'
import { assign, emit, fromPromise, setup } from 'xstate'

afterEach(() => {
  vi.unstubAllEnvs()
})

interface Context {
  readonly n: number
}
type Events = { type: 'GO' } | { type: 'LATER' } | { type: 'CALL' }

const nanoseconds = () => Number(process.hrtime.bigint() % 1_000_000_000n)

/** Asks `value` in each assignment: by an event, by a timer, by an outcome. */
function asking(value: () => number) {
  return setup({
    types: {} as { context: Context; events: Events },
    actors: { call: fromPromise(async () => 1) },
  }).createMachine({
    id: 'asking',
    context: { n: 0 },
    initial: 'idle',
    states: {
      idle: { on: { GO: { actions: assign({ n: value }) }, LATER: 'waiting', CALL: 'calling' } },
      waiting: { after: { 10: { target: 'idle', actions: assign({ n: value }) } } },
      calling: { invoke: { src: 'call', onDone: { target: 'idle', actions: assign({ n: value }) } } },
    },
  })
}

describe('a step that is decided twice', () => {
  test('with two results: the unit is refused with both, and nothing stays of it', async () => {
    let calls = 0
    await using run = createRun(
      asking(() => ++calls),
      { strict: true },
    )
    expect(await run.apply({ type: 'GO' })).toMatchObject({
      ok: false,
      seq: 0,
      error: {
        code: 'STEP_NOT_DETERMINISTIC',
        message: expect.stringContaining('context.n was 1 first and 2 then'),
        details: { path: 'context.n', first: '1', second: '2' },
      },
    })
    expect(run.getSnapshot().context).toEqual({ n: 0 })
  })

  test('may throw what each attempt makes anew, also a symbol: it throws the same', async () => {
    const failing = setup({ types: {} as { context: Context; events: { type: 'THROW'; as: string } } }).createMachine({
      id: 'failing',
      context: { n: 0 },
      on: {
        THROW: {
          actions: assign(({ event }) => {
            throw event.as === 'symbol' ? Symbol('no') : event.as === 'object' ? { no: [1] } : new Error('no')
          }),
        },
      },
    })
    await using run = createRun(failing, { strict: true })
    for (const as of ['symbol', 'object', 'error'])
      expect(await run.apply({ type: 'THROW', as })).toMatchObject({ ok: false, error: { code: 'STEP_FAILED' } })
  })

  test('differs in its state, its outputs, its timers or its actions', async () => {
    let calls = 0
    const odd = () => ++calls % 2 === 1
    const machine = setup({
      types: {} as { events: { type: string }; emitted: { type: 'OUT'; odd: boolean } },
      actions: { act: (_, _params: { odd: boolean }) => {} },
      delays: { soon: () => (odd() ? 10 : 20) },
    }).createMachine({
      id: 'm',
      initial: 'a',
      states: {
        a: { on: { state: [{ guard: odd, target: 'b' }], timer: 'late' } },
        b: {},
        late: { after: { soon: 'a' } },
      },
      on: {
        output: { actions: emit(() => ({ type: 'OUT', odd: odd() }) as const) },
        action: { actions: { type: 'act', params: () => ({ odd: odd() }) } },
      },
    })
    const paths = { state: 'value', timer: 'timers[0].due', output: 'outputs[0].odd', action: 'effects[0].params.odd' }
    for (const [type, path] of Object.entries(paths)) {
      await using run = createRun(machine, { strict: true })
      const receipt = await run.apply({ type })
      expect(receipt).toMatchObject({ ok: false, error: { code: 'STEP_NOT_DETERMINISTIC', details: { path } } })
    }
  })

  test('is asked twice, and only the first is kept', async () => {
    let calls = 0
    const machine = asking(() => {
      calls++
      return 7
    })
    await using run = createRun(machine, { strict: true })
    expect(await run.apply({ type: 'GO' })).toMatchObject({ ok: true, seq: 1, snapshot: { context: { n: 7 } } })
    expect(calls).toBe(2)
  })

  test('is compared as far as it is JSON: what is not is refused as such', async () => {
    interface Tree {
      parent?: Tree
      children: Tree[]
    }
    const tree = (depth: number, parent?: Tree): Tree => {
      const node: Tree = { ...(parent && { parent }), children: [] }
      if (depth > 0) node.children.push(tree(depth - 1, node), tree(depth - 1, node))
      return node
    }
    const machine = setup({ types: {} as { context: { value: unknown }; events: { type: string } } }).createMachine({
      id: 'm',
      context: { value: null },
      on: {
        cyclic: { actions: assign({ value: () => tree(6) }) },
        map: { actions: assign({ value: () => new Map([[1, {}]]) }) },
        big: { actions: assign({ value: () => 1n }) },
      },
    })
    await using run = createRun(machine, { strict: true })
    for (const type of ['cyclic', 'map', 'big'])
      expect(await run.apply({ type })).toMatchObject({ ok: false, error: { code: 'STATE_NOT_JSON' } })
  })

  test('finds what no trap sees: a function that was taken from a global before', async () => {
    await using run = createRun(asking(nanoseconds), { strict: true })
    expect(await run.apply({ type: 'GO' })).toMatchObject({ ok: false, error: { code: 'STEP_NOT_DETERMINISTIC' } })
  })

  test('the first step is one', () => {
    let calls = 0
    const machine = setup({ types: {} as { context: Context } }).createMachine({
      id: 'm',
      context: () => ({ n: ++calls }),
    })
    expect(() => createRun(machine, { strict: true })).toThrow(/context\.n was 1 first and 2 then/)
  })
})

describe('a violation', () => {
  test('refuses a unit from outside, whatever the policy of the machine: no replay would find it', async () => {
    const machine = defineMachine(
      asking(() => Date.now()),
      { errors: 'fatal' },
    )
    const store = memoryStore()
    const run = createRun(machine, { store, key: 'k', strict: true })
    expect(await run.apply({ type: 'GO' })).toMatchObject({ ok: false, seq: 0, error: { code: 'STEP_IMPURE' } })
    expect(run.getSnapshot().status).toBe('active')
    await run.close()
    expect((await store.head(run.id))?.seq).toBe(0)
  })

  test('in what the run caused itself ends the run in memory, with nothing recorded: mended, it goes on', async () => {
    const store = memoryStore()
    const impure = asking(() => Date.now())
    for (const [key, type] of [
      ['timer', 'LATER'],
      ['outcome', 'CALL'],
    ] as const) {
      const run = createRun(impure, { store, key, strict: true })
      expect(await run.apply({ type })).toMatchObject({ ok: true, seq: 1 })
      await expect(run.done).rejects.toMatchObject({ code: 'STEP_IMPURE' })
      expect(await store.head(run.id)).toMatchObject({ seq: 1, status: 'active' })

      await using mended = await openRun(
        asking(() => 7),
        { store, key, strict: true },
      )
      const snapshots = mended.snapshot.getReader()
      for (let { value } = await snapshots.read(); value?.context.n !== 7; { value } = await snapshots.read());
      expect(mended.getSnapshot().value).toBe('idle')
    }
  })

  test('under source time rejects the event that let the time pass', async () => {
    await using run = createRun(
      asking(() => Date.now()),
      { time: 'source', strict: true },
    )
    await run.apply({ type: 'LATER' }, { at: 0 })
    await expect(run.advance(100)).rejects.toMatchObject({ code: 'STEP_IMPURE' })
    expect(run.getSnapshot().value).toBe('waiting')
  })

  test('that is recorded is past: the run opens, and replays', async () => {
    const store = memoryStore()
    // What it comes to is always the same, but how is not for a step.
    const machine = asking(() => Math.sign(Date.now()))
    const run = createRun(machine, { store, key: 'k', strict: false })
    expect((await run.apply({ type: 'GO' })).ok).toBe(true)
    await run.close()
    const noSnapshots = new Proxy(store, {
      get: (target, name) => {
        const member: unknown = Reflect.get(target, name)
        if (name === 'loadSnapshot') return async () => undefined
        return typeof member === 'function' ? member.bind(target) : member
      },
    })
    await using opened = await openRun(machine, { store: noSnapshots, key: 'k', strict: true })
    expect(opened.getSnapshot().context.n).toBe(1)
    expect(await opened.apply({ type: 'GO' })).toMatchObject({ ok: false, seq: 1, error: { code: 'STEP_IMPURE' } })
  })
})

describe('whether units are decided strictly', () => {
  /** How often a unit of one assignment is decided. */
  async function decisions(strict?: Strictness): Promise<number> {
    let calls = 0
    const machine = asking(() => {
      calls++
      return 1
    })
    await using run = createRun(machine, strict === undefined ? {} : { strict })
    for (let i = 0; i < 100; i++) await run.apply({ type: 'GO' })
    return calls
  }

  test('outside production, unless told', async () => {
    expect(await decisions()).toBe(200)
    expect(await decisions(false)).toBe(100)
    vi.stubEnv('NODE_ENV', 'production')
    expect(await decisions()).toBe(100)
    expect(await decisions(true)).toBe(200)
    expect(await decisions({ sample: 1 })).toBe(200)
    expect(await decisions({ sample: 0 })).toBe(100)
  })

  test('where there is no `process`, nothing says that it is production', async () => {
    vi.stubGlobal('process', undefined)
    try {
      expect(await decisions()).toBe(200)
    } finally {
      vi.unstubAllGlobals()
    }
  })

  test('by sampling: each unit with that chance', async () => {
    const chances = Array.from({ length: 101 }, (_, i) => i / 101)
    const random = vi.spyOn(Math, 'random').mockImplementation(() => chances.shift()!)
    try {
      // The first step is the first that is drawn for.
      expect(await decisions({ sample: 0.25 })).toBe(125)
    } finally {
      random.mockRestore()
    }
  })

  test('a fork follows its run; a supervisor is told', async () => {
    const store = memoryStore()
    const impure = asking(() => Date.now())
    await using run = createRun(impure, { store, strict: true })
    await run.ready
    await using fork = await forkRun(run, { at: 0 })
    expect((await fork.apply({ type: 'GO' })).ok).toBe(false)
    await using lenient = await forkRun(run, { at: 0, key: 'lenient', strict: false })
    expect((await lenient.apply({ type: 'GO' })).ok).toBe(true)

    for (const strict of [true, false]) {
      const broker = memoryBroker()
      const topic = `strict-${strict}`
      await broker.producer({ topic }).send([{ key: 'k', value: JSON.stringify({ type: 'GO' }) }])
      await using supervisor = supervise({
        machine: impure,
        store,
        strict,
        consumer: broker.consumer({ topic, group: 'g' }),
        deadLetters: broker.producer({ topic: 'dead' }),
      })
      await supervisor.caughtUp()
      const id = (await store.find(topic, 'k'))!
      expect((await store.head(id))?.seq).toBe(strict ? 0 : 1)
    }
  })

  test('anything else is refused', () => {
    for (const strict of ['yes', 1, null, {}, { sample: 2 }, { sample: Number.NaN }]) {
      expect(() =>
        createRun(
          asking(() => 1),
          { strict: strict as never },
        ),
      ).toThrow(TypeError)
    }
    expect(() =>
      createRun(
        asking(() => 1),
        { strict: { sample: 2 } },
      ),
    ).toThrow('Expected `strict` to be a boolean or { sample: a number from 0 to 1 }, got `{ sample: 2 }`.')
  })
})
