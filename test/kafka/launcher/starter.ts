/** A process that starts Kafka, says where, and does nothing more: to be killed. */
import { startKafka } from './index.ts'

const { brokers, dir } = await startKafka()
process.stdout.write(JSON.stringify({ brokers, dir }))
