import { describe, expect, it, test } from 'vitest'
import { kafkaBroker } from 'xmachines/transports/kafka'
import { openLetters } from '../../src/cli/kafka/letters.ts'
import { Redrive } from '../../src/cli/kafka/redrive.ts'
import { trim } from '../kafka/fixture.ts'
import { describeOnKafka, sharedKafka, unique } from '../kafka/shared.ts'
import { jsonLines, xmachines } from './command.ts'
import { KafkaClient, type SeenRecord } from './kafka-client.ts'
import { counter, Workspace } from './workspace.ts'

const space = new Workspace()
const keys = ['a', 'b', 'c', 'd']
const mended = 'test/cli/machines/counter-mended.ts'

/** A topic, its dead letters, and what is done with them. */
async function world(config: Readonly<Record<string, string>> = {}) {
  const { brokers, createTopic } = await sharedKafka()
  const client = new KafkaClient(brokers)
  const topic = await createTopic('dlq-source', { partitions: 3 })
  // Of another number: where a record goes back to is told by its letter.
  const letters = await createTopic('dlq-letters', { partitions: 2, config })
  const [group, store] = [unique('dlq'), space.path('store')]
  const kafka = ['--kafka', brokers.join(',')]
  return {
    brokers,
    client,
    topic,
    letters,
    createTopic,
    /** Sends what the counter refuses: `count` of each key, by turns with what it takes. */
    async refusals(from: number, count: number): Promise<void> {
      const numbers = Array.from({ length: count }, (_, index) => from + index)
      const messages = numbers.flatMap(number =>
        keys.flatMap(key => [
          { key, value: `{"type":"ADD","by":${number}}` },
          { key, value: `{"type":"ADD","by":"${number}"}`, headers: { trace: [`${key}${number}`, 'again'] } },
        ]),
      )
      await client.send(topic, messages)
    },
    async run(machine = counter) {
      const args = [...kafka, '--topic', topic, '--group', group, '--dead-letters', letters]
      const done = await xmachines(
        'run',
        ...args,
        '--machine',
        machine,
        '--store',
        store,
        '--until-caught-up',
        '--json',
      )
      return { ...done, summary: jsonLines(done.stdout).at(-1) }
    },
    async dlq(command: string, ...args: readonly string[]) {
      const done = await xmachines('dlq', command, ...args, ...kafka, '--topic', letters, '--json')
      return { ...done, lines: jsonLines(done.stdout), summary: jsonLines(done.stdout).at(-1) }
    },
  }
}

/** What was sent again, by key: the numbers in the order in which they are in the topic. */
function redriven(records: readonly SeenRecord[]): Readonly<Record<string, readonly string[]>> {
  const found: Record<string, string[]> = {}
  for (const { key, value, headers } of records)
    if (headers['xmachines-redriven'] !== undefined) (found[key!] ??= []).push(JSON.parse(value!).by as string)
  return found
}

const texts = (from: number, count: number) => Array.from({ length: count }, (_, index) => String(from + index))
const forEachKey = <T>(value: T) => Object.fromEntries(keys.map(key => [key, value]))

describe('xmachines dlq, given wrongly', () => {
  const kafka = ['--kafka', 'localhost:9092', '--topic', 't'] as const
  it.concurrent.each<[string, readonly string[], RegExp]>([
    ['no topic', ['list', '--kafka', 'localhost:9092'], /--topic <topic>' not specified/],
    ['no address', ['list', '--kafka', 'localhost', '--topic', 't'], /takes addresses like/],
    ['no place', ['show', 'first', ...kafka], /A letter is PARTITION\/OFFSET/],
    ['into itself', ['replay', ...kafka, '--to', 't'], /they would never end/],
  ])('%s', async (_, args, said) => {
    const { code, stderr } = await xmachines('dlq', ...args)
    expect(stderr).toMatch(/^USAGE_INVALID: /)
    expect(stderr).toMatch(said)
    expect(code).toBe(2)
  })
})

describeOnKafka('xmachines dlq', () => {
  test('what was refused goes back to its place, once, in its order, and is then taken', async () => {
    const { client, topic, letters, refusals, run, dlq } = await world()
    await refusals(0, 5)
    expect((await run()).summary).toMatchObject({ events: 20, refused: 20 })
    const before = await client.read(topic, 40)

    const listed = await dlq('list')
    expect(listed.code).toBe(1)
    expect(listed.summary).toEqual({ counts: { STEP_FAILED: { waiting: 20, replayed: 0 } }, others: 0 })
    const [letter] = listed.lines
    expect(letter).toMatchObject({ state: 'waiting', error: { code: 'STEP_FAILED' }, source: { topic } })
    const shown = await dlq('show', `${letter!.partition}/${letter!.offset}`)
    const source = letter!.source as { partition: number; offset: number }
    const was = before.find(({ partition, offset }) => partition === source.partition && offset === source.offset)!
    expect(shown).toMatchObject({ code: 0, lines: [{ id: letter!.id, key: was.key, value: was.value }] })

    expect((await dlq('replay', '--dry-run')).summary).toMatchObject({ sent: 20, dryRun: true })
    expect((await dlq('list')).summary).toMatchObject({ counts: { STEP_FAILED: { waiting: 20 } } })
    expect(await dlq('replay')).toMatchObject({ code: 0, summary: { sent: 20 } })
    expect((await dlq('replay')).summary).toMatchObject({ sent: 0 })
    expect(await dlq('list')).toMatchObject({
      code: 0,
      summary: { counts: { STEP_FAILED: { waiting: 0, replayed: 20 } } },
    })

    const after = await client.read(topic, 60)
    expect(redriven(after)).toEqual(forEachKey(texts(0, 5)))
    for (const { key, value, partition, headers } of after.filter(({ headers }) => headers['xmachines-redriven'])) {
      const original = before.find(record => record.key === key && record.value === value)!
      const { 'xmachines-redriven': id, ...own } = headers
      expect(own).toEqual(original.headers)
      expect(partition).toBe(original.partition)
      expect(id!.endsWith(`/${topic}/${original.partition}/${original.offset}`)).toBe(true)
    }
    expect((await run(mended)).summary).toMatchObject({ events: 20, refused: 0, duplicates: 0 })

    // What is refused later is sent later, and nothing of before.
    await refusals(5, 2)
    expect((await run()).summary).toMatchObject({ events: 8, refused: 8 })
    expect((await dlq('replay')).summary).toMatchObject({ sent: 8 })
    expect(redriven(await client.read(topic, 84))).toEqual(forEachKey(texts(0, 7)))
    expect(await client.read(letters, 28)).toHaveLength(28)
  })

  test('a letter that a worker wrote twice goes back once, now and later', async () => {
    const { client, topic, letters, refusals, run, dlq } = await world()
    await refusals(0, 2)
    await run()
    const copies = (await client.read(letters, 8)).map(({ key, value, headers, partition }) => {
      return { key, value, headers, partition }
    })
    await client.send(letters, copies.slice(0, 4))
    expect((await dlq('replay')).summary).toMatchObject({ sent: 8 })
    await client.send(letters, copies)
    await client.send(letters, [{ key: 'a', value: 'somebody else' }])
    expect((await dlq('replay')).summary).toMatchObject({ sent: 0, others: 1 })
    expect(redriven(await client.read(topic, 24))).toEqual(forEachKey(texts(0, 2)))
  })

  test('some first, some never, and to somewhere else', async () => {
    const { client, letters, topic, createTopic, refusals, run, dlq } = await world()
    await refusals(0, 3)
    await client.send(topic, [{ key: 'a', value: 'no JSON', partition: 0 }])
    await run()
    const other = await createTopic('dlq-other', { partitions: 3 })
    const narrow = await createTopic('dlq-narrow', { partitions: 1 })
    const refused = await dlq('replay', '--to', narrow)
    expect(refused.stderr).toMatch(/PARTITION_INVALID: .*has not\. Nothing more was sent/)
    const args = ['--to', other, '--except', 'RECORD_UNDECODABLE']
    expect((await dlq('replay', ...args, '--limit', '5')).summary).toMatchObject({ sent: 5 })
    expect((await dlq('list', '--waiting', '--reason', 'STEP_FAILED')).summary).toMatchObject({
      counts: { STEP_FAILED: { waiting: 7, replayed: 0 } },
    })
    expect((await dlq('replay', ...args)).summary).toMatchObject({ sent: 7 })
    expect(redriven(await client.read(other, 12))).toEqual(forEachKey(texts(0, 3)))
    expect((await dlq('list', '--waiting')).summary).toMatchObject({ counts: {} })
    expect(await client.read(letters, 13)).toHaveLength(13)
  })

  test('what is too large for the letters is fetched from where it came from, as long as it is there', async () => {
    const { brokers, client, topic, createTopic, run, dlq } = await world({ 'max.message.bytes': '4000' })
    const padding = 'x'.repeat(5_000)
    const value = (by: number) => JSON.stringify({ type: 'ADD', by: String(by), padding })
    const broker = kafkaBroker({ brokers })
    const headers = [
      ['trace', 't'],
      ['trace', 'u'],
      ['none', null],
    ] as const
    await broker.producer({ topic }).send([
      { key: 'a', value: JSON.stringify({ type: 'ADD', by: '0' }), partition: 0 },
      { key: 'a', value: value(1), headers, partition: 0 },
      { key: 'b', value: value(2), partition: 1 },
    ])
    await broker.close()
    await run()
    const listed = await dlq('list')
    expect(listed.summary).toMatchObject({ counts: { STEP_FAILED: { waiting: 3 } }, others: 0 })
    const pointers = listed.lines.filter(({ leftOut }) => (leftOut as string[] | undefined)?.length)
    expect(pointers).toMatchObject([
      { key: 'a', leftOut: ['value'] },
      { key: 'b', leftOut: ['value'] },
    ])
    const shown = await dlq('show', `${pointers[0]!.partition}/${pointers[0]!.offset}`)
    expect(shown.lines).toMatchObject([{ value: null, headers, leftOut: ['value'], source: { topic, offset: 1 } }])

    const other = await createTopic('dlq-whole', { partitions: 3 })
    expect(await dlq('replay', '--to', other, '--limit', '2')).toMatchObject({ code: 0, summary: { sent: 2 } })
    const sent = await client.read(other, 2)
    expect(redriven(sent)).toEqual({ a: ['0', '1'] })
    expect(sent[1]).toMatchObject({ value: value(1), partition: 0, headers: { trace: 't,u', none: '' } })

    await trim(brokers, topic, 1, 1)
    const gone = await dlq('replay', '--to', other)
    expect(gone).toMatchObject({ code: 1, stderr: expect.stringMatching(/^RECORD_GONE: .*\/1\/0 has not its value/m) })
    expect((await dlq('replay', '--to', other, '--except', 'RECORD_GONE')).summary).toMatchObject({
      sent: 0,
      passed: 1,
    })
  })

  test('of two replays at a time one is shut out, and what it was about to send is not sent', async () => {
    const { client, brokers, letters, topic, refusals, run, dlq } = await world()
    await refusals(0, 1)
    await run()
    const connection = { brokers }
    const options = { topic: letters, group: `${letters}.replay`, to: undefined, originalTime: false }
    const first = await Redrive.open(connection, options)
    const { reader, ranges } = await openLetters(connection, letters)
    const range = (await ranges()).get(0)!
    expect((await dlq('replay')).summary).toMatchObject({ sent: 4 })
    await expect(first.send({ letters: [], partition: 0, next: range.end })).rejects.toMatchObject({
      code: 'REPLAY_SUPERSEDED',
      retryable: true,
    })
    await Promise.all([first.close(), reader.close()])
    expect(redriven(await client.read(topic, 12))).toEqual(forEachKey(texts(0, 1)))
  })
})
