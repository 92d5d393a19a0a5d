import { describe, expect, test } from 'vitest'
import { defineMachine, type Migration, type Store, verifyRun } from 'xmachines'
import { memoryStore } from 'xmachines/persistence/memory'
import { type AnyStateMachine, assign, fromPromise, raise, setup } from 'xstate'
import { openRunIn } from '../../../src/actors/run/open.ts'
import { VirtualEnvironment } from '../supervisor/virtual-environment.ts'
import { otherProcess } from '../supervisor/world.ts'

const begun: string[] = []
const ends = new Map<string, (value: string) => void>()

/** A promise that ends when it is told. */
const slow = (name: string) =>
  fromPromise<string>(() => {
    begun.push(name)
    return new Promise(resolve => ends.set(name, resolve))
  })

const base = setup({
  types: {} as { context: { got: readonly string[] }; events: { type: 'GO' } | { type: 'LATER' } },
  actors: { slow: slow('slow'), other: slow('other') },
  actions: {
    note: assign({
      got: ({ context, event }) => [...context.got, String((event as { output?: unknown }).output ?? event.type)],
    }),
  },
})

const old = defineMachine(
  base.createMachine({
    id: 'm',
    type: 'parallel',
    context: { got: [] },
    on: { LATER: { actions: raise({ type: 'GO' }, { delay: 700, id: 'mine' }) }, GO: { actions: 'note' } },
    states: {
      clock: { initial: 'ticking', states: { ticking: { after: { 1000: 'rung' } }, rung: {} } },
      spent: { initial: 'on', states: { on: { after: { 100: { actions: 'note' } } } } },
      work: { initial: 'busy', states: { busy: { invoke: { src: 'slow', id: 'w', onDone: { actions: 'note' } } } } },
      gone: { initial: 'on', states: { on: { invoke: { src: 'other', id: 'g' }, after: { 900: 'off' } }, off: {} } },
    },
  }),
  { version: '1' },
)

const next = (migration: Partial<Migration> = {}) =>
  defineMachine(
    base.createMachine({
      id: 'm',
      type: 'parallel',
      context: { got: [] },
      on: { GO: { actions: 'note' } },
      states: {
        clock: { initial: 'ticking', states: { ticking: { after: { 5000: 'rang' } }, rang: {} } },
        spent: { initial: 'on', states: { on: { after: { 100: { actions: 'note' } } } } },
        work: { initial: 'busy', states: { busy: { invoke: { src: 'slow', id: 'w', onDone: { actions: 'note' } } } } },
        fresh: {
          initial: 'on',
          states: {
            on: { invoke: { src: 'other', id: 'f', onDone: { actions: 'note' } }, after: { 300: 'off' } },
            off: {},
          },
        },
      },
    }),
    {
      version: '2',
      migrations: [
        {
          from: old,
          state: state => ({ ...state, value: { clock: 'ticking', spent: 'on', work: 'busy', fresh: 'on' } }),
          ...migration,
        },
      ],
    },
  )

const open = (machine: AnyStateMachine | ReturnType<typeof next>, store: Store, environment: VirtualEnvironment) =>
  openRunIn(environment, machine as ReturnType<typeof next>, { store, key: 'a' })

/** A run of the old machine, 200 ms after its start, closed at once. */
async function closedAt200(environment: VirtualEnvironment): Promise<Store> {
  begun.length = 0
  const store = memoryStore()
  const run = await open(old as never, store, environment)
  await run.apply({ type: 'LATER' })
  await environment.advance(200)
  expect(run.getSnapshot().context.got).toEqual(['xstate.after.100.m.spent.on'])
  const closing = run.close({ timeout: 0 })
  await environment.advance(0)
  await closing
  return store
}

describe('what is pending when a run goes over', () => {
  test('goes on here, also what a process has in flight that lives and has the old machine: it cannot record it any more', async () => {
    const [there, here] = [new VirtualEnvironment('there'), new VirtualEnvironment('here')]
    const store = memoryStore()
    begun.length = 0
    const before = await openRunIn(there, old as never, { store: otherProcess(store), key: 'a' })
    await before.apply({ type: 'LATER' } as never)
    expect(begun).toEqual(['slow', 'other'])
    const run = await open(next(), store, here)
    expect(begun).toEqual(['slow', 'other', 'slow', 'other'])
    expect((await store.head(run.id))!.beside).toMatchObject({ process: 'here' })
    const closing = run.close({ timeout: 0 })
    await here.advance(0)
    await closing
  })

  test('goes on where its state is still active; what is missing begins; the rest is cancelled', async () => {
    const environment = new VirtualEnvironment()
    const store = await closedAt200(environment)
    expect(begun).toEqual(['slow', 'other'])
    const run = await open(next(), store, environment)
    expect(begun).toEqual(['slow', 'other', 'slow', 'other'])
    const begin = environment.now() - 200
    const state = await stateOf(store, run.id)
    expect(state.timers.map(({ id, due }) => [id, due - begin])).toEqual([
      ['xstate.after.5000.m.clock.ticking', 1000],
      ['mine', 700],
      ['xstate.after.300.m.fresh.on', 500],
    ])
    expect(state.invocations.map(({ path, entered }) => [path.join('/'), entered])).toEqual([
      ['w', 0],
      ['f', 3],
    ])
    ends.get('slow')!('done by the first')
    ends.get('other')!('fresh')
    await environment.advance(1000)
    expect(run.getSnapshot()).toMatchObject({
      value: { clock: 'rang', spent: 'on', work: 'busy', fresh: 'off' },
      context: { got: ['xstate.after.100.m.spent.on', 'done by the first', 'fresh', 'GO'] },
    })
    await closed(run, environment)
    const head = (await store.head(run.id))!
    expect(await verifyRun(store, next(), head)).toEqual({ run: run.id, units: head.seq })
  })

  test('by its events: as the new machine would have it', async () => {
    const environment = new VirtualEnvironment()
    const store = await closedAt200(environment)
    const machine = next({ state: undefined as never, event: event => (event.type === 'LATER' ? null : event) })
    const run = await open(machine, store, environment)
    const begin = environment.now() - 200
    const state = await stateOf(store, run.id)
    expect(state.timers.map(({ id, due }) => [id, due - begin])).toEqual([
      ['xstate.after.5000.m.clock.ticking', 5000],
      ['xstate.after.300.m.fresh.on', 300],
    ])
    expect(state.invocations.map(({ path, entered }) => [path.join('/'), entered])).toEqual([
      ['w', 0],
      ['f', 0],
    ])
    expect(run.getSnapshot().context.got).toEqual(['xstate.after.100.m.spent.on'])
    await closed(run, environment)
    const head = (await store.head(run.id))!
    expect(await verifyRun(store, machine, head)).toEqual({ run: run.id, units: head.seq })
  })
})

/** Closes a run that has promises in flight: nobody waits for them. */
async function closed(run: { close(): Promise<void> }, environment: VirtualEnvironment): Promise<void> {
  const closing = run.close()
  await environment.advance(5000)
  await closing
}

interface Encoded {
  readonly timers: readonly { id: string; due: number }[]
  readonly invocations: readonly { path: readonly string[]; entered: number }[]
}

/** The snapshot that a migration leaves. */
async function stateOf(store: Store, run: string): Promise<Encoded> {
  return (await store.loadSnapshot(run))!.state as unknown as Encoded
}
