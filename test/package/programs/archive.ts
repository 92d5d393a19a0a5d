/** A store that is archived: what is much is committed in a thread, which no open process waits for. */
import { equal } from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createRun } from 'xmachines'
import { archive } from 'xmachines/persistence/git'
import { memoryStore } from 'xmachines/persistence/memory'
import orderDefinition from './order.ts'

const dir = mkdtempSync(join(tmpdir(), 'xmachines-archive-'))
const gitdir = join(dir, 'orders.git')
let threads = 0
process.on('worker', () => threads++)

const store = memoryStore()
const runs = Array.from({ length: 25 }, (_, at) => createRun(orderDefinition, { store, key: `o-${at}`, input: {} }))
for (let line = 0; line < 100; line++)
  await Promise.all(runs.map(run => run.apply({ type: 'ADD', sku: `tea ${line}`, price: 4 })))
const archived = archive(store, { gitdir })
equal((await archived.caughtUp()).units, 2500)
equal(threads, 1)

const git = (...args: readonly string[]) => execFileSync('git', ['-C', gitdir, ...args], { encoding: 'utf8' }).trim()
equal(git('rev-list', '--count', `r/${runs[0]!.id}`), '102')
equal(git('fsck', '--strict', '--no-dangling'), '')
await Promise.all(runs.map(run => run.close()))
rmSync(dir, { recursive: true })
// The archive is left open: neither it nor its thread keeps the process.
