import { mkdirSync } from 'node:fs'
import { stat, watch } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Store } from 'xmachines'
import { fileStore } from 'xmachines/persistence/filesystem'
import { valkeyStore } from 'xmachines/persistence/valkey'
import { segmentName } from '../../src/persistence/filesystem/layout.ts'
import { TestRun } from '../../src/testing/store-conformance/test-run.ts'
import { hasValkey, ValkeyServer } from '../servers/valkey.ts'
import { ended, jsonLines, start, xmachines } from './command.ts'
import { Workspace } from './workspace.ts'

const space = new Workspace()
/** Of several appends: 1024 runs are appended at once, at most. */
const runs = 3000
const source = space.path('source')
let valkey: ValkeyServer | undefined

beforeAll(async () => {
  if (hasValkey()) valkey = await ValkeyServer.start()
  const store = fileStore(source, { fsync: false })
  const lease = await store.claim({ namespace: 'tests', partition: 3, owner: 'p', group: 'g' })
  const made = Array.from({ length: runs - 20 }, (_, n) => new TestRun('sha1', { key: `k${n}` }))
  const items = made.map((run, n) => run.creates(n % 2 === 0 ? { lease } : {}, 3))
  for (const [n, outcome] of (await store.append(items)).entries()) made[n]!.follow(items[n]!, outcome)
  for (const of of made.slice(0, 20)) await new TestRun('sha1', { fork: { of, at: 2 } }).create(store, {}, 1)
  await store.close()
})
afterAll(() => valkey?.stop())

interface Target {
  readonly location: string
  /** Resolves when some of it is there. */
  begun(): Promise<void>
  open(): Store
}

const targets: Readonly<Record<string, () => Target | undefined>> = {
  'a directory'() {
    const location = space.path('target')
    const log = join(location, segmentName(1))
    mkdirSync(location)
    return {
      location,
      async begun() {
        for await (const { filename } of watch(location))
          if (filename === segmentName(1) && (await stat(log)).size > 100_000) return
      },
      open: () => fileStore(location),
    }
  },
  Valkey() {
    if (valkey === undefined) return undefined
    const { url } = valkey
    const client = valkey.client()
    return {
      location: `${url}?prefix=killed`,
      async begun() {
        while ((await client.zcard('{killed}:runs')) === 0);
        client.disconnect()
      },
      open: () => valkeyStore({ url, prefix: 'killed' }),
    }
  },
}

/** Where each run stands, and its last id, which stands for all before it. */
async function shortContentOf(store: Store): Promise<unknown> {
  const content: unknown[] = []
  for await (const { revision: _, ...head } of store.list())
    for await (const { id } of store.read(head.run, { from: head.seq })) content.push({ ...head, id })
  return content
}

describe.each(Object.entries(targets))('xmachines copy to %s', (_, make) => {
  it('that is killed on its way is made again, and is equal then', async ({ skip }) => {
    const { location, begun, open } = make() ?? skip()
    const args = ['copy', source, location, '--source', 'fence', '--json']
    const has = begun()
    const child = start(...args)
    const end = ended(child)
    await has
    child.kill('SIGKILL')
    expect((await end).signal).toBe('SIGKILL')
    const again = await xmachines(...args)
    expect(again).toMatchObject({ code: 0 })
    const [report] = jsonLines<{ runs: number; unchanged: number; units: number; failed: number }>(again.stdout)
    expect(report).toMatchObject({ runs, failed: 0 })
    // It was killed in the middle: some of it was there, and some was not.
    expect(report!.unchanged).toBeGreaterThan(0)
    expect(report!.units).toBeGreaterThan(0)
    const [from, to] = [fileStore(source), open()]
    expect(await shortContentOf(to)).toEqual(await shortContentOf(from))
    await Promise.all([from.close(), to.close()])
  })
})
