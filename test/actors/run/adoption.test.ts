import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createRun, openRun, replay, type XMachinesError } from 'xmachines'
import { memoryStore } from 'xmachines/persistence/memory'
import { type AnyStateMachine, assign, createActor, fromPromise, fromTransition, sendTo, setup } from 'xstate'
import { createRunIn } from '../../../src/actors/run/open.ts'
import { arbitraryMachine, arbitraryScript } from '../../arbitraries/machines.ts'
import { ignoreFirstStep, persisted, unitsOf } from '../../property/played.ts'
import { settled, VirtualEnvironment } from '../supervisor/virtual-environment.ts'
import { all } from './collect.ts'

const started: unknown[] = []

const parcel = setup({
  types: {} as {
    context: { weight: number; receipt?: unknown }
    events: { type: 'WEIGH'; grams: number } | { type: 'SEND' } | { type: 'COUNT' }
  },
  actors: {
    label: fromPromise(async ({ input }: { input: number }) => {
      started.push(input)
      return { printed: input }
    }),
    tally: fromTransition((count: number) => count + 1, 0),
  },
}).createMachine({
  id: 'parcel',
  context: { weight: 0 },
  initial: 'packing',
  invoke: { src: 'tally', id: 'tally' },
  on: { COUNT: { actions: sendTo('tally', { type: 'UP' }) } },
  states: {
    packing: {
      on: { WEIGH: { actions: assign({ weight: ({ event }) => event.grams }) }, SEND: 'labelling' },
      after: { 1000: 'forgotten' },
    },
    labelling: {
      invoke: {
        src: 'label',
        input: ({ context }) => context.weight,
        onDone: { target: 'sent', actions: assign({ receipt: ({ event }) => event.output }) },
      },
    },
    sent: {},
    lost: { type: 'final' },
    forgotten: {},
    packed: { initial: 'tight', states: { tight: {}, last: { type: 'history' } } },
  },
})

/** What XState persists of an actor after some events. */
function snapshotAfter(...events: readonly { type: string; grams?: number }[]) {
  const actor = createActor(parcel).start()
  for (const event of events) actor.send(event as never)
  const snapshot = JSON.parse(JSON.stringify(actor.getPersistedSnapshot()))
  actor.stop()
  return snapshot
}

describe('createRun adopts what XState persisted', () => {
  test('the run starts there, nothing is entered again, and it is in its history', async () => {
    const store = memoryStore()
    const snapshot = snapshotAfter({ type: 'WEIGH', grams: 7 }, { type: 'COUNT' })
    const run = createRun(parcel, { store, key: 'p', snapshot })
    expect(run.getSnapshot()).toMatchObject({ value: 'packing', context: { weight: 7 } })
    await run.apply({ type: 'COUNT' })
    expect(run.getSnapshot().children.tally!.getSnapshot()).toMatchObject({ context: 2 })
    await run.close()
    const again = await openRun(parcel, { store, key: 'p' })
    expect(persisted(again as never)).toEqual(persisted(run as never))
    for await (const step of replay(parcel, store.read(run.id), { verify: true }))
      expect(step.divergence).toBeUndefined()
    // The snapshot is part of what the run is.
    expect(createRun(parcel, { store: memoryStore(), key: 'p' }).id).not.toBe(run.id)
    expect(createRun(parcel, { store: memoryStore(), key: 'p', snapshot }).id).toBe(run.id)
  })

  test('timers, which XState does not persist, begin anew; promises are started', async () => {
    const environment = new VirtualEnvironment()
    const packing = createRunIn(memoryStore(), parcel, { snapshot: snapshotAfter() }, environment)
    await packing.ready
    await environment.advance(999)
    expect(packing.getSnapshot().value).toBe('packing')
    await environment.advance(1)
    await settled()
    expect(packing.getSnapshot().value).toBe('forgotten')

    started.length = 0
    const snapshot = snapshotAfter({ type: 'WEIGH', grams: 9 }, { type: 'SEND' })
    started.length = 0
    const labelling = createRun(parcel, { snapshot })
    await labelling.ready
    await settled()
    expect(started).toEqual([9])
    expect(labelling.getSnapshot()).toMatchObject({ value: 'sent', context: { receipt: { printed: 9 } } })
  })

  test.each([
    ['something else', 7, '$'],
    ['a list', [], '$'],
    ['a state that ended with an error', { ...snapshotAfter(), status: 'error', error: { message: 'no' } }, '$.status'],
    ['no state', { status: 'active', context: {}, children: {} }, '$'],
    ['a state that is not there', { ...snapshotAfter(), value: 'elsewhere' }, '$.value'],
    ['a state with the name of what every object has', { ...snapshotAfter(), value: 'toString' }, '$.value'],
    ['two states at once', { ...snapshotAfter(), value: { packing: {}, sent: {} } }, '$.value'],
    ['a history state', { ...snapshotAfter(), value: { packed: 'last' } }, '$.value.packed'],
    [
      'a child whose logic is not there',
      { ...snapshotAfter(), children: { c: { src: 'gone', snapshot: {} } } },
      '$.children.c',
    ],
    [
      'a child with the name of what every object has',
      { ...snapshotAfter(), children: { c: { src: 'constructor', snapshot: { status: 'active' } } } },
      '$.children.c',
    ],
    [
      'a child of which nothing is said',
      { ...snapshotAfter(), children: { c: { src: 'label', snapshot: {} } } },
      '$.children.c.snapshot.status',
    ],
    ['a child that is none', { ...snapshotAfter(), children: { c: null } }, '$.children.c'],
    ['a context that is none', { ...snapshotAfter(), context: null }, '$.context'],
    ['a value that is no state', { ...snapshotAfter(), value: 7 }, '$.value'],
    [
      'a history of a state that is not there',
      { ...snapshotAfter(), historyValue: { 'parcel.last': [{ id: 'parcel.packing' }] } },
      "$.historyValue['parcel.last']",
    ],
    [
      'a history that leads to no state',
      { ...snapshotAfter(), historyValue: { 'parcel.packing': [{ id: 'parcel.gone' }] } },
      "$.historyValue['parcel.packing'][0]",
    ],
    [
      'a history that is none',
      { ...snapshotAfter(), historyValue: { 'parcel.packing': 7 } },
      "$.historyValue['parcel.packing']",
    ],
    ['a status that is none', { ...snapshotAfter(), status: 'lost' }, '$.status'],
    ['an active one in a final state', { ...snapshotAfter(), value: 'lost' }, '$.status'],
    [
      'a name in the system that is none',
      { ...snapshotAfter(), children: { c: { src: 'label', systemId: 7, snapshot: { status: 'active' } } } },
      '$.children.c.systemId',
    ],
    [
      'a list with a reference to no child',
      { ...snapshotAfter(), context: { weight: [{ xstate$$type: 1, id: 'gone' }] } },
      '$.context.weight[0]',
    ],
    ['what is not JSON', { ...snapshotAfter(), context: { at: new Date(0) } }, '$.context.at'],
  ])('%s is refused, and says where', (_name, snapshot, path) => {
    expect(() => createRun(parcel, { snapshot: snapshot as never })).toThrowError(
      expect.objectContaining({ code: 'SNAPSHOT_INVALID', details: expect.objectContaining({ path }) }),
    )
  })

  test('what was adopted before that was refused is replayed as it was', async () => {
    const store = memoryStore()
    const run = createRun(parcel, { store, snapshot: snapshotAfter() })
    await run.close()
    const [unit] = await all(store.read(run.id))
    const snapshot = { ...snapshotAfter(), value: 'lost' }
    const recorded = async function* () {
      yield { ...unit!, creation: { ...unit!.creation!, snapshot } }
    }
    for await (const step of replay(parcel, recorded()))
      expect(step.snapshot).toMatchObject({ value: 'lost', status: 'active' })
    expect.assertions(1)
  })

  test('any machine without timers goes on as XState goes on from the same snapshot', async () => {
    await fc.assert(
      fc.asyncProperty(
        arbitraryMachine({ timers: false, throws: false }),
        arbitraryScript({ timers: false, batches: false }),
        arbitraryScript({ timers: false, batches: false }),
        async ({ build, description }, before, after) => {
          if (description.effects) return
          const snapshot = persistedAfter(build(), before)
          if (snapshot === undefined) return
          const actor = createActor(build(), { snapshot: structuredClone(snapshot) as never })
          actor.subscribe({ error: () => {} })
          actor.start()
          const store = memoryStore()
          let run: ReturnType<typeof createRun<AnyStateMachine>>
          try {
            run = createRun(build(), { store, key: 'k', time: 'source', snapshot: snapshot as never })
          } catch (thrown) {
            return void ignoreFirstStep(thrown as XMachinesError)
          }
          expect(persisted(run as never)).toEqual(shown(actor))
          for (const step of after) {
            if (step.does !== 'send') continue
            if (actor.getSnapshot().status !== 'active') break
            const receipt = await run.apply(step.event as never)
            if (!receipt.ok) return // refused where the live actor dies
            actor.send(step.event as never)
          }
          expect(persisted(run as never)).toEqual(shown(actor))
          await run.close() // a run that ends with its first step may not be in the store before
          const units = await unitsOf(store, run.id)
          const again = await openRun(build(), { store, key: 'k' })
          expect(persisted(again as never)).toEqual(persisted(run as never))
          expect(await unitsOf(store, run.id)).toEqual(units)
        },
      ),
    )
  })
})

function persistedAfter(machine: AnyStateMachine, script: readonly { does: string; event?: unknown }[]): unknown {
  const actor = createActor(machine)
  actor.subscribe({ error: () => {} })
  actor.start()
  for (const step of script) if (step.does === 'send') actor.send(step.event as never)
  if (actor.getSnapshot().status !== 'active') return undefined
  const snapshot = JSON.parse(JSON.stringify(actor.getPersistedSnapshot()))
  actor.stop()
  return snapshot
}

function shown(actor: ReturnType<typeof createActor<AnyStateMachine>>): unknown {
  return persisted(actor as never)
}
