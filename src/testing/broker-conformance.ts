import type { BrokerFixture } from './broker/fixture.ts'
import { leaving } from './broker/leaving.ts'
import { reading } from './broker/reading.ts'
import { sending } from './broker/sending.ts'
import { sharing } from './broker/sharing.ts'
import { Stage } from './broker/stage.ts'
import { starting } from './broker/starting.ts'
import { storm } from './broker/storm.ts'

export type { BrokerCapabilities, BrokerFixture } from './broker/fixture.ts'

/**
 * Checks that a broker keeps the contract: what a supervisor relies on, whoever made the broker.
 *
 * @param factory makes what is checked, once a check; it may share a broker that runs elsewhere
 * @param test registers one check with the caller's test runner; a failed check rejects with an Error
 *
 * @example
 * brokerConformance(async () => ({ broker, createTopic, close }), (name, check) => it(name, check))
 */
export function brokerConformance(
  factory: () => Promise<BrokerFixture>,
  test: (name: string, check: () => Promise<void>) => void,
): void {
  for (const [name, body] of [...sending, ...starting, ...sharing, ...reading, ...leaving, ...storm]) {
    test(name, async () => {
      const stage = new Stage(await factory())
      try {
        await body(stage)
        stage.verify()
      } catch (error) {
        // What failed first is what to read.
        await stage.close().catch(() => {})
        throw error
      }
      await stage.close()
    })
  }
}
