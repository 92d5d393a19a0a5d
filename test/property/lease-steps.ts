import fc from 'fast-check'
import type { Said } from './leased-fleet.ts'

/** Of the runs that records go to. */
export const keys = ['a', 'b', 'c'] as const
const key = fc.constantFrom(...keys)
const said = fc.constantFrom<Said['type'][]>('NOTE', 'CHARGE', 'PAY', 'LEAVE', 'ARM', 'TELL', 'SAY', 'SPAWN')
const pick = fc.nat(5)

/** What goes on in a fleet, and how many microtasks pass before the next. */
export type LeaseStep = { readonly turns: number } & (
  | { readonly does: 'send' | 'apply'; readonly says: Said['type']; readonly key: string; readonly to: string }
  | { readonly does: 'finish' | 'fail' | 'join' | 'lose' | 'close' | 'zombie' | 'wake'; readonly pick: number }
  | { readonly does: 'claim' | 'usurp' | 'release'; readonly partition: number }
  | { readonly does: 'store'; readonly pick: number; readonly fault: (typeof faults)[number] }
  | { readonly does: 'time'; readonly ms: number }
)

const faults = ['append.delay', 'append.late', 'append.before', 'append.after'] as const

const turns = fc.nat(15)
const does = fc.constant
const partition = fc.nat(1)
/** Many of them. */
export const leaseSteps = fc.array(
  fc.oneof(
    {
      weight: 8,
      arbitrary: fc.record({
        does: fc.constantFrom('send' as const, 'send', 'apply'),
        says: said,
        key,
        to: key,
        turns,
      }),
    },
    { weight: 3, arbitrary: fc.record({ does: fc.constantFrom('finish' as const, 'fail'), pick, turns }) },
    {
      weight: 4,
      arbitrary: fc.record({
        does: fc.constantFrom('lose' as const, 'lose', 'join', 'close', 'zombie', 'wake'),
        pick,
        turns,
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({ does: fc.constantFrom('claim' as const, 'usurp', 'release'), partition, turns }),
    },
    {
      weight: 3,
      arbitrary: fc.record({ does: does('store' as const), pick, fault: fc.constantFrom(...faults), turns }),
    },
    { weight: 3, arbitrary: fc.record({ does: does('time' as const), ms: fc.constantFrom(1, 60, 600, 2_000), turns }) },
  ) as fc.Arbitrary<LeaseStep>,
  { maxLength: 30 },
)
