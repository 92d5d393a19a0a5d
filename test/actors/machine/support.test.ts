import { describe, expect, test } from 'vitest'
import { type AnyStateMachine, createMachine, fromPromise, fromTransition, setup, spawnChild } from 'xstate'
import type { ErrorCode } from '../../../src/actors/errors.ts'
import { XMachinesError } from '../../../src/actors/errors.ts'
import { type DefinitionOptions, defineMachine, toDefinition } from '../../../src/actors/machine/definition.ts'
import { normalisedDefinition } from '../../../src/actors/machine/normalised.ts'

/** What is refused when a machine is defined, each with its place. */

const machine = (config: object, implementations: object = {}): AnyStateMachine =>
  setup(implementations as never).createMachine({ id: 'm', ...config } as never) as unknown as AnyStateMachine
const logic = fromPromise(async () => 0)
const custom = { ...fromTransition(() => 0, 0), config: undefined, start: () => {} }
const act = { actions: spawnChild(logic) }

function refusalOf(work: () => unknown): { code: ErrorCode; path: unknown; message: string } {
  try {
    work()
  } catch (thrown) {
    if (XMachinesError.is(thrown)) return { code: thrown.code, path: thrown.details.path, message: thrown.message }
    throw thrown
  }
  throw new Error('it was accepted')
}

describe('MACHINE_UNSUPPORTED names the place', () => {
  test.each<[string, AnyStateMachine, string]>([
    ['an invoked actor that is not registered', machine({ invoke: { src: 'nobody' } }), 'm.invoke[0].src'],
    [
      '… deep inside',
      machine({
        initial: 'a',
        states: { a: { initial: 'b', states: { b: { invoke: [{ src: logic }, { src: 'x' }] } } } },
      }),
      'm.a.b.invoke[1].src',
    ],
    ['a spawned actor that is not registered', machine({ entry: spawnChild('nobody' as never) }), 'm.entry[0]'],
    ['… under a name that every object has', machine({ entry: spawnChild('toString' as never) }), 'm.entry[0]'],
    ['… as an invocation', machine({ invoke: { src: 'constructor' } }), 'm.invoke[0].src'],
    ['spawnChild of a logic object, in entry', machine({ entry: ['x', spawnChild(logic)] }), 'm.entry[1]'],
    ['… in exit', machine({ exit: spawnChild(logic) }), 'm.exit[0]'],
    ['… in a transition', machine({ on: { GO: act } }), 'm.on.GO.actions[0]'],
    ['… in one of several', machine({ on: { GO: [{ guard: 'g' }, act] } }), 'm.on.GO.actions[0]'],
    ['… in always', machine({ always: { guard: 'g', ...act } }), 'm.always.actions[0]'],
    ['… in after', machine({ after: { 10: act } }), 'm.after.10.actions[0]'],
    ['… in onDone of a state', machine({ initial: 'a', onDone: act, states: { a: {} } }), 'm.onDone.actions[0]'],
    ['… in initial', machine({ initial: { target: 'a', ...act }, states: { a: {} } }), 'm.initial.actions[0]'],
    ['… in onDone of an invocation', machine({ invoke: { src: logic, onDone: act } }), 'm.invoke[0].onDone.actions[0]'],
    ['… in onError', machine({ invoke: { src: logic, onError: act } }), 'm.invoke[0].onError.actions[0]'],
    ['… in onSnapshot', machine({ invoke: { src: logic, onSnapshot: act } }), 'm.invoke[0].onSnapshot.actions[0]'],
    ['… as a registered action', machine({}, { actions: { go: spawnChild(logic) } }), "actions['go']"],
    ['custom logic with start, registered', machine({}, { actors: { custom } }), "actors['custom']"],
    ['custom logic with start, inline', machine({ invoke: { src: custom } }), 'm.invoke[0].src'],
    ['what is no logic at all', machine({}, { actors: { broken: {} } }), "actors['broken']"],
    [
      'an action named like XState’s own',
      machine({}, { actions: { 'xstate.sendTo': () => {} } }),
      "actions['xstate.sendTo']",
    ],
    [
      'the same in a child machine',
      machine({}, { actors: { kid: machine({ id: 'kid', invoke: { src: 'nobody' } }) } }),
      'kid.invoke[0].src',
    ],
    [
      '… also where it is inline',
      machine({ invoke: { src: machine({ id: 'kid', entry: spawnChild(logic) }) } }),
      'kid.entry[0]',
    ],
  ])('%s', (_what, refused, path) => {
    expect(refusalOf(() => defineMachine(refused))).toMatchObject({ code: 'MACHINE_UNSUPPORTED', path })
  })

  test('a machine may be its own child', () => {
    const own = machine({ invoke: { src: machine({ id: 'kid' }) } })
    own.implementations.actors.own = own
    expect(normalisedDefinition(defineMachine(own).machine).actors).toEqual({ own: { $machine: 'm' } })
  })

  test('what can be restored is accepted: inline invocations, names, logic that starts nothing', () => {
    const quiet = { ...fromTransition(() => 0, 0), config: undefined }
    const fine = machine(
      {
        invoke: [{ src: logic }, { src: 'job' }, { src: machine({ id: 'kid' }) }],
        entry: [spawnChild('job' as never), 'unknown'],
      },
      { actors: { job: logic, quiet } },
    )
    expect(defineMachine(fine)).toMatchObject({ version: '1', unhandled: 'accept', errors: 'reject' })
  })
})

describe('options', () => {
  const fine = machine({})
  test.each<[string, object, ErrorCode]>([
    ['an unknown one', { evnets: {} }, 'POLICY_INVALID'],
    ['an empty version', { version: '' }, 'POLICY_INVALID'],
    ['unhandled', { unhandled: 'drop' }, 'POLICY_INVALID'],
    ['errors', { errors: 'ignore' }, 'POLICY_INVALID'],
    ['events that are no schema', { events: { GO: 1 } }, 'POLICY_INVALID'],
  ])('%s is refused', (_what, options, code) => {
    expect(refusalOf(() => defineMachine(fine, options as DefinitionOptions)).code).toBe(code)
  })

  test('what is no machine is refused; a definition is taken as it is', () => {
    for (const wrong of [undefined, null, 1, {}, { machine: {} }, logic])
      expect(refusalOf(() => toDefinition(wrong as never)).code).toBe('MACHINE_INVALID')
    const definition = defineMachine(createMachine({}), { version: '2' })
    expect(toDefinition(definition)).toBe(definition)
  })
})
