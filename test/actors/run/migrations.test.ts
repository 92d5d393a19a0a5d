import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import {
  createRun,
  defineMachine,
  forkRun,
  inspectHistory,
  type Migration,
  openRun,
  type Run,
  type RunInspectionEvent,
  replay,
  type Store,
  type Unit,
  verifyRun,
} from 'xmachines'
import { fileStore } from 'xmachines/persistence/filesystem'
import { memoryStore } from 'xmachines/persistence/memory'
import { assign, emit, fromPromise, setup } from 'xstate'
import { firstDisagreement } from '../../../src/actors/replay/bisect.ts'
import { persisted } from '../../property/played.ts'
import { otherProcess } from '../supervisor/world.ts'

const first = defineMachine(
  setup({
    types: {} as { context: { total: number }; events: { type: 'ADD'; by: number } | { type: 'PAY' } },
  }).createMachine({
    id: 'order',
    context: { total: 0 },
    initial: 'open',
    states: {
      open: {
        on: { ADD: { actions: assign({ total: ({ context, event }) => context.total + event.by }) }, PAY: 'paid' },
      },
      paid: {},
    },
  }),
  { version: '1' },
)

const newer = setup({
  types: {} as {
    context: { cents: number }
    events: { type: 'ADD_CENTS'; cents: number } | { type: 'PAY' }
  },
}).createMachine({
  id: 'order',
  context: { cents: 0 },
  initial: 'open',
  states: {
    open: {
      on: {
        ADD_CENTS: { actions: assign({ cents: ({ context, event }) => context.cents + event.cents }) },
        PAY: 'settled',
      },
    },
    settled: {},
    closed: { type: 'final' },
  },
})

const toCents: Migration['state'] = persisted => ({
  ...persisted,
  value: persisted.value === 'paid' ? 'settled' : persisted.value,
  context: { cents: Number(persisted.context.total) * 100 },
})
const toCentsAdded: Migration['event'] = event =>
  event.type === 'ADD' ? { type: 'ADD_CENTS', cents: Number(event.by) * 100 } : event

const byState = defineMachine(newer, { version: '2', migrations: [{ from: first, state: toCents }] })
const byEvent = defineMachine(newer, { version: '2', migrations: [{ from: '1', event: toCentsAdded }] })

/** A store with a run of the first version: 3 in the order. */
async function started(store: Store = memoryStore()): Promise<Store> {
  const run = await openRun(first, { store, key: 'a' })
  await run.apply({ type: 'ADD', by: 1 })
  await run.apply({ type: 'ADD', by: 2 })
  await run.close()
  return store
}

async function historyOf(store: Store, run: string): Promise<readonly Unit[]> {
  const units: Unit[] = []
  for await (const unit of store.read(run)) units.push(unit)
  return units
}

/** The store, as another process sees it that finds no snapshot. */
function elsewhere(store: Store): Store {
  return new Proxy(store, {
    get(target, name) {
      if (name === 'loadSnapshot') return async () => undefined
      const value: unknown = Reflect.get(target, name)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

test('after a restart on a file store, without a snapshot', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'xmachines-migrations-'))
  try {
    for (const second of [byState, byEvent]) {
      const at = join(dir, second === byState ? 'state' : 'event')
      const old = fileStore(at)
      await started(old)
      await old.close()
      const store = fileStore(at)
      const run = await openRun(second, { store: elsewhere(store), key: 'a' })
      await run.apply({ type: 'ADD_CENTS', cents: 1 })
      await run.close()
      await store.close()
      const again = fileStore(at)
      const reopened = await openRun(second, { store: elsewhere(again), key: 'a' })
      expect(reopened.getSnapshot().context).toEqual({ cents: 301 })
      await reopened.close()
      await again.close()
    }
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
})

describe.each([
  ['by its state', byState],
  ['by its events', byEvent],
])('a run goes over %s', (_, second) => {
  test('when it is opened, as a unit of its history, once', async () => {
    const store = await started()
    const run = await openRun(second, { store, key: 'a' })
    expect(run.getSnapshot()).toMatchObject({ value: 'open', context: { cents: 300 } })
    await run.apply({ type: 'ADD_CENTS', cents: 5 })
    await run.close()
    const units = await historyOf(store, run.id)
    const [from, to] = [units[0]!.creation!.machine, (await store.head(run.id))!.machine]
    expect(units.map(unit => unit.origin.kind)).toEqual(['outside', 'outside', 'outside', 'migration', 'outside'])
    expect(units[3]).toMatchObject({ seq: 3, events: [], outputs: [], machine: to })
    expect(units[3]!.origin).toEqual({ kind: 'migration', from })
    expect(await store.machine(to)).toMatchObject({ id: 'order', version: '2' })
    const again = await openRun(second, { store, key: 'a' })
    expect(again.getSnapshot()).toMatchObject({ value: 'open', context: { cents: 305 } })
    expect((await historyOf(store, run.id)).length).toBe(5)
  })

  test('and comes to the same without a snapshot, in a replay and in a fork', async () => {
    const store = await started()
    const run = await openRun(second, { store, key: 'a' })
    await run.apply({ type: 'ADD_CENTS', cents: 5 })
    await run.apply({ type: 'PAY' })
    const live = persisted(run as unknown as Run)
    await run.close()
    const head = (await store.head(run.id))!
    const again = await openRun(second, { store: elsewhere(store), key: 'a' })
    expect(persisted(again as unknown as Run)).toEqual(live)
    await again.close()
    // Without the machine that made them, what upcasts make of the first units cannot be compared.
    const uncompared = second === byEvent && { uncompared: 2 }
    expect(await verifyRun(store, second, head)).toEqual({ run: run.id, units: 5, ...uncompared })
    expect(await verifyRun(store, [second, first], head)).toEqual({ run: run.id, units: 5 })
    const cents: unknown[] = []
    for await (const step of replay([second, first], store.read(run.id))) cents.push(step.snapshot.context)
    expect(cents).toEqual([{ total: 0 }, { total: 1 }, { total: 3 }, { cents: 300 }, { cents: 305 }, { cents: 305 }])
    const fork = await forkRun({ store, id: run.id, machine: second }, { at: 4 })
    expect(fork.getSnapshot()).toMatchObject({ value: 'open', context: { cents: 305 } })
  })

  test('a fork of what was before is of the machine that it had then, and goes over in its turn', async () => {
    const store = await started()
    const run = await openRun(second, { store, key: 'a' })
    await run.close()
    const fork = await forkRun({ store: elsewhere(store), id: run.id, machine: [second, first] }, { at: 1, key: 'b' })
    expect(fork.getSnapshot()).toMatchObject({ context: { total: 1 } })
    await fork.close()
    expect((await store.head(fork.id))!.version).toBe('1')
    const over = await openRun(second, { store, key: 'b' })
    expect(over.getSnapshot()).toMatchObject({ context: { cents: 100 } })
  })

  test('wherever the run stood, also at its end', async () => {
    const store = await started()
    const paid = await openRun(first, { store, key: 'a' })
    await paid.stop('tried enough')
    await paid.close()
    const run = await openRun(second, { store, key: 'a' })
    expect(run.getSnapshot()).toMatchObject({ status: 'stopped', context: { cents: 300 } })
    await run.close()
    const again = await openRun(second, { store: elsewhere(store), key: 'a' })
    expect(again.getSnapshot()).toMatchObject({ status: 'stopped', context: { cents: 300 } })
  })

  test('one of two processes is first, and the other goes on from there', async () => {
    const store = await started()
    const runs = await Promise.all([store, elsewhere(store)].map(one => openRun(second, { store: one, key: 'a' })))
    await Promise.all(runs.map(run => run.apply({ type: 'ADD_CENTS', cents: 1 })))
    for (const run of runs) expect(run.getSnapshot().context.cents).toBeGreaterThan(300)
    const units = await historyOf(store, runs[0]!.id)
    expect(units.map(unit => unit.origin.kind)).toEqual([
      'outside',
      'outside',
      'outside',
      'migration',
      'outside',
      'outside',
    ])
  })
})

describe('a migration that fails', () => {
  const failing = (migration: Partial<Migration>) =>
    defineMachine(newer, { version: '2', migrations: [{ from: first, ...migration } as Migration] })

  test.each<[string, Partial<Migration>, RegExp]>([
    [
      'throws',
      {
        state: () => {
          throw new Error('no rates today')
        },
      },
      /no rates today/,
    ],
    ['gives no object', { state: () => 7 as never }, /returned number/],
    ['gives what is not JSON', { state: state => ({ ...state, context: { cents: new Date(0) } }) as never }, /cents/],
    [
      'gives a state that is not there',
      { state: state => ({ ...state, value: 'paid' }) },
      /\$\.value "paid" is no state/,
    ],
    [
      'leaves a run active in a final state',
      { state: state => ({ ...toCents(state), value: 'closed' }) },
      /\$\.status: it is "active", and its state "closed" is final/,
    ],
    ['gives no context', { state: ({ context: _, ...state }) => state as never }, /no `context`/],
    [
      'throws for an event',
      {
        event: () => {
          throw new Error('no rates today')
        },
      },
      /unit 1 .*no rates today/,
    ],
    ['gives what is no event', { event: () => ({ name: 'ADD' }) as never }, /unit 1 .*type/],
  ])('%s: MIGRATION_FAILED, nothing is appended, and the run can be opened again', async (_, migration, message) => {
    const store = await started()
    const opening = openRun(failing(migration), { store, key: 'a' })
    await expect(opening).rejects.toMatchObject({ code: 'MIGRATION_FAILED', message: expect.stringMatching(message) })
    const old = await openRun(first, { store, key: 'a' })
    expect(old.getSnapshot()).toMatchObject({ context: { total: 3 } })
    await old.close()
    const run = await openRun(byState, { store, key: 'a' })
    expect((await historyOf(store, run.id)).length).toBe(4)
  })

  test('without the old machine a state is not known: MACHINE_MISMATCH says what to pass', async () => {
    const store = await started()
    const machine = defineMachine(newer, { version: '2', migrations: [{ from: '1', state: toCents }] })
    await expect(openRun(machine, { store, key: 'a' })).rejects.toMatchObject({
      code: 'MACHINE_MISMATCH',
      message: expect.stringContaining('as `from` of the migration'),
    })
  })

  test.each<[string, unknown, RegExp]>([
    ['no list', {}, /to be a list/],
    ['no object', [1], /to be an object/],
    ['an unknown name', [{ from: '1', map: () => ({}) }], /has `map`/],
    ['no `from`', [{ state: () => ({}) }], /`from`/],
    ['an empty `to`', [{ from: '1', to: '' }], /`to`/],
    ['a state that is no function', [{ from: '1', state: {} }], /`state`/],
    ['an event that is no function', [{ from: '1', event: 'ADD' }], /`event`/],
    ['two for one way', [{ from: first }, { from: '1', to: '2' }, { from: first, state: toCents }], /\[2\].*\[0\]/],
  ])('declared with %s: POLICY_INVALID', (_, migrations, message) => {
    expect(() => defineMachine(newer, { migrations: migrations as never })).toThrow(
      expect.objectContaining({ code: 'POLICY_INVALID', message: expect.stringMatching(message) }),
    )
  })
})

describe('verifyRun tries what opening would do, and writes nothing', () => {
  test('a run that would go over; one that would not', async () => {
    const store = await started()
    const head = (await store.head((await store.find('order', 'a'))!))!
    const broken = defineMachine(newer, { version: '2', migrations: [{ from: first }] })
    for (const machine of [byState, byEvent])
      expect(await verifyRun(store, machine, head)).toEqual({ run: head.run, units: 2, migratesTo: '2' })
    expect(await verifyRun(store, broken, head)).toEqual({ run: head.run, units: 2, migratesTo: '2' })
    const paid = await openRun(first, { store, key: 'a' })
    await paid.apply({ type: 'PAY' })
    await paid.close()
    expect(await verifyRun(store, broken, (await store.head(head.run))!)).toMatchObject({
      error: { code: 'MIGRATION_FAILED', message: expect.stringContaining('"paid" is no state') },
    })
    const same = defineMachine(first.machine, { version: '1b' })
    expect(await verifyRun(store, same, (await store.head(head.run))!)).toMatchObject({
      units: 3,
      error: { code: 'MACHINE_MISMATCH' },
    })
    expect((await historyOf(store, head.run)).length).toBe(4)
  })

  test('in a list of parents and children, the first of its own id counts; or the first of all, where that says how', async () => {
    const store = await started()
    const head = (await store.head((await store.find('order', 'a'))!))!
    const other = setup({}).createMachine({ id: 'other' })
    for (const machine of [byState, byEvent])
      expect(await verifyRun(store, [other, machine], head)).toEqual({ run: head.run, units: 2, migratesTo: '2' })
    const renamed = defineMachine(setup({}).createMachine({ id: 'other', initial: 'open', states: { open: {} } }), {
      version: '3',
      migrations: [{ from: first }],
    })
    expect(await verifyRun(store, [renamed, byState], head)).toMatchObject({ migratesTo: '3' })
  })

  test('a run that went over already, with the older machine alone: what it was decided with then is not given', async () => {
    const store = await started()
    const run = await openRun(byState, { store, key: 'a' })
    await run.apply({ type: 'PAY' })
    await run.close()
    const head = (await store.head(run.id))!
    expect(await verifyRun(store, first, head)).toMatchObject({
      units: 2,
      error: { code: 'MACHINE_MISMATCH', message: expect.stringContaining('order 2') },
    })
    expect((await verifyRun(store, [first, byState], head)).error).toBeUndefined()
  })
})

describe('versions', () => {
  const third = (migrations: readonly Migration[]) => defineMachine(newer, { version: '3', migrations })

  test.each<[string, readonly Migration[]]>([
    ['steps by state compose', [{ from: first, to: '2', state: toCents }, { from: '2' }]],
    [
      'steps by event compose',
      [
        { from: '1', to: '2', event: toCentsAdded },
        { from: '2', event: event => event },
      ],
    ],
    [
      'a direct one is shorter',
      [{ from: first, state: toCents }, { from: '1', to: '2', event: () => null }, { from: '2' }],
    ],
  ])('%s', async (_, migrations) => {
    const store = await started()
    const run = await openRun(third(migrations), { store, key: 'a' })
    expect(run.getSnapshot().context).toEqual({ cents: 300 })
  })

  test('a run goes over again and again, also where the machines between are not known any more', async () => {
    for (const second of [byState, byEvent]) {
      const store = await started()
      const run = await openRun(second, { store, key: 'a' })
      await run.apply({ type: 'ADD_CENTS', cents: 5 })
      await run.close()
      const last = third([
        { from: '1', to: '2', event: toCentsAdded },
        { from: '2', event: event => event },
      ])
      const over = await openRun(last, { store: elsewhere(store), key: 'a' })
      expect(over.getSnapshot().context).toEqual({ cents: 305 })
      await over.close()
      const head = (await store.head(run.id))!
      expect(head.seq).toBe(5)
      expect(await verifyRun(store, last, head)).toEqual({ run: run.id, units: 5, uncompared: 4 })
    }
  })

  test('a replay that knows the store knows machines that only migrations name', async () => {
    const store = await started()
    const id = (await store.find('order', 'a'))!
    const last = third([
      { from: '1', to: '2', event: toCentsAdded },
      { from: '2', event: event => event },
    ])
    const cents = async (machine: typeof byEvent): Promise<readonly unknown[]> => {
      const contexts: unknown[] = []
      for await (const { snapshot, divergence } of replay(machine, store.read(id), { store, verify: true })) {
        expect(divergence).toBeUndefined()
        contexts.push(snapshot.context.cents)
      }
      const inspected: unknown[] = []
      const show = (event: RunInspectionEvent): void => {
        if (event.type === '@xstate.snapshot')
          inspected.push((event.snapshot as unknown as { context: { cents: number } }).context.cents)
      }
      await inspectHistory(machine, store.read(id), show, { store })
      expect(inspected).toEqual(contexts)
      return contexts
    }
    // Not gone over yet.
    expect(await cents(byEvent)).toEqual([0, 100, 300])
    const run = await openRun(byEvent, { store, id })
    await run.apply({ type: 'ADD_CENTS', cents: 5 })
    await run.close()
    expect(await cents(byEvent)).toEqual([0, 100, 300, 300, 305])
    expect(await cents(last)).toEqual([0, 100, 300, 300, 305])
    await (await openRun(last, { store, id })).close()
    expect(await cents(last)).toEqual([0, 100, 300, 300, 305, 305])
  })

  test('what a later machine emits and leaves to be done of the past is shown by its replay, and is the same to a bisection', async () => {
    const ringing = setup({ types: {} as { events: { type: 'RING' }; emitted: { type: 'RANG' } } }).createMachine({
      id: 'bell',
      on: { RING: { actions: [emit({ type: 'RANG' }), () => {}] } },
    })
    const old = defineMachine(ringing, { version: '1' })
    const store = memoryStore()
    const run = createRun(old, { store })
    await run.apply([{ type: 'RING' }, { type: 'RING' }])
    await run.close()
    const named = defineMachine(ringing, { version: '2', migrations: [{ from: '1', event: event => event }] })
    const steps = []
    for await (const step of replay(named, store.read(run.id), { store })) steps.push(step)
    expect(steps[1]!.outputs).toEqual([{ type: 'RANG' }, { type: 'RANG' }])
    expect(steps[1]!.effects).toHaveLength(2)
    const given = defineMachine(ringing, { version: '2', migrations: [{ from: old, event: event => event }] })
    const { machine } = (await store.head(run.id))!
    expect(await firstDisagreement(store.read(run.id), machine, old, given)).toBeUndefined()
  })

  test('a machine that a migration by events names may have changed since: the later one decides', async () => {
    const by = (factor: number) =>
      setup({
        types: {} as { context: { total: number }; events: { type: 'ADD'; by: number } },
      }).createMachine({
        id: 'sum',
        context: { total: 0 },
        on: { ADD: { actions: assign({ total: ({ context, event }) => context.total + event.by * factor }) } },
      })
    const now = defineMachine(by(2), { version: '1' })
    const later = (from: Migration) => defineMachine(by(100), { version: '2', migrations: [from] })
    const byEvents = later({ from: now, event: event => event })
    for (const closes of [false, true]) {
      const store = memoryStore()
      const run = await openRun(defineMachine(by(1), { version: '1' }), { store, key: 'a' })
      await run.apply({ type: 'ADD', by: 1 })
      // Its snapshot stands before what comes out otherwise.
      if (closes) await run.close()
      const again = await openRun(defineMachine(by(1), { version: '1' }), { store, key: 'a' })
      await again.apply({ type: 'ADD', by: 2 })
      const other = otherProcess(store)
      const head = (await store.head(run.id))!
      expect(await verifyRun(store, byEvents, head)).toEqual({ run: run.id, units: 2, uncompared: 2, migratesTo: '2' })
      for (const machine of [now, later({ from: now })]) {
        expect(await verifyRun(store, machine, head)).toMatchObject({ divergence: { seq: 1 } })
        await expect(openRun(machine, { store: other, key: 'a' })).rejects.toMatchObject({ code: 'REPLAY_DIVERGED' })
      }
      const totals = async () => {
        const seen: unknown[] = []
        for await (const { snapshot, divergence } of replay(byEvents, store.read(run.id), { verify: true }))
          seen.push(divergence ?? snapshot.context.total)
        return seen
      }
      expect(await totals()).toEqual([0, 100, 300])
      const gone = await openRun(byEvents, { store: other, key: 'a' })
      expect(gone.getSnapshot().context).toEqual({ total: 300 })
      await gone.apply({ type: 'ADD', by: 1 })
      await gone.close()
      expect(await verifyRun(store, byEvents, (await store.head(run.id))!)).toEqual({
        run: run.id,
        units: 4,
        uncompared: 2,
      })
      expect(await totals()).toEqual([0, 100, 300, 300, 400])
    }
  })

  test.each<[string, readonly Migration[]]>([
    ['another version', [{ from: '0' }]],
    [
      'by state, then by event',
      [
        { from: first, to: '2', state: toCents },
        { from: '2', event: event => event },
      ],
    ],
    ['to another version', [{ from: first, to: '2', state: toCents }]],
  ])('no way leads there (%s): MACHINE_MISMATCH', async (_, migrations) => {
    const store = await started()
    await expect(openRun(third(migrations), { store, key: 'a' })).rejects.toMatchObject({ code: 'MACHINE_MISMATCH' })
  })

  test('by its events, where the history began with a machine whose events nothing maps: MACHINE_MISMATCH says from where', async () => {
    const store = await started()
    await (await openRun(byState, { store, key: 'a' })).close()
    for (const from of ['2', byState] as const) {
      const refusal = {
        code: 'MACHINE_MISMATCH',
        message: expect.stringMatching(/begins with machine order 1 .*declare one, too/),
      }
      await expect(openRun(third([{ from, event: event => event }]), { store, key: 'a' })).rejects.toMatchObject(
        refusal,
      )
    }
    const both = third([
      { from: '1', event: toCentsAdded },
      { from: '2', event: event => event },
    ])
    const run = await openRun(both, { store, key: 'a' })
    expect(run.getSnapshot().context).toEqual({ cents: 300 })
  })

  test('by the commit of a machine, or the beginning of it', async () => {
    const store = await started()
    const { machine } = (await store.head((await store.find('order', 'a'))!))!
    const run = await openRun(third([{ from: machine.slice(0, 8), event: toCentsAdded }]), { store, key: 'a' })
    expect(run.getSnapshot().context).toEqual({ cents: 300 })
  })

  test('a machine that nothing leads to is refused, with what differs', async () => {
    const store = await started()
    const refusal = await openRun(third([]), { store, key: 'a' }).catch(error => error)
    expect(refusal).toMatchObject({
      code: 'MACHINE_MISMATCH',
      message: expect.stringMatching(
        /What differs: version '1' is '3'; .*If that one is older, .*\[new, old\] .*--machine OLD.*; or declare.*If it is newer/,
      ),
      details: {
        diff: [
          "version '1' is '3'",
          'the machine: context changed',
          "state 'open': on 'ADD' removed",
          "state 'open': on 'PAY' changed",
          "state 'open': on 'ADD_CENTS' added",
          "state 'paid' renamed to 'settled'",
          "state 'closed' added",
        ],
      },
    })
  })
})

describe('what is asked of migrations', () => {
  test('the machine itself goes on; one in the list comes before a migration', async () => {
    const store = await started()
    const run = await openRun([byState, first], { store, key: 'a' })
    expect(run.getSnapshot()).toMatchObject({ context: { total: 3 } })
    expect(run.id).toBe((await store.find('order', 'a'))!)
  })

  test('a run that is open with the old machine is not taken from under it', async () => {
    const store = memoryStore()
    const old = createRun(first, { store, key: 'a' })
    await old.apply({ type: 'ADD', by: 3 })
    await expect(openRun(byState, { store, key: 'a' })).rejects.toMatchObject({
      code: 'MACHINE_MISMATCH',
      message: expect.stringContaining('open in this process'),
    })
    await old.close()
    const run = await openRun(byState, { store, key: 'a' })
    expect(run.getSnapshot().context).toEqual({ cents: 300 })
  })

  test('a process that has the run open when another migrates it is told', async () => {
    const store = await started()
    const old = await openRun(first, { store, key: 'a' })
    const run = await openRun(byState, { store: elsewhere(store), key: 'a' })
    await expect(old.apply({ type: 'ADD', by: 1 })).rejects.toMatchObject({ code: 'MACHINE_MISMATCH' })
    expect(run.getSnapshot().context).toEqual({ cents: 300 })
  })
})

describe('strict mode', () => {
  const strictly = (store: Store, migration: Omit<Migration, 'from'>) => {
    const machine = defineMachine(newer, { version: '2', migrations: [{ from: first, ...migration } as Migration] })
    return openRun(machine, { store, key: 'a', strict: true })
  }
  let calls = 0
  const state: Migration['state'] = persisted => ({ ...toCents!(persisted), context: { cents: ++calls } })
  const event: Migration['event'] = one => (one.type === 'ADD' ? { type: 'ADD_CENTS', cents: ++calls } : one)

  test.each([
    ['a state that is another each time', { state }, 'STEP_NOT_DETERMINISTIC', /context\.cents/],
    ['an event that is another each time', { event }, 'STEP_NOT_DETERMINISTIC', /cents/],
    [
      'a state that tells the time',
      { state: persisted => ({ ...toCents!(persisted), context: { cents: Date.now() } }) },
      'STEP_IMPURE',
      /Date\.now/,
    ],
    [
      'an event that is left to chance',
      { event: one => (one.type === 'ADD' ? { type: 'ADD_CENTS', cents: Math.random() } : one) },
      'STEP_IMPURE',
      /Math\.random/,
    ],
  ] satisfies readonly (readonly [string, Omit<Migration, 'from'>, string, RegExp])[])(
    'decides a migration twice: %s is refused',
    async (_, migration, code, text) => {
      const store = await started()
      await expect(strictly(store, migration)).rejects.toMatchObject({
        code: 'MIGRATION_FAILED',
        message: expect.stringMatching(text),
        cause: { code },
      })
      const run = (await store.find('order', 'a'))!
      expect(await store.head(run)).toMatchObject({ seq: 2 })
    },
  )

  test('what keeps to the rules is taken, and a migration that is recorded is not judged again', async () => {
    for (const migration of [{ state: toCents }, { event: toCentsAdded }]) {
      const run = await strictly(await started(), migration)
      expect(run.getSnapshot().context).toEqual({ cents: 300 })
    }
    const store = await started()
    const loose = defineMachine(newer, { version: '2', migrations: [{ from: first, state }] })
    const run = await openRun(loose, { store, key: 'a', strict: false })
    const { cents } = run.getSnapshot().context
    await run.close()
    calls = cents - 1 // as it was when it was recorded
    expect((await strictly(store, { state })).getSnapshot().context).toEqual({ cents })
  })
})

test('an invocation that goes on is not shown as one that the migration starts', async () => {
  const waiter = (note: string) =>
    setup({ actors: { call: fromPromise(() => new Promise<void>(() => {})) } }).createMachine({
      id: 'waiter',
      description: note,
      invoke: { src: 'call', id: 'call' },
      on: { [note]: {} },
    })
  const old = defineMachine(waiter('OLD'), { version: '1' })
  const renewed = defineMachine(waiter('NEW'), { version: '2', migrations: [{ from: old }] })
  const store = memoryStore()
  const first = await createRun(old, { store, key: 'a' })
  await first.close({ timeout: 0 })
  const run = await openRun(renewed, { store, key: 'a' })
  await run.close({ timeout: 0 })
  const shown: unknown[] = []
  for await (const { effects } of replay([renewed, old], store.read(run.id))) shown.push(effects)
  expect(shown).toEqual([[{ kind: 'invoke', actor: ['call'], src: 'call' }], []])
})
