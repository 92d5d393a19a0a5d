import { describe, expect, test } from 'vitest'

/**
 * Tests that need what may not be here. Where it is missing they are skipped, and the run's end says so; with `CI=true`
 * that is a failure.
 *
 * @param missing what is missing, and how to get it
 * @param isToBeHad `false`: not on this machine, so that it is skipped in CI, too
 */
export function describeUnless(missing: string | undefined, name: string, tests: () => void, isToBeHad = true): void {
  if (missing === undefined) {
    describe(name, tests)
    return
  }
  const isRequired = isToBeHad && process.env.CI === 'true'
  describe(name, () => {
    test.skipIf(!isRequired)('needs what is missing', () => expect.fail(missing))
  })
  if (!isRequired) console.warn(`SKIPPED: ${missing}`)
}
