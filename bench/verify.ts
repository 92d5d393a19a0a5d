import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openRun, verifyRun } from 'xmachines'
import { fileStore } from 'xmachines/persistence/filesystem'
import { createActor } from 'xstate'
import { type Comparison, compare, type Side } from './compare.ts'
import { order, orderEvents } from './machines.ts'

const runs = 500
const each = 2_000

/** A store of 500 runs of 2,000 units each, a million, gone after the bench. */
async function recorded(): Promise<string> {
  const path = mkdtempSync(join(tmpdir(), 'xmachines-bench-'))
  const store = fileStore(path, { fsync: false })
  const events = orderEvents(each)
  for (let i = 0; i < runs; i++) {
    const run = await openRun(order, { store, key: `o-${i}` })
    await Promise.all(events.map(event => run.apply(event)))
    await run.close()
  }
  await store.close()
  return path
}

const bare: Side = {
  name: 'actor.send',
  run() {
    const events = orderEvents(each)
    for (let i = 0; i < runs; i++) {
      const actor = createActor(order).start()
      actor.subscribe(() => {})
      for (const event of events) actor.send(event)
    }
    return runs * each
  },
}

/** Everything of the store, in this thread. */
function library(path: string): Side {
  return {
    name: 'verifyRun',
    async run() {
      const store = fileStore(path, { readOnly: true })
      let units = 0
      for await (const head of store.list()) {
        const found = await verifyRun(store, order, head)
        if (found.divergence !== undefined || found.error !== undefined) throw new Error(JSON.stringify(found))
        units += found.units
      }
      await store.close()
      return units
    },
  }
}

/** The command, its start included. */
function command(path: string, jobs: number): Side {
  const flags = ['verify', path, '--machine', 'bench/machines.ts#order', '--jobs', String(jobs)]
  return {
    name: `xmachines verify --jobs ${jobs}`,
    run() {
      const { status, stderr } = spawnSync(process.execPath, ['dist/cli.js', ...flags], { encoding: 'utf8' })
      if (status !== 0) throw new Error(stderr)
      return runs * each
    },
  }
}

/** Deciding a whole store again and comparing, against sending the same events to bare actors; and what a second process brings. */
export async function verified(): Promise<Comparison[]> {
  const path = await recorded()
  try {
    return [
      await compare('verify: a million units of a file', 1, bare, library(path), 5),
      await compare('verify: two processes for one', 1.5, command(path, 1), command(path, 2), 3),
    ]
  } finally {
    rmSync(path, { recursive: true, force: true })
  }
}
