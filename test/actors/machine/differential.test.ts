import fc from 'fast-check'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { createMachine } from 'xstate'
import { arbitraryMachine, arbitraryScript } from '../../arbitraries/machines.ts'
import { compare } from './compare.ts'

/**
 * `Program.decide` against real actors under a simulated clock, step by step: everything that can be seen of either is equal.
 */

beforeEach(() => {
  // The development build says aloud what the generated machines do on purpose.
  vi.spyOn(console, 'warn').mockImplementation(() => {})
})
afterEach(() => {
  vi.restoreAllMocks()
})

const runs = Number(process.env.FC_RUNS ?? 60)
const longest = 30_000 + runs * 1000

test(
  'any machine and any script: as a real actor, in every manner',
  () => {
    fc.assert(
      fc.property(arbitraryMachine(), arbitraryScript(), fc.nat(9), ({ build }, script, seed) => {
        compare(build, script, { seed })
      }),
      { numRuns: runs },
    )
  },
  longest,
)

test(
  'machines whose selections are remembered: the same',
  () => {
    const plain = arbitraryMachine({ guards: false, always: false, timers: false, children: false, throws: false })
    fc.assert(
      fc.property(plain, arbitraryScript({ timers: false }), ({ build }, script) => {
        compare(build, script)
      }),
      { numRuns: runs },
    )
  },
  longest,
)

const { XSTATE_ENTRY } = process.env
if (XSTATE_ENTRY !== undefined) {
  test('the suite runs on the copy of XState that XSTATE_ENTRY names', async () => {
    const named = (await import(XSTATE_ENTRY)) as { readonly createMachine: unknown }
    expect(createMachine).toBe(named.createMachine)
  })
}
