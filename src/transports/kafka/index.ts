export { type KafkaBroker, kafkaBroker } from './broker.ts'
export type { KafkaLogger } from './log.ts'
export type {
  KafkaBrokerOptions,
  KafkaConnection,
  KafkaInstance,
  KafkaLike,
  KafkaSasl,
  KafkaTuning,
} from './options.ts'
