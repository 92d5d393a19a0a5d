import { expect, test } from 'vitest'
import { random } from 'xmachines'
import { type AnyStateMachine, assign, fromTransition, setup } from 'xstate'
import { defineMachine } from '../../../src/actors/machine/definition.ts'
import { Program } from '../../../src/actors/machine/program.ts'

/** Events that only assign do not go the whole way through XState: what an assigner can tell of that. */

const counter = fromTransition((n: number) => n, 0)
const machine = setup({
  types: {} as { context: { draws: number[]; before?: unknown; kid?: unknown } },
  actors: { counter },
}).createMachine({
  context: { draws: [] },
  on: {
    DRAW: { actions: assign({ draws: ({ context }) => [...context.draws, random()] }) },
    SPAWN: {
      actions: [
        assign({ draws: ({ context }) => [...context.draws, random()] }),
        assign({
          before: ({ context, self, system }) => [context.draws.length, self.id, system.get('kid') === undefined],
          kid: ({ spawn }) => spawn('counter', { id: 'kid', systemId: 'kid' }),
        }),
      ],
    },
    QUIETLY: {
      actions: assign(({ spawn }) => {
        try {
          return { kid: spawn('counter', { id: 'kid' }) }
        } catch {
          return { kid: 'refused' }
        }
      }),
    },
    CLASH: { actions: assign(({ context }) => ({ draws: context.draws, before: Object.keys(context) })) },
  },
})

/** Every event, decided with and without the short way. */
function contexts(events: readonly string[], quick: boolean): unknown[] {
  const program = new Program(defineMachine(machine as unknown as AnyStateMachine), 'sha1', quick)
  const system = program.createSystem(undefined)
  let { state } = program.initial(system, 0, () => 'seed')
  return events.map((type, index) => {
    const seq = index + 1
    const input = { seq, at: 0, events: [{ type }], origin: { kind: 'outside' } as const, seed: () => `seed ${seq}` }
    const decision = program.decide(system, state, input)
    if (decision.kind !== 'decided') return decision.kind
    state = decision.state
    const { context, children } = state.snapshot
    const { kid, ...rest } = context
    return [rest, (kid as { id?: string } | undefined)?.id ?? kid, Object.keys(children)]
  })
}

test.each([
  ['only assigned', ['DRAW', 'CLASH', 'DRAW']],
  ['an assigner that spawns, after one that draws', ['DRAW', 'SPAWN', 'DRAW']],
  ['spawns where what it throws is caught', ['QUIETLY', 'DRAW', 'CLASH']],
])('as XState alone: %s', (_, events) => {
  const whole = contexts(events, false)
  expect(contexts(events, true)).toEqual(whole)
  expect(whole.every(Array.isArray)).toBe(true)
})
