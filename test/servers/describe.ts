import { describe } from 'vitest'
import { describeUnless } from '../describe-unless.ts'
import { missingPostgres, postgresServers } from './postgres.ts'
import { missingValkey, valkeyServers } from './valkey.ts'

/** Tests that need a server of Valkey or Redis. */
export function describeOnValkey(name: string, tests: () => void): void {
  describeUnless(missingValkey(), name, tests)
}

/** Tests on each Valkey or Redis that holds the store to its contract. @param tests is told which program it is */
export function describeOnEachValkey(name: string, tests: (program: string) => void): void {
  const missing = missingValkey()
  if (missing !== undefined) describeUnless(missing, name, () => {})
  for (const { name: server, program } of valkeyServers()) describe(`${name} on ${server}`, () => tests(program))
}

/** Tests on each PostgreSQL that holds the store to its contract. @param tests is told where its programs are */
export function describeOnEachPostgres(name: string, tests: (bin: string) => void): void {
  const missing = missingPostgres()
  if (missing !== undefined) describeUnless(missing, name, () => {})
  for (const { name: server, bin } of postgresServers()) describe(`${name} on ${server}`, () => tests(bin))
}

/** Tests of what is the same on every kind of server, each with what they need of its kind. @param name with the server's as `$server` */
export function describeOnServers<T>(
  name: string,
  kinds: { readonly postgres: T; readonly valkey: T },
  tests: (kind: T) => void,
): void {
  describeUnless(missingPostgres(), name.replace('$server', 'PostgreSQL'), () => tests(kinds.postgres))
  describeUnless(missingValkey(), name.replace('$server', 'Valkey'), () => tests(kinds.valkey))
}
