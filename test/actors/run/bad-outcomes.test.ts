import { runInNewContext } from 'node:vm'
import { describe, expect, test } from 'vitest'
import { openRun, replay } from 'xmachines'
import { memoryStore } from 'xmachines/persistence/memory'
import { assign, fromCallback, fromEventObservable, fromObservable, fromPromise, setup } from 'xstate'
import { all } from './collect.ts'

/** What running logic may tell that no history can hold. */

/** What logic of a kind is, and how the test makes it tell a value, and end. */
function logicOf(kind: 'promise' | 'callback' | 'observable') {
  const taps: { tell?(value: unknown): void; end?(): void } = {}
  let stops = 0
  const logic = {
    promise: fromPromise(() => new Promise(resolve => (taps.tell = resolve))),
    callback: fromCallback(({ sendBack }) => {
      taps.tell = value => sendBack({ type: 'TOLD', value })
      return () => stops++
    }),
    observable: fromObservable(
      () =>
        ({
          subscribe({ next, complete }: { next(value: unknown): void; complete(): void }) {
            taps.tell = next
            taps.end = complete
            return { unsubscribe: () => stops++ }
          },
        }) as never,
    ),
  }[kind]
  return { logic, tell: (value: unknown) => taps.tell!(value), end: () => taps.end!(), stops: () => stops }
}

function machineOf(logic: ReturnType<typeof logicOf>['logic'], handles: boolean) {
  return setup({
    types: {} as {
      context: { code: unknown; told: unknown[] }
      events: { type: 'PING' } | { type: 'TOLD'; value: unknown }
    },
    actors: { job: logic as never },
  }).createMachine({
    id: 'm',
    context: { code: null, told: [] },
    on: { TOLD: { actions: assign({ told: ({ context, event }) => [...context.told, event.value] }) } },
    initial: 'on',
    states: {
      on: {
        invoke: {
          src: 'job',
          id: 'job',
          input: undefined,
          onSnapshot: {
            actions: assign({
              told: ({ context, event }) => {
                const { context: value } = event.snapshot as { context?: unknown }
                return value === undefined ? context.told : [...context.told, value]
              },
            }),
          },
          onDone: 'off',
          ...(handles && {
            onError: {
              target: 'off',
              actions: assign({ code: ({ event }) => (event.error as { code?: unknown }).code }),
            },
          }),
        },
      },
      off: {},
    },
  })
}

class Money {
  readonly amount = 3
}
const cycle: { self?: unknown } = {}
cycle.self = cycle

const bad = [
  { what: 'a cycle', value: cycle, code: 'OUTCOME_NOT_JSON', says: /is a cycle: .* again/ },
  { what: 'an instance of a class', value: { price: new Money() }, code: 'OUTCOME_NOT_JSON', says: /Money.*\.price/ },
  {
    what: '10 MB',
    value: 'x'.repeat(10_000_000),
    code: 'OUTCOME_TOO_LARGE',
    says: /over 1048576 bytes of JSON. Use a reference to the data\.$/,
  },
] as const
const kinds = ['promise', 'callback', 'observable'] as const

describe.each(kinds)('a %s', kind => {
  test.each(bad)(
    'that tells $what: the error that says so is recorded, and `onError` takes it',
    async ({ value, code, says }) => {
      const { logic, tell, stops } = logicOf(kind)
      const machine = machineOf(logic, true)
      const store = memoryStore()
      await using run = await openRun(machine, { store, key: 'k' })
      tell(value)
      for await (const { value } of run.subscribe('snapshot')) if (value === 'off') break
      expect(run.getSnapshot()).toMatchObject({ status: 'active', context: { code, told: [] } })
      // It is over: what it still tells is dropped.
      expect(stops()).toBe(kind === 'promise' ? 0 : 1)
      tell('late')
      expect(await run.apply({ type: 'PING' })).toMatchObject({ ok: true, seq: 2 })
      const units = await all(store.read(run.id))
      expect(units[1]).toMatchObject({
        seq: 1,
        origin: { kind: 'effect', entered: 0, actor: ['job'] },
        events: [{ type: kind === 'promise' ? 'xmachines.reject' : 'xmachines.error', error: { code } }],
      })
      const { message } = units[1]!.events[0]!.error as { message: string }
      expect(message).toMatch(says)
      // No option reaches what an outcome may be.
      expect(message).not.toContain('limits')
      for await (const step of replay(machine, store.read(run.id), { verify: true }))
        expect(step.divergence).toBeUndefined()
    },
  )

  test.each(bad)('that tells $what where no `onError` is: the run ends with that error', async ({ value, code }) => {
    const { logic, tell } = logicOf(kind)
    const store = memoryStore()
    await using run = await openRun(machineOf(logic, false), { store, key: 'k' })
    tell(value)
    await expect(run.done).rejects.toMatchObject({ code })
    expect(await store.head(run.id)).toMatchObject({ seq: 1, status: 'error' })
  })
})

const noEvents: readonly [event: unknown, code: string, says: string][] = [
  [null, 'EVENT_INVALID', 'The event is `null`'],
  ['GO', 'EVENT_INVALID', 'The event is the string "GO"'],
  [{ kind: 'GO' }, 'EVENT_INVALID', "The event's type is missing"],
  [{ type: 7 }, 'EVENT_INVALID', "The event's type is not a string"],
  [{ type: 'xstate.stop' }, 'EVENT_RESERVED', 'reserved for the runtime'],
  [{ type: 'xstate.done.actor.job', output: 1 }, 'EVENT_RESERVED', 'reserved for the runtime'],
  [{ type: 'xmachines.done.run', key: 'k' }, 'EVENT_RESERVED', 'reserved for the runtime'],
]

test.each(noEvents)(
  '%j, sent back by a callback or told by an event observable, is its error',
  async (event, code, says) => {
    const kinds = {
      callback: fromCallback(({ sendBack }) => sendBack(event as never)),
      observable: fromEventObservable(
        () =>
          ({
            subscribe({ next }: { next(event: unknown): void }) {
              next(event)
              return { unsubscribe() {} }
            },
          }) as never,
      ),
    }
    for (const logic of Object.values(kinds)) {
      const store = memoryStore()
      const taken = await openRun(machineOf(logic as never, true), { store, key: 'taken' })
      for await (const { value } of taken.subscribe('snapshot')) if (value === 'off') break
      expect(taken.getSnapshot()).toMatchObject({ status: 'active', context: { code, told: [] } })
      const { message } = (await all(store.read(taken.id)))[1]!.events[0]!.error as { message: string }
      expect(message).toContain("'job' sent its parent is refused.")
      expect(message).toContain(says)
      await taken.close()
      const run = await openRun(machineOf(logic as never, false), { store, key: 'ends' })
      await expect(run.done).rejects.toMatchObject({ code })
      await run.close()
    }
  },
)

/** Errors that throw when they are looked at, or come from elsewhere. */
const odd: readonly [what: string, made: () => unknown, heard: { readonly name: string; readonly message: string }][] =
  [
    [
      'an error whose message throws',
      () => Object.defineProperty(new Error(), 'message', { get: () => fail() }),
      { name: 'Error', message: 'the message cannot be read' },
    ],
    [
      'an error whose name is none',
      () => Object.assign(new Error('down'), { name: Object.create(null) }),
      { name: 'Error', message: 'down' },
    ],
    [
      'a proxy that throws',
      () => new Proxy(new Error(), { getPrototypeOf: () => fail() }),
      {
        name: 'XMachinesError',
        message: "What the invocation 'job' told cannot be read: it threw",
      },
    ],
    [
      'an error whose text is cut within a character',
      () => Object.assign(new Error('lost \u{1f600}'.slice(0, 6)), { code: '\ud800' }),
      { name: 'Error', message: 'lost \ufffd' },
    ],
    [
      'an error of another realm',
      () => runInNewContext("Object.assign(new TypeError('down'), { code: 'ENOENT' })"),
      { name: 'TypeError', message: 'down' },
    ],
  ]

function fail(): never {
  throw new Error('it threw')
}

test.each(odd)('%s is recorded as the error that it is, as far as it can be read', async (_what, made, heard) => {
  const job = fromPromise(() => new Promise((_resolve, reject) => setTimeout(() => reject(made()))))
  const machine = machineOf(job, false)
  const store = memoryStore()
  await using run = await openRun(machine, { store, key: 'k' })
  await expect(run.done).rejects.toMatchObject(heard)
  expect(await store.head(run.id)).toMatchObject({ seq: 1, status: 'error' })
})

test('what an observable emits after its completion is dropped', async () => {
  const { logic, tell, end } = logicOf('observable')
  const store = memoryStore()
  await using run = await openRun(machineOf(logic, true), { store, key: 'k' })
  tell('first')
  end()
  tell('late')
  for await (const { value } of run.subscribe('snapshot')) if (value === 'off') break
  tell('later')
  expect(await run.apply({ type: 'PING' })).toMatchObject({ ok: true, seq: 3 })
  const told = (await all(store.read(run.id))).flatMap(({ events }) => events.map(({ type, value }) => [type, value]))
  expect(told).toEqual([
    ['xmachines.next', 'first'],
    ['xmachines.complete', undefined],
    ['PING', undefined],
  ])
  expect(run.getSnapshot().context.told).toEqual(['first'])
})
