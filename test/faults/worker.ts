import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import { createHost } from 'xmachines'
import type { Program } from './counters.ts'
import { type CrashPoint, Doom } from './crash-points.ts'
import { type Kept, openKept } from './kept.ts'
import { live } from './life.ts'

/** A process that lives one life on a store, and kills itself where it is told to. */
const [place, text, point, hit] = process.argv.slice(2) as [string, string, CrashPoint | '', string]
const kept = JSON.parse(place) as Kept
const doom = new Doom(point === '' ? undefined : point, Number(hit), () => process.kill(process.pid, 'SIGKILL'))
const store = openKept(kept)
const write = (file: string) => (line: unknown) => appendFileSync(join(kept.dir, file), `${JSON.stringify(line)}\n`)
await live({
  host: createHost,
  store,
  program: JSON.parse(text) as Program,
  see: write('effects.ndjson'),
  take: write('acknowledged.ndjson'),
  doom,
})
await store.close()
