import { execFile, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { exclusively } from '../../package/lock.ts'
import { Keeper } from './keeper.ts'
import { KafkaNode } from './node.ts'
import { freePorts } from './ports.ts'
import { createTopic, type TopicOptions } from './topics.ts'

const sources = fileURLToPath(new URL('../limited', import.meta.url))
const cache = fileURLToPath(new URL('../../../.cache/kafka', import.meta.url))

/** Where the program is, or will be: another one for other sources. */
function program(): string {
  const hash = createHash('sha256')
  for (const file of readdirSync(sources).sort()) hash.update(readFileSync(join(sources, file)))
  return join(cache, `limited-${hash.digest('hex').slice(0, 12)}`)
}

/** Whether there is a Go that can build it. One of 1.21 or later may fetch a newer one for that, unless told not to. */
export const canBuildLimited = (): boolean => spawnSync('go', ['list', '-m'], { cwd: sources }).status === 0

/** Why the limited broker cannot run, and what to do about it; or nothing. */
export function missingLimited(): string | undefined {
  if (existsSync(program())) return undefined
  return canBuildLimited()
    ? 'the limited broker is not built: `npm run kafka -- --fetch` builds it'
    : 'the limited broker is built with Go, and there is none that test/kafka/limited/go.mod agrees to: install it'
}

/** Builds it unless it is there. */
export async function buildLimited(): Promise<string> {
  const path = program()
  if (existsSync(path)) return path
  return exclusively(`${cache}/limited.lock`, async () => {
    if (existsSync(path)) return path
    mkdirSync(cache, { recursive: true })
    const part = `${path}.part`
    // An own `-mod` or work file of the machine is not for this.
    const env = { ...process.env, GOFLAGS: '', GOWORK: 'off' }
    await promisify(execFile)('go', ['build', '-trimpath', '-buildvcs=false', '-o', part, '.'], { cwd: sources, env })
    renameSync(part, path)
    return path
  })
}

/** What {@link startLimitedBroker} may be told. */
export interface LimitedBrokerOptions {
  /** Made at the start, by name. @default none */
  readonly topics?: Readonly<Record<string, TopicOptions>>
}

/** A broker that speaks the versions of the protocol that Redpanda does. */
export interface LimitedBroker {
  readonly brokers: readonly string[]
  readonly version: string
  readonly nodes: readonly { readonly id: number; readonly address: string }[]
  createTopic(name: string, options: TopicOptions): Promise<void>
  stop(): Promise<void>
}

/** Starts it in a moment. What it is told it keeps in memory. */
export async function startLimitedBroker(options: LimitedBrokerOptions = {}): Promise<LimitedBroker> {
  const path = await buildLimited()
  const keeper = new Keeper('limited')
  try {
    const [port] = await freePorts(1)
    const node = new KafkaNode(0, `127.0.0.1:${port}`, () => keeper.run(path, [`${port}`], 'node-0'))
    await node.start()
    const brokers = [node.address]
    for (const [name, topic] of Object.entries(options.topics ?? {})) await createTopic(brokers, name, topic)
    return {
      brokers,
      version: 'limited to the protocol of Redpanda',
      nodes: [{ id: node.id, address: node.address }],
      createTopic: (name, topic) => createTopic(brokers, name, topic),
      stop: () => keeper.stop(),
    }
  } catch (error) {
    await keeper.stop()
    throw error
  }
}
