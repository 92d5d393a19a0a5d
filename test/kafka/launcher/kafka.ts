import { randomBytes } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fetchArtifacts, sharedClasses } from './artifacts.ts'
import { java } from './java.ts'
import { Keeper } from './keeper.ts'
import { KafkaNode } from './node.ts'
import { freePorts } from './ports.ts'
import { type Place, serverProperties } from './properties.ts'
import { makeCertificate, type SecureListener, saslProperties, scramArguments, type Users } from './security.ts'
import { createTopic, type TopicOptions } from './topics.ts'
import { fullVersion } from './versions.ts'

/** What {@link startKafka} may be told. */
export interface KafkaOptions {
  /** In full, or as short as `3.9`. @default the newest that runs on Java 17 */
  readonly version?: string | undefined
  /** @default 1 */
  readonly nodes?: 1 | 3
  /**
   * Of the brokers, over the launcher's own. With `authorizer.class.name` set to
   * `org.apache.kafka.metadata.authorizer.StandardAuthorizer` and `super.users` to `User:ANONYMOUS`, who comes by SASL may
   * do only what ACLs say; whoever comes through `PLAINTEXT` may do all.
   */
  readonly properties?: Readonly<Record<string, string>>
  /** Beside `PLAINTEXT`. Those of SASL take SCRAM-SHA-256, SCRAM-SHA-512 and PLAIN. @default none */
  readonly listeners?: readonly SecureListener[]
  /** Who may come through the listeners of SASL. @default `alice`, with the password `alice-secret` */
  readonly users?: Users
  /** Of each node's Java, over the launcher's own, as `-Xmx1g`. */
  readonly javaOptions?: readonly string[]
}

/** As `javaOptions`: a broker of a test lives for minutes, in which it does not win back what fast code takes to make. */
export const shortLived: readonly string[] = ['-XX:TieredStopAtLevel=1']

/** Brokers of a test's own. */
export interface KafkaCluster {
  /** The addresses of the `PLAINTEXT` listeners. */
  readonly brokers: readonly string[]
  readonly version: string
  /** Where the nodes keep what they keep, and write their logs. Goes with them. */
  readonly dir: string
  readonly nodes: readonly KafkaNode[]
  /** Beside `PLAINTEXT`. */
  readonly listeners: readonly SecureListener[]
  readonly users: Users
  /** The certificate that clients of `SSL` and `SASL_SSL` have to trust. */
  readonly ca: string | undefined
  /** The addresses of another listener. */
  listener(name: SecureListener): readonly string[]
  createTopic(name: string, options: TopicOptions): Promise<void>
  /** Kills all nodes, and removes what they kept. */
  stop(): Promise<void>
}

/** Starts Kafka on free ports, in a temporary folder. It goes with this process, however that ends. */
export async function startKafka(options: KafkaOptions = {}): Promise<KafkaCluster> {
  const version = fullVersion(options.version)
  java()
  const jars = join(await fetchArtifacts(version), '*')
  for (let attempt = 1; ; attempt++) {
    const keeper = new Keeper('kafka')
    try {
      return await startIn(keeper, version, jars, options)
    } catch (error) {
      await keeper.stop()
      // Somebody may have taken a port between its choice and its use.
      if (attempt === 3 || !/Address already in use/.test((error as Error).message)) throw error
    }
  }
}

async function startIn(keeper: Keeper, version: string, jars: string, options: KafkaOptions): Promise<KafkaCluster> {
  const {
    nodes: count = 1,
    listeners = [],
    users = { alice: 'alice-secret' },
    properties = {},
    javaOptions = [],
  } = options
  const certificate = listeners.some(name => name.endsWith('SSL')) ? await makeCertificate(keeper) : undefined
  const own = { ...saslProperties(listeners, users), ...certificate?.properties, ...properties }
  const places = await layOut(keeper.dir, count, ['PLAINTEXT', 'CONTROLLER', ...listeners])
  const settings = (id: number): string => join(keeper.dir, `${id}.properties`)
  for (const place of places) {
    mkdirSync(place.dir)
    writeFileSync(settings(place.id), serverProperties(place, places, own))
  }

  const jvm = [
    ...sharedClasses(version),
    '-XX:+UseSerialGC',
    '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn',
    '-cp',
    jars,
  ]
  const cluster = randomBytes(16).toString('base64url').replace(/^-/, 'x')
  const format = ['-XX:TieredStopAtLevel=1', ...jvm, 'kafka.tools.StorageTool', 'format', '-t', cluster]
  if (listeners.some(name => name.startsWith('SASL'))) format.push(...scramArguments(users))
  const formats = places.map(({ id }) => keeper.runToEnd(java(), [...format, '-c', settings(id)], `format-${id}`))
  await Promise.all(formats)

  const heap = count === 1 ? '-Xmx512m' : '-Xmx384m'
  const nodes = places.map(({ id, ports }) => {
    const command = [heap, ...javaOptions, ...jvm, 'kafka.Kafka', settings(id)]
    return new KafkaNode(id, `127.0.0.1:${ports.PLAINTEXT}`, () => keeper.run(java(), command, `node-${id}`))
  })
  const ids = nodes.map(({ id }) => id)
  await Promise.all(nodes.map(node => node.start(ids)))
  const brokers = nodes.map(({ address }) => address)
  return {
    brokers,
    version,
    dir: keeper.dir,
    nodes,
    listeners,
    users,
    ca: certificate?.pem,
    listener(name) {
      if (listeners.includes(name)) return places.map(({ ports }) => `127.0.0.1:${ports[name]}`)
      throw new Error(`Kafka was started without ${name}: name it in \`listeners\`.`)
    },
    createTopic: (name, topic) => createTopic(brokers, name, topic),
    stop: () => keeper.stop(),
  }
}

async function layOut(dir: string, nodes: number, listeners: readonly string[]): Promise<readonly Place[]> {
  const ports = await freePorts(nodes * listeners.length)
  return Array.from({ length: nodes }, (_, at) => ({
    id: at + 1,
    dir: join(dir, `${at + 1}`),
    ports: Object.fromEntries(listeners.map((name, listener) => [name, ports[at * listeners.length + listener]!])),
  }))
}
