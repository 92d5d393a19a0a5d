import { once } from 'node:events'
import { createServer } from 'node:net'
import { createInterface } from 'node:readline'
import type { TestProject } from 'vitest/node'
import { type KafkaCluster, type KafkaOptions, shortLived, startKafka } from './kafka.ts'
import type { SecureListener, Users } from './security.ts'
import { newest } from './versions.ts'

/** What {@link file://../shared.ts} is answered. */
export type Loan =
  | {
      readonly brokers: readonly string[]
      readonly secure: Readonly<Partial<Record<SecureListener, readonly string[]>>>
      readonly users: Users
      readonly ca?: string | undefined
    }
  | { readonly error: string }

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

/**
 * For a whole test run: one Kafka for each version that a test file asks for, started for the first that does. Test files run
 * in processes of their own, so they ask through a socket.
 */
export default async function lend(project: TestProject): Promise<() => Promise<void>> {
  const clusters = new Map<string, Promise<KafkaCluster>>()
  const server = createServer(socket => {
    socket.on('error', () => {})
    createInterface({ input: socket }).once('line', async version => {
      let cluster = clusters.get(version)
      if (cluster === undefined) {
        const options = version === newest ? secured : {}
        clusters.set(version, (cluster = startKafka({ version, javaOptions: shortLived, ...options })))
      }
      const loan = await cluster.then(
        ({ brokers, listeners, listener, users, ca }): Loan => ({
          brokers,
          secure: Object.fromEntries(listeners.map(name => [name, listener(name)])),
          users,
          ca,
        }),
        (error: Error): Loan => ({ error: error.message }),
      )
      socket.end(`${JSON.stringify(loan)}\n`)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  project.provide('kafkaPort', (server.address() as { port: number }).port)
  return async () => {
    server.close()
    const started = await Promise.allSettled(clusters.values())
    await Promise.all(started.map(result => (result.status === 'fulfilled' ? result.value.stop() : undefined)))
  }
}
