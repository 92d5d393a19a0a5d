import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Store } from 'xmachines'
import { fileStore } from 'xmachines/persistence/filesystem'
import { postgresStore } from 'xmachines/persistence/postgres'
import { all } from '../actors/run/collect.ts'
import { KafkaClient } from '../cli/kafka-client.ts'
import { describeOnKafka, sharedKafka, unique } from '../kafka/shared.ts'
import { packed, root } from '../package/packed.ts'
import { filesOf, place } from '../package/program.ts'
import { hasPostgres, PostgresServer } from '../servers/postgres.ts'

const dir = mkdtempSync(join(tmpdir(), 'xmachines-kafka-orders-'))
let cwd = ''
beforeAll(async () => {
  cwd = join((await packed()).folder, 'examples/kafka-orders')
  place(cwd, filesOf(join(root, 'examples/kafka-orders')))
}, 600_000)

afterAll(() => rmSync(dir, { recursive: true, force: true }))

/** Runs the example with 100 orders on the packed package, as it says, and looks at what it left behind. */
async function hundredOrders(databaseUrl: string | undefined, open: () => Store): Promise<string> {
  const { brokers } = await sharedKafka()
  const topic = unique('orders')
  const own = { KAFKA: brokers.join(','), ORDERS_TOPIC: topic, ORDERS_DIR: dir, DATABASE_URL: databaseUrl }
  const env = { ...process.env, ...own }
  const { stdout } = await promisify(execFile)('npm', ['start', '--silent', '100'], { cwd, env })
  expect(stdout.trimEnd().split('\n').at(-1)).toBe('402 records sent, 200 results, 2 dead letters')
  const store = open()
  const runs = await all(store.list({ namespace: topic }))
  expect(runs.map(({ value }) => value)).toEqual(Array.from({ length: 100 }, () => 'completed'))
  await store.close()
  const client = new KafkaClient(brokers)
  const results = await client.read(`${topic}-results`, 200)
  expect(new Set(results.map(({ headers }) => headers['xmachines-id'])).size).toBe(200)
  const letters = await client.read(`${topic}-dead-letters`, 2)
  expect(letters.map(({ headers }) => headers['xmachines-error-code'])).toEqual(['STEP_FAILED', 'STEP_FAILED'])
  return stdout
}

describeOnKafka('the example kafka-orders completes every order, sends each result, and keeps what is refused', () => {
  test('with one worker, on files', async () => {
    await hundredOrders(undefined, () => fileStore(dir, { readOnly: true }))
  }, 120_000)

  test.skipIf(!hasPostgres())(
    'with three workers, on PostgreSQL',
    async () => {
      const server = await PostgresServer.start()
      const connectionString = server.url()
      try {
        const said = await hundredOrders(connectionString, () => postgresStore({ connectionString }))
        const workers = new Set(said.split('\n').flatMap(line => /^(\d+) {2,}/.exec(line)?.[1] ?? []))
        expect(workers.size).toBe(3)
      } finally {
        await server.stop()
      }
    },
    120_000,
  )
})
