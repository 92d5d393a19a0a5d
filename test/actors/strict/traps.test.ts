import { describe, expect, test } from 'vitest'
import { createRun, now, type Receipt, random, uuid } from 'xmachines'
import {
  type AnyStateMachine,
  and,
  assign,
  createMachine,
  emit,
  enqueueActions,
  fromTransition,
  log,
  not,
  raise,
  sendTo,
  setup,
  spawnChild,
} from 'xstate'
import { withTraps } from '../../../src/actors/machine/strict/globals.ts'
import { type Watch, watch } from '../../../src/actors/machine/strict/watch.ts'

/** An assignment of what `value` gives. */
const put = (value: () => unknown) => assign({ value })

/** What becomes of a GO in a machine whose only action or guard it is. */
async function go(on: object, more: object = {}, implementations: object = {}): Promise<Receipt> {
  const machine = setup(implementations as never).createMachine({
    id: 'm',
    context: { value: null },
    on: { GO: on },
    ...more,
  } as never)
  await using run = createRun(machine as unknown as AnyStateMachine, { strict: true })
  return run.apply({ type: 'GO' })
}

function refusal(receipt: Receipt): { readonly code: string; readonly by: unknown; readonly called: unknown } {
  if (receipt.ok) throw new Error('It was taken.')
  const { code, details } = receipt.error
  return { code, by: details.by, called: details.called }
}

describe('what a step may not use', () => {
  const calls: readonly [called: string, call: () => unknown, instead: RegExp][] = [
    ['Date()', () => Date(), /now\(\)/],
    ['new Date()', () => new Date().toISOString(), /new Date\(now\(\)\)/],
    ['Date.now()', () => Date.now(), /now\(\)/],
    ['new Date(year, month, …)', () => new Date(2020, 1).getTime(), /Date\.UTC/],
    ['new Date("2020-01-01T10:00")', () => new Date('2020-01-01T10:00').getTime(), /offset/],
    ['Date.parse() of a text without offset', () => Date.parse('1 Jan 2020'), /offset/],
    ['Date.prototype.getHours()', () => new Date(0).getHours(), /UTC/],
    ['Date.prototype.toString()', () => `${new Date(0)}`, /UTC/],
    [
      'Date.prototype.toLocaleDateString() without locale or time zone',
      () => new Date(0).toLocaleDateString('en'),
      /timeZone/,
    ],
    ['Math.random()', () => Math.random(), /random\(\)/],
    ['crypto.randomUUID', () => crypto.randomUUID(), /uuid\(\)/],
    ['crypto.getRandomValues', () => crypto.getRandomValues(new Uint8Array(1)), /random\(\)/],
    ['crypto.subtle', () => void crypto.subtle, /invocation/],
    ['performance.now', () => performance.now(), /now\(\)/],
    ['setTimeout()', () => void setTimeout(() => {}), /delay/],
    ['setInterval()', () => void setInterval(() => {}), /delay/],
    ['setImmediate()', () => void setImmediate(() => {}), /delay/],
    ['queueMicrotask()', () => queueMicrotask(() => {}), /raise/],
    ['fetch()', () => void fetch('http://localhost:1'), /invocation/],
    ['toLocaleString() without locale', () => (1.5).toLocaleString(), /locale/],
    ['toLocaleString() without locale', () => [1.5, 2].toLocaleString(), /locale/],
    ['toLocaleString() without locale', () => 10n.toLocaleString(), /locale/],
    ['toLocaleUpperCase() without locale', () => 'i'.toLocaleUpperCase(), /locale/],
    ['toLocaleLowerCase() without locale', () => 'I'.toLocaleLowerCase(), /locale/],
    ['localeCompare() without locale', () => 'a'.localeCompare('b'), /locale/],
    ['new Intl.NumberFormat() without locale', () => new Intl.NumberFormat().format(1), /locale/],
    ['Intl.DateTimeFormat() without locale or time zone', () => Intl.DateTimeFormat('en').format(0), /timeZone/],
  ]
  test.each(calls)('%s', async (called, call, instead) => {
    const receipt = await go({ actions: put(call) })
    expect(refusal(receipt)).toEqual({ code: 'STEP_IMPURE', by: "The assign on 'GO' in 'm'", called })
    expect(receipt).toMatchObject({ seq: 0, error: { message: expect.stringMatching(instead) } })
  })

  test('Temporal.Now, also where the platform has none yet', async () => {
    const world = globalThis as { Temporal?: { readonly Now: { instant(): unknown } } }
    const isStandIn = world.Temporal === undefined
    world.Temporal ??= { Now: { instant: () => 'an instant' } }
    const { Temporal } = world
    const { Now } = Temporal
    try {
      // Loaded anew: the traps look once what there is.
      const path = '../../../src/actors/machine/strict/globals.ts?with-temporal'
      const { withTraps } = (await import(path)) as { withTraps: (body: () => unknown) => unknown }
      const watching: Watch = { doing: "The assign 'stamp'", violation: undefined, suspects: undefined }
      const error: unknown = expect.objectContaining({
        code: 'STEP_IMPURE',
        message: expect.stringMatching(/^The assign 'stamp' used Temporal\.Now\.instant\. .*now\(\)/),
        details: expect.objectContaining({ called: 'Temporal.Now.instant', by: "The assign 'stamp'" }),
      })
      expect(() => watch(watching, () => withTraps(() => Temporal.Now.instant()))).toThrow(error as Error)
      expect(watching.violation).toEqual(error)
      expect(Temporal.Now).toBe(Now)
      expect(Temporal.Now.instant()).toBeDefined()
    } finally {
      if (isStandIn) delete world.Temporal
    }
  })

  test('a caught violation is one', async () => {
    const receipt = await go({
      actions: put(() => {
        try {
          return Math.random()
        } catch {
          return 4
        }
      }),
    })
    expect(refusal(receipt).called).toBe('Math.random()')
  })
})

describe('what a step may use', () => {
  const calls: readonly [name: string, call: () => unknown, value: unknown][] = [
    ['moments that it is given', () => new Date(0).toISOString(), '1970-01-01T00:00:00.000Z'],
    ['dates from text with an offset', () => new Date('2020-01-01T10:00+01:00').getTime(), 1577869200000],
    ['dates without a time, which are UTC', () => Date.parse('2020-01-01'), 1577836800000],
    ['Date.UTC', () => Date.UTC(2020, 0), 1577836800000],
    ['the UTC methods', () => new Date(3_600_000).getUTCHours(), 1],
    ['dates of the same kind', () => new Date(0) instanceof Date && Date.prototype.constructor.name === 'Date', true],
    [
      'a locale and a time zone that are named',
      () => new Date(0).toLocaleDateString('en-US', { timeZone: 'UTC' }),
      '1/1/1970',
    ],
    ['a locale that is named', () => [(1.5).toLocaleString('de'), 'i'.toLocaleUpperCase('tr')], ['1,5', 'İ']],
    ['Intl with a locale', () => new Intl.NumberFormat('de').format(1.5), '1,5'],
    ['a collation that is named', () => ['ä', 'z'].sort((a, b) => a.localeCompare(b, 'sv')), ['z', 'ä']],
    ['Math', () => Math.max(1, 2), 2],
  ]
  test.each(calls)('%s', async (_name, call, value) => {
    expect(await go({ actions: put(call) })).toMatchObject({ ok: true, snapshot: { context: { value } } })
  })

  test('now, random and uuid', async () => {
    const receipt = await go({ actions: put(() => [now(), random(), uuid(), new Date(now()).toISOString()]) })
    expect(receipt).toMatchObject({
      ok: true,
      snapshot: { context: { value: [receipt.ok && receipt.at, {}, {}, {}] } },
    })
  })

  test('console and `log`', async () => {
    const { log: print } = console
    const printed: unknown[] = []
    console.log = (...args) => printed.push([...args, Date.now() > 0])
    try {
      expect(await go({ actions: [log('later')] })).toMatchObject({ ok: true })
    } finally {
      console.log = print
    }
    expect(printed).toEqual([['later', true]])
    expect(await go({ actions: put(() => console.log('in a step')) })).toMatchObject({ ok: true })
  })

  test('everything in actions of your own: they run after the step', async () => {
    let seen: unknown
    const receipt = await go({ actions: () => void (seen = [typeof Date.now(), typeof Math.random(), new Date()]) })
    expect(receipt.ok).toBe(true)
    expect(seen).toEqual(['number', 'number', expect.any(Date)])
  })
})

describe('who is named', () => {
  const clock = () => Date.now()
  const cases: readonly [by: string, on: object, more?: object, implementations?: object][] = [
    ["The action 'stamp'", { actions: 'stamp' }, {}, { actions: { stamp: put(clock) } }],
    ["The guard 'isOpen'", { guard: 'isOpen' }, {}, { guards: { isOpen: () => clock() > 0 } }],
    ["The guard 'isOpen'", { guard: not(and(['isOpen'])) }, {}, { guards: { isOpen: () => clock() > 0 } }],
    ["The guard on 'GO' in 'm'", { guard: () => clock() > 0 }],
    ["The guard on 'GO' in 'm'", { guard: not(() => clock() > 0) }],
    ["The assign on 'GO' in 'm'", { actions: put(clock) }],
    ["The raise on 'GO' in 'm'", { actions: raise({ type: 'X' }, { delay: clock }) }],
    [
      "The delay 'soon'",
      { actions: raise({ type: 'X' }, { delay: 'soon' as never }) },
      {},
      { delays: { soon: clock } },
    ],
    ["The emit on 'GO' in 'm'", { actions: emit(() => ({ type: 'X', at: clock() })) }],
    [
      "The sendTo on 'GO' in 'm'",
      {
        actions: sendTo(
          ({ self }) => self,
          () => ({ type: 'X', at: clock() }),
        ),
      },
    ],
    [
      "The enqueueActions on 'GO' in 'm'",
      { actions: enqueueActions(({ enqueue }) => enqueue.assign({ value: clock })) },
    ],
    [
      "The params of act: The action on 'GO' in 'm'",
      { actions: { type: 'act', params: clock } },
      {},
      { actions: { act: () => {} } },
    ],
    [
      "The params of check: The guard on 'GO' in 'm'",
      { guard: { type: 'check', params: clock } },
      {},
      { guards: { check: () => true } },
    ],
    ["The assign in the entry of 'm.next'", { target: '.next' }, states({ entry: put(clock) })],
    ["The assign in the exit of 'm.first'", { target: '.next' }, states({}, { exit: put(clock) })],
    ["The assign in `always` of 'm.next'", { target: '.next' }, states({ always: { actions: put(clock) } })],
    [
      "The assign in `initial` of 'm.next'",
      { target: '.next' },
      states({ initial: { target: 'in', actions: put(clock) }, states: { in: {} } }),
    ],
    ["The delay 'soon'", { target: '.next' }, states({ after: { soon: 'first' } }), { delays: { soon: clock } }],
    ["The output of 'm.next'", { target: '.next' }, states({ type: 'final', output: clock })],
    ["The output of 'm'", { target: '.next' }, { ...states({ type: 'final' }), output: clock }],
    [
      "The input of 'kid'",
      { target: '.next' },
      states({ invoke: { src: 'child', id: 'kid', input: clock } }),
      { actors: { child: createMachine({ id: 'child' }) } },
    ],
    [
      "The context of 'child'",
      { target: '.next' },
      states({ invoke: { src: createMachine({ id: 'child', context: () => ({ at: clock() }) }), id: 'kid' } }),
    ],
    [
      "The assign in the entry of 'child'",
      { actions: spawnChild('child') },
      {},
      { actors: { child: createMachine({ id: 'child', entry: assign({ at: clock }) }) } },
    ],
    [
      "The logic of 'tally'",
      { actions: [spawnChild('tally', { id: 'tally' }), sendTo('tally', { type: 'X' })] },
      {},
      { actors: { tally: fromTransition(clock, 0) } },
    ],
  ]
  test.each(cases)('%s', async (by, on, more, implementations) => {
    expect(refusal(await go(on, more, implementations))).toEqual({ code: 'STEP_IMPURE', by, called: 'Date.now()' })
  })

  test('where nothing says who it is: the place in the source', () => {
    const nobody = { doing: undefined, violation: undefined, suspects: undefined }
    expect(() => watch(nobody, () => withTraps(clock))).toThrow(
      /^An expression of the machine \(.*traps\.test\.ts:\d+:\d+\)/,
    )
  })

  test('the context of a machine', () => {
    const machine = createMachine({ id: 'm', context: () => ({ at: clock() }) })
    expect(() => createRun(machine, { strict: true })).toThrow("The context of 'm' used Date.now()")
    expect(createRun(machine, { strict: false }).getSnapshot().context).toEqual({ at: expect.any(Number) })
  })
})

function states(next: object, first: object = {}): object {
  return { initial: 'first', states: { first, next } }
}
