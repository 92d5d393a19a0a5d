import { expect, test } from 'vitest'
import { PartitionQueue, type QueuedRecord } from '../../../src/transports/kafka/partition-queue.ts'

const identity = { producerId: 1, producerEpoch: 0 }
const record = (size: number, smaller?: QueuedRecord): QueuedRecord => ({
  key: null,
  value: new Uint8Array(size),
  timestamp: 0,
  headers: [],
  ...(smaller && { smaller }),
})

/** Sends all that waits to a topic that takes batches of so many bytes; how many records each taken batch had, and the bytes that wait. */
function drain(queue: PartitionQueue, limit: number): readonly number[] {
  const taken: number[] = []
  let offset = 0
  for (let batch = queue.next(identity); batch !== undefined; batch = queue.next(identity)) {
    if (batch.bytes.length > limit) queue.tooLarge()
    else {
      const { count } = batch as typeof batch & { readonly count: number }
      taken.push(count)
      queue.acknowledged(offset)
      offset += count
    }
  }
  return taken
}

test('what is too large is replaced in its place, or refused alone; batches grow again behind it', async () => {
  let waiting = 0
  const queue = new PartitionQueue({ topic: 't', partition: 0 }, 100_000, bytes => (waiting += bytes))
  const until = Number.POSITIVE_INFINITY
  const small = Array.from({ length: 20 }, () => queue.push(record(10), until))
  const replaced = queue.push(record(5_000, record(4_000, record(20))), until)
  const refused = expect(queue.push(record(5_000), until)).rejects.toMatchObject({ code: 'RECORD_TOO_LARGE' })
  const after = Array.from({ length: 40 }, () => queue.push(record(10), until))
  const taken = drain(queue, 1_500)
  expect(await Promise.all(small)).toEqual(Array.from({ length: 20 }, (_, at) => at))
  expect(await replaced).toBe(20)
  await refused
  expect(await Promise.all(after)).toEqual(Array.from({ length: 40 }, (_, at) => 21 + at))
  expect(taken.at(-1)).toBeGreaterThan(1)
  expect(waiting).toBe(0)
})
