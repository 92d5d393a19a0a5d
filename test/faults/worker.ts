import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import { createHost } from 'xmachines'
import { fileStore } from 'xmachines/persistence/filesystem'
import { postgresStore } from 'xmachines/persistence/postgres'
import type { Program } from './counters.ts'
import { type CrashPoint, Doom } from './crash-points.ts'
import { live } from './life.ts'

/** A process that lives one life and kills itself where it is told to. */
const [dir, text, point, hit, url] = process.argv.slice(2) as [string, string, CrashPoint | '', string, string?]
const doom = new Doom(point === '' ? undefined : point, Number(hit), () => process.kill(process.pid, 'SIGKILL'))
globalThis.setTimeout = doom.timeout(globalThis.setTimeout) as typeof globalThis.setTimeout
const store = url === undefined ? fileStore(join(dir, 'store')) : postgresStore({ connectionString: url })
await live({
  host: createHost,
  store,
  program: JSON.parse(text) as Program,
  see: effect => appendFileSync(join(dir, 'effects.ndjson'), `${JSON.stringify(effect)}\n`),
  doom,
})
await store.close()
