import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import {
  type AnyStateMachine,
  assign,
  cancel,
  emit,
  fromTransition,
  raise,
  sendTo,
  setup,
  spawnChild,
  stopChild,
} from 'xstate'
import type { Recorder } from '../../arbitraries/machine-description.ts'
import { play } from './compare.ts'

/** Events, timers and traps of XState 5. `play` holds every case against a real actor and in every manner of running. */

beforeEach(() => {
  vi.spyOn(console, 'warn').mockImplementation(() => {})
})
afterEach(() => {
  vi.restoreAllMocks()
})

type Build = (record: Recorder) => AnyStateMachine
const machine = (config: object, implementations: object = {}): AnyStateMachine =>
  setup(implementations as never).createMachine(config as never) as unknown as AnyStateMachine
const tell =
  (record: Recorder) =>
  ({ event }: { event: object }): void =>
    record(JSON.stringify(event))

describe('the events of actors', () => {
  const kid = machine({
    initial: 'a',
    context: { n: 1 },
    states: { a: { on: { END: 'z' } }, z: { type: 'final' } },
    output: { answer: 42 },
  })

  test('done carries the output and the id; default ids are made of index and node', () => {
    const build: Build = record =>
      machine(
        {
          id: 'm',
          initial: 'a',
          states: { a: { invoke: [{ src: 'kid' }, { src: 'kid', onDone: { actions: tell(record) } }] } },
          on: { GO: { actions: sendTo('1.m.a', { type: 'END' }) } },
        },
        { actors: { kid } },
      )
    expect(play(build, 'GO').at(-1)!.told).toEqual([
      '{"type":"xstate.done.actor.1.m.a","output":{"answer":42},"actorId":"1.m.a"}',
    ])
  })

  test('an inline invocation is named after its place', () => {
    const build: Build = () => machine({ id: 'm', invoke: { src: kid } })
    const sight = play(build, 'GO').at(-1)!
    expect(sight.system.actors['@1']).toMatchObject({ id: '0.m', processing: 1 })
  })

  test('the init event carries the input', () => {
    const build: Build = record => machine({ entry: tell(record) })
    expect(play(build)[0]!.told).toEqual(['{"type":"xstate.init"}'])
  })

  test('what a child emits is heard at the child only', () => {
    const loud = machine({ entry: emit({ type: 'HEARD' }), on: { GO: { actions: emit({ type: 'HEARD' }) } } })
    const build: Build = () =>
      machine(
        {
          invoke: { src: 'loud', id: 'loud' },
          on: { GO: { actions: [sendTo('loud', { type: 'GO' }), emit({ type: 'OWN' })] } },
        },
        { actors: { loud } },
      )
    expect(play(build, 'GO').map(({ emitted }) => emitted)).toEqual([[], [{ type: 'OWN' }]])
  })

  test('a reducer may take `emit` and `defer` out of its scope', () => {
    const counter = fromTransition((count: number, event, scope) => {
      const { emit, defer, self, system } = scope as typeof scope & { defer: (work: () => void) => void }
      emit({ type: 'COUNTED' } as never)
      defer(() => self._parent?.send({ type: 'DEFERRED', of: event.type, known: system.get('counter') === self }))
      return count + 1
    }, 0)
    const build: Build = record =>
      machine(
        {
          invoke: { src: 'counter', id: 'counter', systemId: 'counter' },
          on: { GO: { actions: sendTo('counter', { type: 'UP' }) }, '*': { actions: tell(record) } },
        },
        { actors: { counter } },
      )
    const sight = play(build, 'GO').at(-1)!
    expect(sight.system.actors['@1']!.state).toMatchObject({ status: 'active', context: 1 })
    expect(sight.told).toEqual(['{"type":"DEFERRED","of":"UP","known":true}'])
  })

  test('a reducer gets no init event, but is told of its stop', () => {
    const list = fromTransition((seen: string[], event) => [...seen, event.type], [])
    const build: Build = () =>
      machine(
        {
          context: ({ spawn }: { spawn: (src: string) => unknown }) => ({ ref: spawn('list') }),
          on: { GO: { actions: stopChild(({ context }: { context: { ref: never } }) => context.ref) } },
        },
        { actors: { list } },
      )
    const sights = play(build, 'GO')
    const states = sights.map(({ system }) => (system.actors['@1']!.state as { context: unknown }).context)
    expect(states).toEqual([[], ['xstate.stop']])
  })
})

describe('timers', () => {
  test('a delayed transition fires at its due time, counted from the step that armed it', () => {
    const build: Build = () =>
      machine({ initial: 'a', states: { a: { after: { 300: 'b' } }, b: { after: { 300: 'c' } }, c: {} } })
    const sights = play(build, 100, 1000)
    expect(sights.map(({ due }) => due)).toEqual([[300], [300], []])
    expect(sights.at(-1)!.system.root.state).toMatchObject({ value: '"c"' })
  })

  test('an id that is armed again does not clear the first: both fire, cancel hits the later', () => {
    const build: Build = record =>
      machine({
        on: {
          ARM: { actions: raise({ type: 'TICK' }, { delay: 10, id: 't0' }) },
          CANCEL: { actions: cancel('t0') },
          TICK: { actions: tell(record) },
        },
      })
    expect(play(build, 'ARM', 'ARM', 20).at(-1)!.told).toHaveLength(2)
    expect(play(build, 'ARM', 'ARM', 'CANCEL', 20).at(-1)!.told).toHaveLength(1)
    expect(play(build, 'ARM', 5, 'ARM', 5, 'CANCEL', 20).at(-1)!.told, 'the first took the name along').toHaveLength(1)
  })

  test('delay 0 is a timer; a delay name that is not registered is no delay at all', () => {
    const build: Build = record =>
      machine({
        on: {
          ZERO: { actions: raise({ type: 'TICK' }, { delay: 0 }) },
          UNKNOWN: { actions: raise({ type: 'TICK' }, { delay: 'nowhere' as never }) },
          TICK: { actions: tell(record) },
        },
      })
    expect(play(build, 'ZERO', 0, 'UNKNOWN').map(({ told }) => told.length)).toEqual([0, 0, 1, 1])
  })

  test('timers of one due time fire in the order armed', () => {
    const build: Build = record =>
      machine({
        entry: [
          raise({ type: 'SECOND' }, { delay: 20 }),
          raise({ type: 'FIRST' }, { delay: 10 }),
          raise({ type: 'THIRD' }, { delay: 20 }),
        ],
        on: { '*': { actions: tell(record) } },
      })
    expect(
      play(build, 20)
        .at(-1)!
        .told.map(line => JSON.parse(line).type),
    ).toEqual(['FIRST', 'SECOND', 'THIRD'])
  })

  test('the end of its source cancels a timer; one whose receiver is over fires and is ignored', () => {
    const source = machine({
      entry: sendTo(({ self }) => (self as unknown as { _parent: never })._parent, { type: 'FROM_KID' } as never, {
        delay: 10,
      }),
    })
    const receiver = machine({})
    const build: Build = record =>
      machine(
        {
          initial: 'a',
          states: {
            a: {
              invoke: [{ src: 'source' }, { src: 'receiver', id: 'r' }],
              entry: sendTo('r', { type: 'X' }, { delay: 10 }),
              on: { GO: 'b' },
            },
            b: {},
          },
          on: { FROM_KID: { actions: tell(record) } },
        },
        { actors: { source, receiver } },
      )
    const sights = play(build, 'GO', 20)
    expect(sights.map(({ due }) => due.length)).toEqual([2, 1, 0])
    expect(sights.at(-1)!.told).toEqual([])
  })

  test('dynamic and registered delays see the context and the event', () => {
    const build: Build = () =>
      machine(
        {
          context: { wait: 30 },
          initial: 'a',
          states: { a: { after: { long: 'b' } }, b: {} },
          on: {
            ARM: {
              actions: raise({ type: 'TICK' }, { delay: ({ event }: { event: { ms: number } }) => event.ms } as never),
            },
          },
        },
        { delays: { long: ({ context }: { context: { wait: number } }) => context.wait } },
      )
    expect(play(build, { type: 'ARM', ms: 7 } as never).map(({ due }) => due)).toEqual([[30], [7, 30]])
  })
})

describe('traps of XState', () => {
  const kid = machine({ context: { n: 0 }, on: { COUNT: { actions: assign({ n: ({ context }) => context.n + 1 }) } } })
  const actors = { kid }

  test('spawnChild without an id stands under the key "undefined"', () => {
    const build: Build = () => machine({ entry: spawnChild('kid' as never) }, { actors })
    expect(play(build)[0]!.system.root.state).toMatchObject({ children: [['undefined', '@1']] })
  })

  test('sendTo nobody delivers to the sender', () => {
    const build: Build = record =>
      machine({
        on: {
          GO: { actions: sendTo(() => undefined as never, { type: 'BACK' } as never) },
          BACK: { actions: tell(record) },
        },
      })
    expect(play(build, 'GO').at(-1)!.told).toHaveLength(1)
  })

  test('sendTo an unknown id throws', () => {
    const build: Build = () => machine({ on: { GO: { actions: sendTo('nobody', { type: 'X' }) } } })
    expect(play(build, 'GO').at(-1)!.error).toContain("Unable to send event to actor 'nobody'")
  })

  test('an id in use is given to the new actor; the old one lives on', () => {
    const build: Build = () =>
      machine(
        {
          context: { refs: [] },
          on: {
            SPAWN: { actions: assign({ refs: ({ context, spawn }: never) => spawnInto(context, spawn) } as never) },
            FIRST: {
              actions: sendTo(({ context }: { context: { refs: never[] } }) => context.refs[0]!, {
                type: 'COUNT',
              } as never),
            },
            NAMED: { actions: sendTo('k', { type: 'COUNT' }) },
          },
        },
        { actors },
      )
    const sight = play(build, 'SPAWN', 'SPAWN', 'FIRST', 'NAMED', 'NAMED').at(-1)!
    expect(sight.system.actors['@1']).toMatchObject({ processing: 1, state: { context: { n: 1 } } })
    expect(sight.system.actors['@2']).toMatchObject({ processing: 1, state: { context: { n: 2 } } })
  })

  test('a system id is free again once its actor is stopped', () => {
    const build: Build = () =>
      machine(
        {
          initial: 'a',
          states: { a: { invoke: { src: 'kid', systemId: 'one' }, on: { GO: { target: 'a', reenter: true } } } },
        },
        { actors },
      )
    const sights = play(build, 'GO', 'GO')
    expect(sights.map(({ system }) => system.systemIds)).toEqual([{ one: '@1' }, { one: '@2' }, { one: '@3' }])
  })

  test('a system id that is taken throws', () => {
    const build: Build = () =>
      machine(
        {
          invoke: [
            { src: 'kid', systemId: 'one' },
            { src: 'kid', id: 'other', systemId: 'one' },
          ],
        },
        { actors },
      )
    expect(play(build)[0]!.error).toBe("Actor with system ID 'one' already exists.")
  })

  test('guards see the context and the event, and nothing else', () => {
    let seen = ''
    const guard = (args: object): boolean => {
      seen = Object.keys(args).join()
      return false
    }
    play(() => machine({ on: { GO: { guard, actions: 'none' } } }), 'GO')
    expect(seen).toBe('context,event')
  })

  test('session ids are counted from the root’s', () => {
    const build: Build = () =>
      machine(
        {
          invoke: [
            { src: 'kid', id: 'a' },
            { src: 'kid', id: 'b' },
          ],
        },
        { actors },
      )
    expect(Object.keys(play(build)[0]!.system.actors)).toEqual(['@0', '@1', '@2'])
  })

  test('the order of active nodes is kept: it decides the order of eventless transitions', () => {
    const region = (record: Recorder, name: string) => ({
      initial: 'x',
      states: {
        x: { on: { [name]: 'y' } },
        y: {
          always: {
            guard: ({ context }: { context: { go: boolean } }) => context.go,
            target: 'z',
            actions: () => record(name),
          },
        },
        z: {},
      },
    })
    const build: Build = record =>
      machine({
        context: { go: false },
        type: 'parallel',
        states: { A: region(record, 'A'), B: region(record, 'B') },
        on: { GO: { actions: assign({ go: true }) } },
      })
    expect(play(build, 'B', 'A', 'GO').at(-1)!.told).toEqual(['B', 'A'])
    expect(play(build, 'A', 'B', 'GO').at(-1)!.told).toEqual(['A', 'B'])
  })
})

function spawnInto(context: { refs: unknown[] }, spawn: (src: string, options: object) => unknown): unknown[] {
  return [...context.refs, spawn('kid', { id: 'k' })]
}
