export { type KafkaCluster, type KafkaOptions, startKafka } from './kafka.ts'
export type { KafkaNode } from './node.ts'
export type { TopicOptions } from './topics.ts'
export { newest, oldest } from './versions.ts'
