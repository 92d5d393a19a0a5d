import { randomUUID } from 'node:crypto'
import { inject } from 'vitest'
import { describeUnless } from '../describe-unless.ts'
import { borrow } from '../servers/desk.ts'
import { missingKafka } from './launcher/availability.ts'
import type { Loan } from './launcher/lending.ts'
import { canBuildLimited, missingLimited } from './launcher/limited.ts'
import type { SecureListener, Users } from './launcher/security.ts'
import { createTopic, type TopicOptions } from './launcher/topics.ts'
import { fullVersion } from './launcher/versions.ts'

/** A Kafka that all test files of a run share. It cannot be stopped: what hurts a broker is for `startKafka`. */
export interface SharedKafka {
  readonly brokers: readonly string[]
  readonly version: string
  /** Who may come through the listeners of SASL. */
  readonly users: Users
  /** The certificate that clients of `SSL` and `SASL_SSL` have to trust. */
  readonly ca: string | undefined
  /** The addresses of another listener than `PLAINTEXT`: the newest version has all. */
  listener(name: SecureListener): readonly string[]
  /** Makes a topic whose name nobody else has. @returns the name, which begins with `subject` */
  createTopic(subject: string, options: TopicOptions): Promise<string>
}

/** One node, started for the first test file that asks, ended with the test run. @param version as `startKafka` takes it */
export async function sharedKafka(version?: string): Promise<SharedKafka> {
  const full = fullVersion(version)
  const { brokers, secure, users, ca } = await borrow<Loan>(inject('kafkaPort'), full)
  return {
    brokers,
    version: full,
    users,
    ca,
    listener(name) {
      const addresses = secure[name]
      if (addresses === undefined) throw new Error(`The shared Kafka ${full} has no ${name}.`)
      return addresses
    },
    async createTopic(subject, options) {
      const name = unique(subject)
      await createTopic(brokers, name, options)
      return name
    },
  }
}

/** A name that nobody else has: for topics and groups on a shared broker. */
export function unique(subject: string): string {
  return `${subject}-${randomUUID().slice(0, 8)}`
}

/** Tests that need Kafka. Where it cannot run they are skipped, and say so; with `CI=true` that is a failure. */
export function describeOnKafka(name: string, tests: () => void, version?: string): void {
  describeUnless(missingKafka(version), name, tests)
}

/** Tests that need the limited broker. With `CI=true` skipping them is a failure where there is a Go that could build it. */
export function describeOnLimitedBroker(name: string, tests: () => void): void {
  const missing = missingLimited()
  describeUnless(missing, name, tests, missing !== undefined && canBuildLimited())
}
