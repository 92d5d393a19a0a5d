import { expect, test } from 'vitest'
import { KafkaProducer } from '../../../src/transports/kafka/producer.ts'
import type { PlacedRecord, Sender } from '../../../src/transports/kafka/sender.ts'

/** A producer, and what it hands on. */
function handing(): { readonly producer: KafkaProducer; readonly handed: PlacedRecord[] } {
  const handed: PlacedRecord[] = []
  const sender = {
    partitionsOf: async () => 1,
    room: async () => {},
    async send(_: string, records: readonly PlacedRecord[]) {
      handed.push(...records)
      return records.map(({ partition }) => ({ partition, offset: 0 }))
    },
  }
  return {
    producer: new KafkaProducer(
      't',
      async () => sender as unknown as Sender,
      () => {},
    ),
    handed,
  }
}

test("the sender's bytes stay the sender's, also in a Buffer", async () => {
  const { producer, handed } = handing()
  const [key, value, header] = ['key', 'value', 'header'].map(text => Buffer.from(text)) as [Buffer, Buffer, Buffer]
  const sent = producer.send([{ key, value, headers: { header } }])
  for (const bytes of [key, value, header]) bytes.fill(0)
  await sent
  const [record] = handed
  expect([record!.key, record!.value, record!.headers[0]![1]].map(bytes => new TextDecoder().decode(bytes!))).toEqual([
    'key',
    'value',
    'header',
  ])
})

test.each([[{ a: 1 }], [5], [undefined], [[1, 2]]])(
  'a value that is %o is refused: no bytes of it would be sent',
  async given => {
    const { producer, handed } = handing()
    const value = given as never
    for (const record of [{ value }, { value: 'v', headers: { h: value } }])
      await expect(producer.send([{ value: 'v' }, record])).rejects.toThrow(/text or bytes.*JSON\.stringify/)
    expect(handed).toEqual([])
  },
)

test('a time that is none is refused before anything is sent', async () => {
  const { producer, handed } = handing()
  for (const timestamp of [Number.NaN, Number.POSITIVE_INFINITY, 0.5])
    await expect(producer.send([{ value: 'v' }, { value: 'v', timestamp }])).rejects.toThrow(TypeError)
  expect(handed).toEqual([])
})
