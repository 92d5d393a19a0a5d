/** api.md §5: the published suites, under node:test. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileStore } from 'xmachines/persistence/filesystem'
import { memoryStore } from 'xmachines/persistence/memory'
import { brokerConformance, storeConformance } from 'xmachines/testing'
import { memoryBroker } from 'xmachines/transports/memory'

storeConformance(
  async () => ({ open: async options => memoryStore(options), cleanup: async () => {}, durable: false }),
  (name, check) => void test(`memory: ${name}`, check),
)

// On a real disk every check costs a few flushes; this shows that the suite runs, the tests of the store run all of it.
const subjects = ['creation', 'append']
storeConformance(
  async () => {
    const folder = await mkdtemp(join(tmpdir(), 'xmachines-conformance-'))
    return {
      open: async options => fileStore(folder, options),
      cleanup: () => rm(folder, { recursive: true, force: true }),
      durable: true,
    }
  },
  (name, check) => {
    if (subjects.some(subject => name.startsWith(`${subject}:`))) test(`files: ${name}`, check)
  },
)

brokerConformance(
  async () => {
    const broker = memoryBroker()
    return {
      broker,
      createTopic: async (topic, partitions) => broker.createTopic(topic, partitions),
      close: () => broker.close(),
    }
  },
  (name, check) => void test(`memory broker: ${name}`, check),
)
