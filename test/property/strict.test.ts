import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { memoryStore } from 'xmachines/persistence/memory'
import { globals, same } from '../actors/strict/descriptors.ts'
import { arbitraryMachine, arbitraryScript } from '../arbitraries/machines.ts'
import { ignoreFirstStep, play } from './played.ts'

describe('strict mode changes nothing', () => {
  test('any machine and any script: the same states, units, ids, receipts and actions, strictly or not', async () => {
    await fc.assert(
      fc.asyncProperty(arbitraryMachine(), arbitraryScript(), async ({ build }, script) => {
        const actions: unknown[][] = [[], []]
        const [lenient, strict] = await Promise.all(
          [false, true].map((strict, side) =>
            play(
              build(line => void actions[side]!.push(line)),
              script,
              memoryStore(),
              { strict },
            ).catch(ignoreFirstStep),
          ),
        )
        expect(strict).toEqual(lenient)
        expect(actions[1]).toEqual(actions[0])
      }),
    )
  })

  test('the globals are as they were between the steps, whatever the steps throw', async () => {
    const before = globals()
    await fc.assert(
      fc.asyncProperty(arbitraryMachine(), arbitraryScript(), async ({ build }, script) => {
        let between = true
        const machine = build(() => void (between &&= same(globals(), before)))
        await play(machine, script, memoryStore(), { strict: true }).catch(ignoreFirstStep)
        expect(between && same(globals(), before)).toBe(true)
      }),
      { numRuns: Number(process.env.FC_RUNS) || 30 },
    )
  })
})
