import { describeUnless } from '../describe-unless.ts'
import { program } from './valkey.ts'

/** Tests that need a server of Valkey or Redis. */
export function describeOnValkey(name: string, tests: () => void): void {
  const path = program()
  describeUnless(typeof path === 'string' ? undefined : path.missing, name, tests)
}
