/** Functions among the options know the machine beside them: its events, its input. Checked by the compiler, here and against the packed package; never run. */
import { expectTypeOf } from 'vitest'
import { defineMachine, supervise } from 'xmachines'
import { memoryStore } from 'xmachines/persistence/memory'
import { simulate } from 'xmachines/testing'
import { memoryBroker } from 'xmachines/transports/memory'
import { setup } from 'xstate'
import { light, order } from './machines.ts'

const lamp = setup({
  types: {} as {
    input: { mode: 'dim' | 'bright' }
    context: { mode: 'dim' | 'bright' }
    events: { type: 'SET'; mode: 'dim' | 'bright' } | { type: 'OFF' }
  },
}).createMachine({ id: 'lamp', context: ({ input }) => ({ mode: input.mode }) })

// Words stay words, in a list, in a function, and in what a function makes.
void simulate({ machine: lamp, events: [{ type: 'SET', mode: 'dim' }, [{ type: 'OFF' }, { type: 'OFF' }]] })
void simulate({ machine: lamp, events: random => [{ type: 'SET', mode: random.below(2) ? 'dim' : 'bright' }] })
void simulate({
  machine: defineMachine(order, { version: '2' }),
  runs: [
    { key: 'a', input: { discount: 1 } },
    { key: 'b', machine: light, input: 'of that machine' },
  ],
  events: random => [
    ...Array.from({ length: random.below(3) }, () => ({ type: 'ADD' as const, price: random.below(9) })),
    { run: 'b', event: { type: 'NEXT' } },
    { type: 'CLOSE' },
  ],
  invariant: ({ context }) => context.total >= 0,
  atEnd: ({ runs, sent }) => {
    expectTypeOf(runs.a!.context).toEqualTypeOf<{ total: number }>()
    const [{ receipt }] = sent as [(typeof sent)[0]]
    if (receipt.ok) expectTypeOf(receipt.snapshot.context).toEqualTypeOf<{ total: number }>()
  },
})
void simulate({ scenario: () => ({ machine: lamp, events: [{ type: 'OFF' }], atEnd: ({ sent }) => sent.length > 0 }) })
// @ts-expect-error: no such event
void simulate({ machine: lamp, events: random => [{ type: random.below(2) ? 'OFF' : 'OF' }] })
// @ts-expect-error: no such event
void simulate({ machine: lamp, events: [{ type: 'OF' }] })
// @ts-expect-error: the input is of another type
void simulate({ machine: order, runs: [{ key: 'a', input: { discount: 'much' } }], events: [] })

const store = memoryStore()
const consumer = memoryBroker().consumer({ topic: 't', group: 'g' })
supervise({ machine: lamp, store, consumer, input: ({ partition }) => ({ mode: partition > 0 ? 'dim' : 'bright' }) })
// @ts-expect-error: no such mode
supervise({ machine: lamp, store, consumer, input: ({ partition }) => ({ mode: partition > 0 ? 'dim' : 'off' }) })
