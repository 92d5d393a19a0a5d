import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { describe, expect, test } from 'vitest'
import { type Store, watchRun } from 'xmachines'
import { fileStore } from 'xmachines/persistence/filesystem'
import { openClone } from 'xmachines/persistence/git'
import { endings } from '../endings.ts'
import { nodeScript } from '../node-script.ts'
import { temporaryDirectory } from '../persistence/filesystem/directory.ts'
import { hasPostgres, PostgresServer } from '../servers/postgres.ts'
import { hasValkey, ValkeyServer } from '../servers/valkey.ts'
import { openAt } from './opened.ts'
import type { WatchedPlace } from './watched-writer.ts'

const script = nodeScript(new URL('./watched-writer.ts', import.meta.url))
const ends = endings()

/** How a process reads what another one writes. */
function opened(place: WatchedPlace): Store {
  if (place.kind === 'filesystem') return fileStore(place.dir, { readOnly: true })
  return 'dir' in place ? openClone({ gitdir: place.dir }) : openAt(place)
}

function directory(): string {
  const { dir, remove } = temporaryDirectory()
  ends.push(remove)
  return join(dir, 'store')
}

/** Every kind of store that several processes can be at, and what begins one. */
const places: readonly [string, boolean, () => Promise<WatchedPlace>][] = [
  ['a file store', true, async () => ({ kind: 'filesystem', dir: directory() })],
  ['the repository of a Git store', true, async () => ({ kind: 'git', dir: directory() })],
  ['the repository of an archive', true, async () => ({ kind: 'archive', dir: directory() })],
  [
    'a PostgreSQL store',
    hasPostgres(),
    async () => {
      const server = await PostgresServer.start()
      ends.push(() => server.stop())
      return { kind: 'postgres', url: server.url(), place: 'watched' }
    },
  ],
  [
    'a Valkey store',
    hasValkey(),
    async () => {
      const server = await ValkeyServer.start()
      ends.push(() => server.stop())
      return { kind: 'valkey', url: server.url, place: 'watched' }
    },
  ],
]

describe('a run that another process writes', () => {
  for (const [name, canBe, begin] of places) {
    test.skipIf(!canBe)(`is watched live on ${name}, to its end`, async () => {
      const place = await begin()
      const child = spawn(process.execPath, [script, JSON.stringify(place)], { stdio: ['pipe', 'pipe', 'inherit'] })
      const gone = once(child, 'exit')
      ends.push(() => {
        child.kill('SIGKILL')
        return gone
      })
      const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]()
      const run = (await lines.next()).value as string
      const store = opened(place)
      ends.push(() => store.close())
      const seen: string[] = []
      let awaited = 0
      for await (const { seq, id, outputs } of watchRun(store, run, { interval: 5 })) {
        seen.push(id)
        // What was recorded beside a unit comes with it.
        if (seq > 0) expect(outputs).toEqual([{ type: 'DONE', n: seq }])
        // The next ones are only written once these were seen.
        if (seq < awaited) continue
        const more = 1 + (seq % 3)
        awaited = seq + more
        // With its last one the run ends.
        if (seq < 20) child.stdin!.write(`${more}\n`)
        else child.stdin!.end()
      }
      expect(seen).toEqual(JSON.parse((await lines.next()).value))
      expect(await gone).toEqual([0, null])
    })
  }
})
