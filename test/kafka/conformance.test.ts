import { afterAll, test } from 'vitest'
import { brokerConformance } from 'xmachines/testing'
import { redpandaBroker } from 'xmachines/transports/redpanda'
import { describeUnless } from '../describe-unless.ts'
import { kafkaFixture } from './fixture.ts'
import { type LimitedBroker, startLimitedBroker } from './launcher/index.ts'
import { describeOnKafka, describeOnLimitedBroker, sharedKafka } from './shared.ts'

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

describeOnLimitedBroker("a broker on what speaks Redpanda's versions of the protocol", () => {
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

const unnamed = redpanda === undefined ? 'a real Redpanda: XMACHINES_REDPANDA names its brokers' : undefined
const onRedpanda = (): void =>
  brokerConformance(
    async () => kafkaFixture(redpanda!.split(','), 6_000, redpandaBroker),
    (name, check) => test(name, check, 60_000),
  )

describeUnless(unnamed, 'a broker on Redpanda', onRedpanda, false)
