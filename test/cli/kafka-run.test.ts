import { describe, expect, it, test } from 'vitest'
import { describeOnKafka, sharedKafka, unique } from '../kafka/shared.ts'
import { ended, jsonLines, start, startIn, xmachines } from './command.ts'
import { KafkaClient } from './kafka-client.ts'
import { counter, counterLog, Workspace } from './workspace.ts'

const space = new Workspace()
const lines = counterLog(200, 10)

const messageOf = ({ key, at, event }: (typeof lines)[number]) => {
  return { key, timestamp: String(1_700_000_000_000 + at), value: JSON.stringify(event) }
}

/** What of an export is the same wherever the records came from. */
async function historyOf(store: string): Promise<readonly string[]> {
  const { stdout } = await xmachines('export', store)
  const units = jsonLines(stdout).filter(({ seq }) => seq !== undefined)
  return units.map(({ run, seq, id, at, events }) => JSON.stringify({ run, seq, id, at, events })).sort()
}

describe('xmachines run --kafka, given wrongly', () => {
  const base = ['run', '--machine', counter, '--store', 'memory:'] as const
  const kafka = ['--kafka', 'localhost:9092'] as const
  const topic = ['--topic', 't', '--group', 'g'] as const
  const table: readonly (readonly [string, readonly string[], RegExp, Readonly<Record<string, string>>])[] = [
    ['nothing', [], /give a log, or --kafka/, {}],
    ['a log and a cluster', ['log.ndjson', ...kafka, ...topic], /Either a log or --kafka/, {}],
    ['no topic', [...kafka, '--group', 'g'], /needs --topic/, {}],
    ['no group', [...kafka, '--topic', 't'], /needs --group/, {}],
    ['notes', [...kafka, ...topic, '--notes', 'n'], /--notes has no meaning here/, {}],
    ['results of a log', ['log.ndjson', '--results', 'r'], /--results has no meaning here/, {}],
    ['results into the topic', [...kafka, ...topic, '--results', 't'], /are three topics/, {}],
    ['one topic for both', [...kafka, ...topic, '--results', 'r', '--dead-letters', 'r'], /are three topics/, {}],
    ['no port', ['--kafka', 'localhost', ...topic], /takes addresses like localhost:9092/, {}],
    ['no such start', [...kafka, ...topic, '--from', 'monday'], /Allowed choices are earliest, latest/, {}],
    ['half of the credentials', [...kafka, ...topic], /go together/, { XMACHINES_KAFKA_PASSWORD: 'hush' }],
    [
      'a mechanism that there is not',
      [...kafka, ...topic],
      /is one of plain, scram-sha-256, scram-sha-512/,
      { XMACHINES_KAFKA_USERNAME: 'a', XMACHINES_KAFKA_PASSWORD: 'hush', XMACHINES_KAFKA_SASL: 'magic' },
    ],
    ['TLS or not', [...kafka, ...topic], /is true or false/, { XMACHINES_KAFKA_TLS: 'maybe' }],
    ['no certificates', [...kafka, ...topic], /cannot be read/, { XMACHINES_KAFKA_CA: 'not-there.pem' }],
    ['a password as an argument', ['--kafka', 'alice:hush@localhost:9092', ...topic], /takes no credentials/, {}],
  ]
  it.concurrent.each(table)('%s', async (_, args, said, environment) => {
    const { code, stdout, stderr } = await ended(startIn(environment, ...base, ...args))
    expect(stderr).toMatch(/^USAGE_INVALID: /)
    expect(stderr).toMatch(said)
    expect(stderr).not.toContain('hush')
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
  })
})

describeOnKafka('xmachines run --kafka', () => {
  test('makes the same history of a topic as of a log, once', async () => {
    const { brokers, createTopic } = await sharedKafka()
    const client = new KafkaClient(brokers)
    // Its records are of a time that a topic does not keep unless it is told to.
    const topic = await createTopic('cli-orders', { partitions: 4, config: { 'retention.ms': '-1' } })
    const [results, deadLetters] = [
      await createTopic('cli-r', { partitions: 2 }),
      await createTopic('cli-d', { partitions: 4 }),
    ]
    const group = unique('cli')
    await client.send(topic, lines.slice(0, 120).map(messageOf))
    await client.send(topic, [{ key: 'k1', value: '{"type":"ADD","by":"much"}', timestamp: '1700000000123' }])
    const store = space.path('store')
    const run = async () => {
      const connection = ['--kafka', brokers.join(','), '--topic', topic, '--group', group]
      const sending = ['--results', results, '--dead-letters', deadLetters]
      const what = ['--machine', counter, '--store', store, '--until-caught-up', '--json']
      const done = await xmachines('run', ...connection, ...sending, ...what)
      return { ...done, summary: jsonLines(done.stdout).at(-1) }
    }
    const outputs = lines.slice(0, 120).filter(({ event }) => 'by' in event).length
    const first = await run()
    expect(first).toMatchObject({
      code: 1,
      summary: { topic, group, events: 120, duplicates: 0, refused: 1, outputs, interrupted: false },
    })
    expect(await client.offsets(topic, group)).toEqual({ end: 121, committed: 121 })
    const [letter] = await client.read(deadLetters, 1)
    expect(letter).toMatchObject({ key: 'k1', value: '{"type":"ADD","by":"much"}' })
    expect(letter!.headers).toMatchObject({ 'xmachines-error-code': 'STEP_FAILED', 'xmachines-topic': topic })
    expect(await client.read(results, outputs)).toHaveLength(outputs)

    await client.send(topic, lines.slice(120).map(messageOf))
    expect(await run()).toMatchObject({ code: 0, summary: { events: 80, duplicates: 0, refused: 0 } })
    expect(await run()).toMatchObject({ code: 0, summary: { events: 0, duplicates: 0 } })

    const other = space.path('other')
    const log = space.log(lines.map(line => ({ ...line, at: 1_700_000_000_000 + line.at })))
    await xmachines('run', log, '--machine', counter, '--store', other, '--topic', topic)
    expect(await historyOf(store)).toEqual(await historyOf(other))
    expect(await xmachines('verify', store, '--machine', counter)).toMatchObject({ code: 0 })
  })

  test('goes on until Ctrl-C, and then has committed what it applied', async () => {
    const { brokers, createTopic } = await sharedKafka()
    const client = new KafkaClient(brokers)
    const topic = await createTopic('cli-live', { partitions: 2 })
    const results = await createTopic('cli-live-r', { partitions: 1 })
    const group = unique('cli')
    const args = ['--kafka', brokers.join(','), '--topic', topic, '--group', group, '--results', results]
    const what = ['--machine', counter, '--store', space.path('store'), '--time', 'arrival', '--json']
    const child = start('run', ...args, ...what)
    const over = ended(child)
    const add = (by: number) => ({ key: `k${by % 5}`, value: JSON.stringify({ type: 'ADD', by }) })
    // Comes while it runs: its outputs show that it was applied.
    await client.send(
      topic,
      Array.from({ length: 20 }, (_, by) => add(by)),
    )
    expect(await client.read(results, 20)).toHaveLength(20)
    // Of a time that the topic does not keep: it is read before the topic is looked through.
    await client.send(topic, [{ ...add(20), timestamp: '1700000000000' }])
    expect(await client.read(results, 21)).toHaveLength(21)
    child.kill('SIGINT')
    const { code, stdout, stderr } = await over
    expect(code).toBe(130)
    expect(jsonLines(stdout)).toMatchObject([{ events: 21, duplicates: 0, outputs: 21, interrupted: true }])
    expect(await client.offsets(topic, group)).toEqual({ end: 21, committed: 21 })
    expect(stderr).toContain('RECORDS_EXPIRING: ')
  })

  test('without dead letters, ends at a record that is refused, and says which', async () => {
    const { brokers, createTopic } = await sharedKafka()
    const client = new KafkaClient(brokers)
    const topic = await createTopic('cli-strict', { partitions: 1 })
    const group = unique('cli')
    await client.send(topic, [
      { key: 'a', value: '{"type":"ADD","by":1}' },
      { key: 'a', value: 'no JSON' },
    ])
    const args = ['--kafka', brokers.join(','), '--topic', topic, '--group', group]
    const { code, stderr } = await xmachines('run', ...args, '--machine', counter, '--store', space.path('store'))
    expect(code).toBe(1)
    expect(stderr).toContain(`RECORD_UNDECODABLE: ${topic}/0/1: `)
    expect(stderr).toContain('--dead-letters')
    expect(await client.offsets(topic, group)).toEqual({ end: 2, committed: 1 })
  })

  test('a topic that is not there is named before anything is read', async () => {
    const { brokers, createTopic } = await sharedKafka()
    const topic = await createTopic('cli-there', { partitions: 1 })
    const args = [
      '--kafka',
      brokers.join(','),
      '--topic',
      topic,
      '--group',
      unique('cli'),
      '--dead-letters',
      'not-there',
    ]
    const { code, stderr } = await xmachines('run', ...args, '--machine', counter, '--store', 'memory:')
    expect(stderr).toMatch(/TOPIC_UNKNOWN: .*not-there.*kafka-topics\.sh/)
    expect(code).toBe(2)
  })

  test('takes credentials from the environment, and tells nobody', async () => {
    const kafka = await sharedKafka()
    const topic = await kafka.createTopic('safe', { partitions: 1 })
    const password = kafka.users.alice!
    const client = new KafkaClient(kafka.brokers)
    await client.send(topic, [{ key: 'a', value: '{"type":"ADD","by":1}' }])
    const run = (given: string) => {
      const environment = { XMACHINES_KAFKA_USERNAME: 'alice', XMACHINES_KAFKA_PASSWORD: given }
      const args = ['--kafka', kafka.listener('SASL_PLAINTEXT').join(','), '--topic', topic, '--group', unique('cli')]
      const what = ['--machine', counter, '--store', 'memory:', '--until-caught-up', '--json', '--debug']
      return ended(startIn(environment, 'run', ...args, ...what))
    }
    const taken = await run(password)
    expect(taken.stderr).not.toContain(password)
    expect(jsonLines(taken.stdout)).toMatchObject([{ events: 1 }])
    const refused = await run('battery-staple')
    expect(refused.stderr).toMatch(/^BROKER_REFUSED: /)
    expect(refused.stderr).not.toContain('battery-staple')
    expect(refused.code).toBe(2)
  })
})
