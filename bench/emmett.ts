import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import type { Side } from './compare.ts'

/** What is used of Emmett. */
interface Library {
  getPostgreSQLEventStore(connectionString: string): EventStore
}
interface EventStore {
  appendToStream(stream: string, events: readonly object[]): Promise<unknown>
  close(): Promise<void>
}

const version = '0.42.0'
const packages = [
  `@event-driven-io/emmett-postgresql@${version}`,
  `@event-driven-io/emmett@${version}`,
  '@event-driven-io/pongo@0.16.11',
]

/** Fetched for this benchmark alone: its peers do not agree with what this package is developed with. */
function library(): Library {
  const folder = fileURLToPath(new URL('../.cache/emmett/', import.meta.url))
  if (!existsSync(`${folder}node_modules/@event-driven-io/emmett-postgresql`)) {
    mkdirSync(folder, { recursive: true })
    const options = ['--prefix', folder, '--no-audit', '--no-fund', '--no-save', '--ignore-scripts']
    spawnSync('npm', ['install', ...options, ...packages], { cwd: folder, stdio: 'inherit' })
  }
  return createRequire(folder)('@event-driven-io/emmett-postgresql') as Library
}

/** Emmett's event store on the same server: an event each into so many streams, each awaited within its stream. */
export function emmettAppends(url: string, events: readonly { readonly type: string }[], streams: number): Side {
  let store: EventStore
  let round = 0
  return {
    name: streams === 1 ? `Emmett ${version}` : `Emmett ${version} on ${streams} streams`,
    async prepare() {
      round++
      store = library().getPostgreSQLEventStore(url)
      // The first append makes the tables.
      await store.appendToStream(`warm ${round}`, [{ type: 'WARM', data: {} }])
    },
    async run() {
      let next = 0
      await Promise.all(
        Array.from({ length: streams }, async (_, stream) => {
          while (next < events.length) {
            const { type, ...data } = events[next++]!
            await store.appendToStream(`${streams} ${round} ${stream}`, [{ type, data }])
          }
        }),
      )
      return events.length
    },
    after: () => store.close(),
  }
}
