import { describe, expect, test } from 'vitest'
import { program } from './valkey.ts'

/** Tests that need a server. Without one they are skipped, and say so; with `CI=true` that is a failure. */
export function describeOnValkey(name: string, tests: () => void): void {
  const path = program()
  if (typeof path === 'string') {
    describe(name, tests)
    return
  }
  const isRequired = process.env.CI === 'true'
  describe(name, () => {
    test.skipIf(!isRequired)('needs a server', () => expect.fail(path.missing))
  })
  if (!isRequired) console.warn(`SKIPPED: ${name}: ${path.missing}`)
}
