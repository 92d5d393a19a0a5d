import { createInspector, type StatelyInspectionEvent } from '@statelyai/inspect'
import { describe, expect, test } from 'vitest'
import {
  createHost,
  createRun,
  defineMachine,
  forkRun,
  type Inspect,
  inspectHistory,
  openRun,
  type Run,
  type RunInspectionEvent,
  type Store,
  supervise,
} from 'xmachines'
import { memoryStore } from 'xmachines/persistence/memory'
import { memoryBroker } from 'xmachines/transports/memory'
import { createActor, type InspectionEvent } from 'xstate'
import { statelyEvent } from '../../../src/cli/stately-events.ts'
import { parent } from './machines.ts'

/** The real inspector, with what it would send to its window. It converts a while after it was told. */
function inspector() {
  const sent: StatelyInspectionEvent[] = []
  const { inspect } = createInspector({ send: event => sent.push(event) })
  const settled = () => new Promise(resolve => setTimeout(resolve, 20))
  return { inspect, sent, settled }
}

/** In words: what happened to which actor. */
function told(event: InspectionEvent): string {
  const { id } = event.actorRef as unknown as { readonly id: string }
  switch (event.type) {
    case '@xstate.event':
      return `${(event.sourceRef as { id?: string } | undefined)?.id ?? ''}→${id} ${event.event.type}`
    case '@xstate.snapshot': {
      const { value, status } = event.snapshot as unknown as { value?: unknown; status: string }
      return `${id} ${value === undefined ? status : JSON.stringify(value)} after ${event.event.type}`
    }
    default:
      return `${event.type} ${id}`
  }
}

/** What both XState and the inspector of a run are sent through. */
async function drive(run: Pick<Run<typeof parent>, 'apply' | 'advance' | 'getSnapshot'>): Promise<void> {
  await run.apply({ type: 'UP' }, { at: 1 })
  await run.apply({ type: 'ASK' }, { at: 2 })
  await expect.poll(() => run.getSnapshot().context.answer).toBe(42)
  await run.apply({ type: 'WAIT' }, { at: 3 })
  await run.advance(1003)
}

async function inspectedRun(store: Store): Promise<{ id: string; events: readonly RunInspectionEvent[] }> {
  const events: RunInspectionEvent[] = []
  const run = createRun(parent, { store, key: 'p-1', time: 'source', inspect: event => events.push(event) })
  await drive(run)
  await run.close()
  return { id: run.id, events }
}

describe('a run that is inspected', () => {
  test('tells what XState tells, unit by unit', async () => {
    const { id, events } = await inspectedRun(memoryStore())
    expect(events.map(event => `${event.seq}: ${told(event)}`)).toEqual([
      '0: @xstate.actor p-1',
      '0: →p-1 xstate.init',
      '0: @xstate.actor counter',
      '0: p-1→counter xstate.init',
      '0: counter {} after xstate.init',
      '0: p-1 "idle" after xstate.init',
      '1: →p-1 UP',
      '1: counter {} after UP',
      '1: p-1 "idle" after UP',
      '2: →p-1 ASK',
      '2: @xstate.actor ask',
      '2: p-1→ask xstate.init',
      '2: ask active after xstate.init',
      '2: p-1 "asking" after ASK',
      '3: ask→ask xstate.promise.resolve',
      '3: ask done after xstate.promise.resolve',
      '3: ask→p-1 xstate.done.actor.ask',
      '3: p-1 "idle" after xstate.done.actor.ask',
      '4: →p-1 WAIT',
      '4: p-1 "waiting" after WAIT',
      '5: p-1→p-1 xstate.after.1000.parent.waiting',
      '5: p-1 "idle" after xstate.after.1000.parent.waiting',
    ])
    expect(new Set(events.map(({ rootId }) => rootId))).toEqual(new Set([id]))
    const sessions = new Set(events.map(({ actorRef }) => actorRef.sessionId))
    expect([...sessions]).toEqual([id, `${id}/1`, `${id}/2`])
    expect(events.at(-1)!.at).toBe(1003)
  })

  test('shows the Stately Inspector what an XState actor shows it: the same messages, actors and states', async () => {
    const bare = inspector()
    const actor = createActor(parent, { inspect: bare.inspect }).start()
    for (const type of ['UP', 'ASK'] as const) actor.send({ type })
    await expect.poll(() => actor.getSnapshot().context.answer).toBe(42)
    await bare.settled()
    const ours = inspector()
    const run = createRun(parent, { inspect: ours.inspect })
    await run.apply({ type: 'UP' })
    await run.apply({ type: 'ASK' })
    await expect.poll(() => run.getSnapshot().context.answer).toBe(42)
    await ours.settled()
    await run.close()

    const actorsOf = (sent: readonly StatelyInspectionEvent[]) =>
      sent.flatMap(event => {
        if (event.type !== '@xstate.actor') return []
        const { name, definition, parentId, rootId, sessionId } = event
        return [{ name, definition, isRoot: rootId === sessionId, hasParent: parentId !== undefined }]
      })
    expect(actorsOf(ours.sent)).toEqual(actorsOf(bare.sent).map(one => (one.isRoot ? { ...one, name: 'parent' } : one)))
    const lastOf = (sent: readonly StatelyInspectionEvent[]) => {
      const last = sent.findLast(event => event.type === '@xstate.snapshot' && event.sessionId === event.rootId)
      return (last as { snapshot: object } | undefined)?.snapshot
    }
    expect(lastOf(ours.sent)).toEqual(lastOf(bare.sent))
    const keys = (sent: readonly StatelyInspectionEvent[]) =>
      Object.fromEntries(sent.map(event => [event.type, Object.keys(event).toSorted()]))
    expect(keys(ours.sent)).toEqual(keys(bare.sent))
  })

  test('shows a unit only once it is durable', async () => {
    const store = memoryStore()
    const events: RunInspectionEvent[] = []
    const { append } = store
    let release = (): void => {}
    const run = await openRun(parent, { store, key: 'a', inspect: event => events.push(event) })
    const seen = events.length
    store.append = async items => {
      await new Promise<void>(resolve => (release = resolve))
      return append.call(store, items)
    }
    const applied = run.apply({ type: 'UP' })
    await new Promise(resolve => setTimeout(resolve, 5))
    expect(events).toHaveLength(seen)
    release()
    await applied
    expect(events.slice(seen).map(told)).toContain('→a UP')
    store.append = append
    await run.close()
  })

  test('begins with the state in which it is found, for each handle', async () => {
    const store = memoryStore()
    const first = await openRun(parent, { store, key: 'a' })
    await first.apply({ type: 'WAIT' })
    const events: RunInspectionEvent[] = []
    const second = await openRun(parent, { store, key: 'a', inspect: { next: event => events.push(event) } })
    expect(events.map(told)).toEqual([
      '@xstate.actor a',
      '→a xstate.init',
      '@xstate.actor counter',
      'a→counter xstate.init',
      'counter {} after xstate.init',
      'a "waiting" after xstate.init',
    ])
    expect(events[0]!.actorRef.getSnapshot()).toMatchObject({ value: 'waiting' })
    await second.close()
    await first.apply({ type: 'UP' })
    expect(events).toHaveLength(6)
    await first.close()
  })

  test('goes on where an inspector throws, and says so once', async () => {
    const inspect: Inspect = event => {
      if (event.type === '@xstate.event' && event.event.type === 'UP') throw new Error('no window')
    }
    const run = createRun(parent, { inspect })
    const errors = run.err.getReader()
    for (let i = 0; i < 2; i++) expect(await run.apply({ type: 'UP' })).toMatchObject({ ok: true })
    expect((await errors.read()).value).toMatchObject({
      seq: 1,
      fatal: false,
      error: { code: 'EFFECT_FAILED', message: expect.stringContaining('The inspector threw') },
    })
    errors.releaseLock()
    await run.close()
  })

  test('cannot be acted upon by its inspector', async () => {
    const { events } = await inspectedRun(memoryStore())
    expect(() => events[0]!.actorRef.send({ type: 'UP' })).toThrow(/only shows itself/)
  })

  test('may be any run of a host, or of a supervisor', async () => {
    const store = memoryStore()
    const hosted: RunInspectionEvent[] = []
    await using host = createHost({ machine: parent, store, inspect: event => hosted.push(event) })
    for (const key of ['a', 'b', 'a']) {
      const run = await host.open({ key })
      await run.apply({ type: 'UP' })
      await run.close()
    }
    expect(hosted.map(told).filter(text => text.endsWith(' UP') && text.startsWith('→'))).toEqual([
      '→a UP',
      '→b UP',
      '→a UP',
    ])

    const broker = memoryBroker({ partitions: 1 })
    const supervised: RunInspectionEvent[] = []
    await using supervisor = supervise({
      machine: parent,
      store: memoryStore(),
      consumer: broker.consumer({ topic: 't', group: 'g' }),
      inspect: event => supervised.push(event),
    })
    const value = JSON.stringify({ type: 'UP' })
    await broker.producer({ topic: 't' }).send([{ key: 'k', value, timestamp: 1 }])
    await supervisor.caughtUp()
    expect(supervised.map(told)).toContain('→k UP')
  })
})

describe('a history that is inspected', () => {
  test('shows what was shown when it happened', async () => {
    const store = memoryStore()
    const { id, events } = await inspectedRun(store)
    const again: RunInspectionEvent[] = []
    await inspectHistory(parent, store.read(id), event => again.push(event))
    const written = (all: readonly RunInspectionEvent[]) => JSON.parse(JSON.stringify(all.map(statelyEvent)))
    expect(written(again)).toEqual(written(events))
    const part: RunInspectionEvent[] = []
    await inspectHistory(parent, store.read(id), { next: event => part.push(event) }, { until: 2, name: 'mine' })
    expect(part.at(-1)!.seq).toBe(2)
    expect((part[0]!.actorRef as unknown as { id: string }).id).toBe('mine')
  })

  test('of a fork is its own from the beginning', async () => {
    const store = memoryStore()
    const { id } = await inspectedRun(store)
    await using fork = await forkRun({ store, id, machine: parent }, { at: 1, replace: { type: 'WAIT' } })
    const events: RunInspectionEvent[] = []
    await inspectHistory(parent, store.read(fork.id), event => events.push(event), { run: fork.id })
    expect(new Set(events.map(({ rootId }) => rootId))).toEqual(new Set([fork.id]))
    expect(told(events.at(-1)!)).toBe('p-1 "waiting" after WAIT')
  })

  test('of a run that went over to another machine shows the new machine from there on', async () => {
    const store = memoryStore()
    const newer = defineMachine(parent.provide({}), {
      version: '2',
      migrations: [{ from: parent, state: state => ({ ...state, context: { answer: 7 } }) }],
    })
    const { id } = await inspectedRun(store)
    const run = await openRun(newer, { store, id })
    await run.apply({ type: 'WAIT' }, { at: 2000 })
    await run.close()
    const events: RunInspectionEvent[] = []
    await inspectHistory([newer, parent], store.read(id), event => events.push(event))
    const later = events.filter(({ seq }) => seq > 5)
    expect(later.map(told)).toEqual([
      '@xstate.actor p-1',
      '→p-1 xstate.init',
      '@xstate.actor counter',
      'p-1→counter xstate.init',
      'counter {} after xstate.init',
      'p-1 "idle" after xstate.init',
      '→p-1 WAIT',
      'p-1 "waiting" after WAIT',
    ])
    expect(later.at(-1)).toMatchObject({ snapshot: { context: { answer: 7 } } })
  })

  test('is written down as the Stately Inspector is sent it', async () => {
    const store = memoryStore()
    const { id } = await inspectedRun(store)
    const real = inspector()
    const written: object[] = []
    await inspectHistory(parent, store.read(id), event => {
      written.push(JSON.parse(JSON.stringify(statelyEvent(event))))
      real.inspect.next?.(event)
    })
    await real.settled()
    // Actors are read late by the inspector: then they show what they are by then.
    const plain = (events: readonly object[]) =>
      events.map(event => {
        const { createdAt, seq, snapshot, definition, ...rest } = JSON.parse(JSON.stringify(event))
        const config = definition === undefined ? undefined : JSON.parse(definition)
        return { ...rest, definition: config, snapshot: rest.type === '@xstate.actor' ? undefined : snapshot }
      })
    expect(plain(written)).toEqual(plain(real.sent))
  })
})
