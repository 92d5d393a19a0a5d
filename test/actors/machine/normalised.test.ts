import { describe, expect, test } from 'vitest'
import { type AnyStateMachine, assign, createMachine, fromPromise, raise, setup } from 'xstate'
import { defineMachine } from '../../../src/actors/machine/definition.ts'
import { normalisedDefinition } from '../../../src/actors/machine/normalised.ts'
import { Program } from '../../../src/actors/machine/program.ts'

/**
 * A machine's identity comes from what its author wrote (semantics 1). The values here are fixed for ever: whatever changes
 * them, changes the ids of machines and runs that exist. They hold under every supported version of XState.
 */

const fn = { $fn: 1 }

function order(body: () => unknown = () => 1): AnyStateMachine {
  const charge = fromPromise(async () => body())
  const kid = setup({}).createMachine({
    id: 'kid',
    initial: 'x',
    states: { x: { type: 'final' } },
    output: body as never,
  })
  return setup({
    types: {} as { context: { total: number }; events: { type: 'ADD'; by: number } | { type: 'PAY' } },
    schemas: { anything: body },
    actors: { kid, charge },
    actions: { note: body as () => void, grow: assign({ total: ({ context }) => context.total + 1 }) },
    guards: { positive: ({ context }) => context.total > 0 },
    delays: { soon: 10 },
  }).createMachine({
    id: 'order',
    context: { total: 0 },
    initial: 'open',
    states: {
      open: {
        tags: 'editable',
        entry: [raise({ type: 'PAY' }), { type: 'note' }, () => body()],
        after: { soon: 'late', 1000: { target: 'late', actions: 'note' } },
        on: {
          ADD: { guard: 'positive', actions: ['grow', assign({ total: 5 })] },
          PAY: [{ guard: () => body() === 2, target: 'paying' }, 'late'],
        },
      },
      paying: { invoke: { src: 'charge', input: () => body(), onDone: 'late', onError: { target: 'open' } } },
      late: { invoke: { src: kid } },
    },
  }) as unknown as AnyStateMachine
}

const kid = {
  config: { id: 'kid', initial: 'x', states: [['x', { type: 'final' }]], output: fn },
  actions: [],
  guards: [],
  delays: [],
  actors: {},
}

test('the definition: states in order, functions as markers, names of what is registered, children within', () => {
  expect(normalisedDefinition(order())).toEqual({
    config: {
      id: 'order',
      context: { total: 0 },
      initial: 'open',
      states: [
        [
          'open',
          {
            tags: 'editable',
            entry: [fn, { type: 'note' }, fn],
            after: { soon: 'late', 1000: { target: 'late', actions: 'note' } },
            on: {
              ADD: { guard: 'positive', actions: ['grow', fn] },
              PAY: [{ guard: fn, target: 'paying' }, 'late'],
            },
          },
        ],
        ['paying', { invoke: { src: 'charge', input: fn, onDone: 'late', onError: { target: 'open' } } }],
        ['late', { invoke: { src: kid } }],
      ],
    },
    actions: ['grow', 'note'],
    guards: ['positive'],
    delays: ['soon'],
    actors: { kid, charge: fn },
  })
})

test('the commit of a machine', () => {
  const oid = (format: 'sha1' | 'sha256', version = '1'): string =>
    new Program(defineMachine(order(), { version }), format).record.oid
  expect(oid('sha1')).toBe('5a06f726c690441e5af540b1034cdb8a2b0e5d1e')
  expect(oid('sha256')).toBe('fadd10395db9a4f0a1a6152c8394776442b15d0c41fc354b3af7a92f87335257')
  expect(oid('sha1', '2')).toBe('e3ee3e0c6c46ead86e8615b871db02bf9831ed46')
})

describe('what counts', () => {
  const text = (machine: AnyStateMachine): string => JSON.stringify(normalisedDefinition(machine))

  test('not the bodies of functions, inline or registered, nor types and schemas', () => {
    expect(text(order(() => 'something else'))).toBe(text(order()))
    expect(text(createMachine({ types: {} as never, schemas: { a: 1 } as never }))).toBe(text(createMachine({})))
  })

  test('not what `provide` put in place of what was there', () => {
    expect(text(order().provide({ actions: { note: () => {} } }) as AnyStateMachine)).toBe(text(order()))
  })

  test('not how machines were made ready to run', () => {
    const machine = order()
    const before = text(machine)
    new Program(defineMachine(machine), 'sha1')
    expect(text(machine)).toBe(before)
  })

  test('the order of states, which decides the order of entry', () => {
    const machine = (states: object): AnyStateMachine =>
      createMachine({ type: 'parallel', states } as never) as unknown as AnyStateMachine
    expect(text(machine({ a: {}, b: {} }))).not.toBe(text(machine({ b: {}, a: {} })))
  })

  test('whether something is there at all: undefined is not', () => {
    expect(text(createMachine({ entry: undefined as never }))).toBe(text(createMachine({})))
    expect(text(createMachine({ entry: () => {} }))).not.toBe(text(createMachine({})))
  })

  test('what is neither JSON nor a function by its kind only; numbers that JSON has no word for by their names', () => {
    const context = {
      date: new Date(),
      map: new Map(),
      big: 1n,
      nan: Number.NaN,
      zero: -0,
      cycle: {} as Record<string, unknown>,
    }
    context.cycle.self = context.cycle
    expect(normalisedDefinition(createMachine({ context } as never) as never).config).toEqual({
      context: {
        date: { $kind: 'object' },
        map: { $kind: 'object' },
        big: { $kind: 'bigint' },
        nan: { $number: 'NaN' },
        zero: 0,
        cycle: { self: { $kind: 'cycle' } },
      },
    })
  })
})
