import { randomBytes } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fetchArtifacts } from './artifacts.ts'
import { java } from './java.ts'
import { Keeper } from './keeper.ts'
import { KafkaNode } from './node.ts'
import { freePorts } from './ports.ts'
import { type Place, serverProperties } from './properties.ts'
import { createTopic, type TopicOptions } from './topics.ts'
import { fullVersion } from './versions.ts'

/** What {@link startKafka} may be told. */
export interface KafkaOptions {
  /** In full, or as short as `3.9`. @default the newest that runs on Java 17 */
  readonly version?: string
  /** @default 1 */
  readonly nodes?: 1 | 3
  /** Of the brokers, over the launcher's own. */
  readonly properties?: Readonly<Record<string, string>>
}

/** Brokers of a test's own. */
export interface KafkaCluster {
  /** The addresses of the `PLAINTEXT` listeners. */
  readonly brokers: readonly string[]
  readonly version: string
  readonly nodes: readonly KafkaNode[]
  createTopic(name: string, options: TopicOptions): Promise<void>
  /** Kills all nodes, and removes what they kept. */
  stop(): Promise<void>
}

/** Starts Kafka on free ports, in a temporary folder. It goes with this process, however that ends. */
export async function startKafka(options: KafkaOptions = {}): Promise<KafkaCluster> {
  const version = fullVersion(options.version)
  const program = java()
  const jars = join(await fetchArtifacts(version), '*')
  const keeper = new Keeper('kafka')
  try {
    const places = await layOut(keeper.dir, options.nodes ?? 1)
    const settings = (id: number): string => join(keeper.dir, `${id}.properties`)
    for (const place of places) {
      mkdirSync(place.dir)
      writeFileSync(settings(place.id), serverProperties(place, places, options.properties ?? {}, {}))
    }

    const jvm = ['-Xshare:auto', '-XX:+UseSerialGC', '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn', '-cp', jars]
    const cluster = randomBytes(16).toString('base64url').replace(/^-/, 'x')
    const format = ['-XX:TieredStopAtLevel=1', ...jvm, 'kafka.tools.StorageTool', 'format', '-t', cluster]
    await Promise.all(places.map(({ id }) => keeper.runToEnd(program, [...format, '-c', settings(id)], `format-${id}`)))

    const heap = places.length === 1 ? '-Xmx512m' : '-Xmx384m'
    const nodes = places.map(({ id, ports }) => {
      const command = [heap, ...jvm, 'kafka.Kafka', settings(id)]
      return new KafkaNode(id, `127.0.0.1:${ports.PLAINTEXT}`, () => keeper.run(program, command, `node-${id}`))
    })
    const ids = nodes.map(({ id }) => id)
    await Promise.all(nodes.map(node => node.start(ids)))
    const brokers = nodes.map(({ address }) => address)
    return {
      brokers,
      version,
      nodes,
      createTopic: (name, topic) => createTopic(brokers, name, topic),
      stop: () => keeper.stop(),
    }
  } catch (error) {
    await keeper.stop()
    throw error
  }
}

async function layOut(dir: string, nodes: number): Promise<readonly Place[]> {
  const listeners = ['PLAINTEXT', 'CONTROLLER']
  const ports = await freePorts(nodes * listeners.length)
  return Array.from({ length: nodes }, (_, at) => ({
    id: at + 1,
    dir: join(dir, `${at + 1}`),
    ports: Object.fromEntries(listeners.map((name, listener) => [name, ports[at * listeners.length + listener]!])),
  }))
}
