import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { type AnyStateMachine, assign, createMachine, fromTransition, sendTo, setup } from 'xstate'
import type { Recorder } from '../../arbitraries/machine-description.ts'
import { play } from './compare.ts'

/** What a throw does, place by place. `play` holds every case against a real actor and in every manner of running. */

beforeEach(() => {
  vi.spyOn(console, 'warn').mockImplementation(() => {})
})
afterEach(() => {
  vi.restoreAllMocks()
})

const fail = (): never => {
  throw new Error('broken')
}

describe('a throw ends the actor in status error, with the value and context that it had', () => {
  const cases: Record<string, object> = {
    'in a guard': { on: { GO: { guard: fail, target: '.b' } } },
    'in an assignment': { on: { GO: { actions: [assign({ n: 1 }), assign({ n: fail })], target: '.b' } } },
    'in an eventless transition': { on: { GO: '.loop' } },
    'in the entry of a state': { on: { GO: '.entered' } },
    'in what is emitted': { on: { GO: { target: '.b', actions: sendTo(({ self }) => self, fail) } } },
    'in the output': { on: { GO: '.end' }, output: fail },
    'in the input of an invocation': { on: { GO: '.invoking' } },
  }
  const states = {
    a: {},
    b: {},
    loop: { always: { guard: fail, target: 'b' } },
    entered: { entry: assign({ n: fail }) },
    invoking: { invoke: { src: fromTransition(() => 0, 0), input: fail } },
    end: { type: 'final' },
  }

  test.each(Object.entries(cases))('%s', (_place, config) => {
    const build = (): AnyStateMachine =>
      createMachine({ context: { n: 0 }, initial: 'a', states, ...config } as never) as unknown as AnyStateMachine
    const sight = play(build, 'GO').at(-1)!
    expect(sight.status).toBe('error')
    expect(sight.error).toContain('broken')
    expect(sight.system.root.state).toMatchObject({ value: '"a"', context: { n: 0 } })
  })

  test('in the context: the first step fails', () => {
    expect(play(() => createMachine({ context: fail }))[0]).toMatchObject({ status: 'error', error: 'broken' })
  })

  test('custom actions that ran before it stay run; what was put off is lost', () => {
    const build = (record: Recorder) =>
      createMachine({
        context: {},
        on: {
          GO: { actions: [() => record('ran'), sendTo(({ self }) => self, { type: 'LOST' }), assign(fail)] },
          LOST: { actions: () => record('lost') },
        },
      })
    expect(play(build, 'GO').at(-1)).toMatchObject({ status: 'error', told: ['ran'] })
  })
})

describe('a child that throws', () => {
  const kid = createMachine({ context: {}, on: { FAIL: { actions: assign(fail) } } })
  const machine = (config: object) => (record: Recorder) =>
    setup({ actors: { kid }, actions: { tell: ({ event }) => record(JSON.stringify(event)) } }).createMachine({
      initial: 'a',
      states: {
        a: { invoke: { src: 'kid', id: 'kid' }, on: { GO: { actions: sendTo('kid', { type: 'FAIL' }) } } },
        b: {},
      },
      ...config,
    } as never) as unknown as AnyStateMachine

  test('tells its parent', () => {
    const build = machine({ on: { 'xstate.error.actor.kid': { target: '.b', actions: 'tell' } } })
    expect(play(build, 'GO').at(-1)!.told).toEqual(['{"type":"xstate.error.actor.kid","error":{},"actorId":"kid"}'])
  })

  test('ends its parent where that does not take the event, and so upwards', () => {
    expect(play(machine({}), 'GO').at(-1)).toMatchObject({ status: 'error', error: 'broken' })
  })

  test('is passed over where the parent has a wildcard', () => {
    const sights = play(machine({ on: { '*': { actions: 'tell' } } }), 'GO', 'NEXT')
    expect(sights.map(({ status, told }) => [status, told.length])).toEqual([
      ['active', 0],
      ['active', 1],
      ['active', 1],
    ])
  })

  test('at its start, errors its parent in the same step', () => {
    const broken = createMachine({ context: fail })
    const build = () =>
      setup({ actors: { broken } }).createMachine({
        initial: 'a',
        states: { a: { on: { GO: 'b' } }, b: { invoke: { src: 'broken', id: 'kid', onError: 'c' } }, c: {} },
      })
    expect(play(build, 'GO').at(-1)!.system.root.state).toMatchObject({ value: '"c"' })
  })

  test('leaves its own children running when its own transition threw: they still hear and count', () => {
    const counter = fromTransition((n: number, event) => (event.type === 'COUNT' ? n + 1 : n), 0)
    const middle = setup({ actors: { counter } }).createMachine({
      context: {},
      invoke: { src: 'counter', id: 'counter', systemId: 'counter' },
      on: { FAIL: { actions: assign(fail) } },
    })
    const build = () =>
      setup({ actors: { middle } }).createMachine({
        // Left where it is: leaving the state would take the name away from the children, too.
        invoke: { src: 'middle', id: 'middle', onError: {} },
        on: {
          GO: { actions: sendTo('middle', { type: 'FAIL' }) },
          COUNT: { actions: sendTo(({ system }) => system.get('counter'), { type: 'COUNT' }) },
        },
      })
    const sight = play(build, 'GO', 'COUNT', 'COUNT').at(-1)!
    expect(sight.system.actors['@2']).toMatchObject({ id: 'counter', processing: 1, state: { context: 2 } })
    expect(sight.system.systemIds).toEqual({ counter: '@2' })
  })
})
