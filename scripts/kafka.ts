/** `npm run kafka`: a real Kafka on this machine, for as long as the command runs. With `--fetch`, what the tests need of it. */
import { parseArgs } from 'node:util'
import { fetchArtifacts } from '../test/kafka/launcher/artifacts.ts'
import { archiveClasses } from '../test/kafka/launcher/class-archive.ts'
import {
  type KafkaCluster,
  type LimitedBroker,
  newest,
  oldest,
  type SecureListener,
  startKafka,
  startLimitedBroker,
  type TopicOptions,
} from '../test/kafka/launcher/index.ts'
import { missingJava } from '../test/kafka/launcher/java.ts'
import { buildLimited, canBuildLimited, missingLimited } from '../test/kafka/launcher/limited.ts'
import { fullVersion } from '../test/kafka/launcher/versions.ts'
import { PostgresServer, postgresBin } from '../test/servers/postgres.ts'

const help = `npm run kafka -- [OPTIONS]

Starts Apache Kafka on free ports of this machine, in a temporary folder, until Ctrl-C. Nothing is kept.
Needs Java 17 or later, and Maven for the first time: \`node scripts/servers.mjs\` installs them where it may.

  --nodes 1|3              how many brokers (1)
  --version VERSION        in full or in short: ${newest} (the default), ${oldest}, 4, 3.9
  --topic NAME:PARTITIONS  makes a topic; may come again
  --listener LISTENER      SASL_PLAINTEXT, SSL or SASL_SSL beside PLAINTEXT; may come again
  --property NAME=VALUE    of the brokers; may come again
  --postgres               a PostgreSQL beside it, for workers that share a store
  --limited                a broker in memory that speaks the protocol as Redpanda does; needs Go
  --fetch                  starts nothing: fetches what the tests need, and says what cannot be had
  --help
`

const text = { type: 'string' } as const
const list = { type: 'string' as const, multiple: true as const, default: [] as string[] }
const flag = { type: 'boolean', default: false } as const

try {
  const options = { nodes: text, version: text, topic: list, listener: list, property: list }
  const { values } = parseArgs({ options: { ...options, postgres: flag, limited: flag, fetch: flag, help: flag } })
  if (values.help) process.stdout.write(help)
  else if (values.fetch) await fetchAll()
  else await serve(values)
} catch (error) {
  console.error((error as Error).message)
  if (error instanceof TypeError) console.error(`\n${help}`)
  process.exitCode = 1
}

/** Set-up: what is missing does not end it, unless CI says so. */
async function fetchAll(): Promise<void> {
  const isRequired = process.env.CI === 'true'
  const say = (missing: string): void => {
    console.error(`${missing}. Its tests are skipped.`)
    if (isRequired) process.exitCode = 1
  }
  const java = missingJava()
  if (java !== undefined) say(java)
  else for (const version of [newest, oldest]) await fetchKafka(version).catch(error => say(error.message))
  const limited = missingLimited()
  if (limited === undefined) return
  if (canBuildLimited()) await buildLimited().catch(error => say(error.message))
  // Nobody is asked to have Go.
  else console.error(`${limited}. Its tests are skipped.`)
}

async function fetchKafka(version: string): Promise<void> {
  await fetchArtifacts(version)
  await archiveClasses(version)
}

interface Wanted {
  readonly nodes?: string | undefined
  readonly version?: string | undefined
  readonly topic: readonly string[]
  readonly listener: readonly string[]
  readonly property: readonly string[]
  readonly postgres: boolean
  readonly limited: boolean
}

async function serve(wanted: Wanted): Promise<void> {
  const topics = wanted.topic.map(toTopic)
  const begin = starter(wanted)
  if (wanted.postgres && postgresBin === undefined)
    throw new Error('PostgreSQL is not installed: `node scripts/servers.mjs` installs it, or set XM_POSTGRES_BIN.')
  const stop = new AbortController()
  let isUp = false
  // What is about to start needs no word: it goes with this process.
  const end = (): void => (isUp ? stop.abort() : process.exit(130))
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, end)
  console.log(`Starting ${wanted.limited ? 'the limited broker' : 'Kafka'} …`)
  const [kafka, postgres] = await Promise.all([begin(), wanted.postgres ? PostgresServer.start() : undefined])
  isUp = true
  try {
    for (const [name, options] of topics) await kafka.createTopic(name, options)
    show(kafka, topics, postgres)
    if (!stop.signal.aborted) await new Promise(resolve => stop.signal.addEventListener('abort', resolve))
  } finally {
    await Promise.all([kafka.stop(), postgres?.stop()])
  }
}

/** What starts what was asked for, after everything that was asked for has been looked at. */
function starter({ version, ...wanted }: Wanted): () => Promise<KafkaCluster | LimitedBroker> {
  const listeners = wanted.listener.map(toListener)
  const properties = Object.fromEntries(wanted.property.map(toProperty))
  const nodes = toNodes(wanted.nodes ?? '1')
  if (version !== undefined) fullVersion(version)
  return () => (wanted.limited ? startLimitedBroker() : startKafka({ version, nodes, listeners, properties }))
}

function show(
  kafka: KafkaCluster | LimitedBroker,
  topics: readonly (readonly [string, TopicOptions])[],
  postgres: PostgresServer | undefined,
): void {
  const names = topics.map(([name, { partitions }]) => `${name} (${partitions})`)
  console.log(`Kafka ${kafka.version}`)
  console.log(`  brokers  ${kafka.brokers.join(',')}`)
  if ('listener' in kafka) {
    for (const name of ['SASL_PLAINTEXT', 'SSL', 'SASL_SSL'] as const) {
      const addresses = kafka.listeners.includes(name) ? kafka.listener(name) : []
      if (addresses.length > 0) console.log(`  ${name}  ${addresses.join(',')}`)
    }
    const users = Object.entries(kafka.users).map(([user, password]) => `${user} (password ${password})`)
    if (kafka.listeners.some(name => name.startsWith('SASL'))) console.log(`  users    ${users.join(', ')}`)
    if (kafka.ca !== undefined) console.log(`\n${kafka.ca}`)
  }
  if (names.length > 0) console.log(`  topics   ${names.join(', ')}`)
  if (postgres !== undefined) console.log(`  postgres ${postgres.url()}`)
  console.log('Ctrl-C stops it and removes what it kept.')
}

function toTopic(given: string): readonly [string, TopicOptions] {
  const [, name, partitions] = /^([\w.-]+):([1-9]\d*)$/.exec(given) ?? []
  if (name === undefined) throw new TypeError(`Expected --topic NAME:PARTITIONS, as orders:12; got ${given}.`)
  return [name, { partitions: Number(partitions) }]
}

function toListener(given: string): SecureListener {
  if (given === 'SASL_PLAINTEXT' || given === 'SSL' || given === 'SASL_SSL') return given
  throw new TypeError(`Expected --listener SASL_PLAINTEXT, SSL or SASL_SSL; got ${given}.`)
}

function toProperty(given: string): readonly [string, string] {
  const [, name, value] = /^([^=]+)=(.*)$/.exec(given) ?? []
  if (name === undefined) throw new TypeError(`Expected --property NAME=VALUE; got ${given}.`)
  return [name, value!]
}

function toNodes(given: string): 1 | 3 {
  if (given === '1' || given === '3') return Number(given) as 1 | 3
  throw new TypeError(`Expected --nodes 1 or 3; got ${given}.`)
}
