import type { TestProject } from 'vitest/node'
import { openDesk } from '../../servers/desk.ts'
import { type KafkaCluster, type KafkaOptions, shortLived, startKafka } from './kafka.ts'
import type { SecureListener, Users } from './security.ts'
import { newest } from './versions.ts'

/** What {@link file://../shared.ts} is answered. */
export interface Loan {
  readonly brokers: readonly string[]
  readonly secure: Readonly<Partial<Record<SecureListener, readonly string[]>>>
  readonly users: Users
  readonly ca?: string | undefined
}

/** Those who come by SASL or TLS go to the newest one too, which costs less than brokers of their own. */
const secured: Pick<KafkaOptions, 'listeners' | 'users'> = {
  listeners: ['SASL_PLAINTEXT', 'SSL', 'SASL_SSL'],
  users: { alice: 'correct-horse-battery', bob: 'staple-of-another' },
}

declare module 'vitest' {
  export interface ProvidedContext {
    /** Where the test run lends its Kafka. */
    kafkaPort: number
  }
}

/** For a whole test run: one Kafka for each version that a test file asks for. */
export default async function lend(project: TestProject): Promise<() => Promise<void>> {
  const desk = await openDesk<KafkaCluster, Loan>(
    version => startKafka({ version, javaOptions: shortLived, ...(version === newest && secured) }),
    ({ brokers, listeners, listener, users, ca }) => ({
      brokers,
      secure: Object.fromEntries(listeners.map(name => [name, listener(name)])),
      users,
      ca,
    }),
  )
  project.provide('kafkaPort', desk.port)
  return () => desk.close(cluster => cluster.stop())
}
