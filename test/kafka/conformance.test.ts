import { afterAll, describe, expect, test } from 'vitest'
import { brokerConformance } from 'xmachines/testing'
import { redpandaBroker } from 'xmachines/transports/redpanda'
import { kafkaFixture } from './fixture.ts'
import { type LimitedBroker, startLimitedBroker } from './launcher/index.ts'
import { missingLimited } from './launcher/limited.ts'
import { describeOnKafka, sharedKafka } from './shared.ts'

for (const version of ['4', '3.9']) {
  describeOnKafka(
    `a broker on Kafka ${version}`,
    () => {
      brokerConformance(
        async () => kafkaFixture((await sharedKafka(version)).brokers, 1_000),
        (name, check) => test(name, check, 60_000),
      )
    },
    version,
  )
}

describe("a broker on what speaks Redpanda's versions of the protocol", () => {
  const missing = missingLimited()
  if (missing !== undefined) {
    test.skipIf(process.env.CI !== 'true')('needs the limited broker', () => expect.fail(missing))
    return
  }
  let limited: Promise<LimitedBroker> | undefined
  brokerConformance(
    async () => {
      limited ??= startLimitedBroker({})
      return kafkaFixture((await limited).brokers, 6_000, redpandaBroker)
    },
    (name, check) => test(name, check, 60_000),
  )
  afterAll(async () => (await limited)?.stop())
})

/** A real one, where there is one: its address. */
const redpanda = process.env.XMACHINES_REDPANDA

describe.skipIf(redpanda === undefined)('a broker on Redpanda', () => {
  brokerConformance(
    async () => kafkaFixture(redpanda!.split(','), 6_000, redpandaBroker),
    (name, check) => test(name, check, 60_000),
  )
})
