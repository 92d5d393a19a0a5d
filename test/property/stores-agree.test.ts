import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { fileStore } from 'xmachines/persistence/filesystem'
import { memoryStore } from 'xmachines/persistence/memory'
import { valkeyStore } from 'xmachines/persistence/valkey'
import { arbitraryMachine, arbitraryScript } from '../arbitraries/machines.ts'
import { describeOnValkey } from '../servers/describe.ts'
import { ValkeyServer } from '../servers/valkey.ts'
import { ignoreFirstStep, openPlayed, play, unitsOf } from './played.ts'

let root: string
let count = 0
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'xmachines-agree-'))
})
afterAll(() => rmSync(root, { recursive: true, force: true }))

describe('one history, any store', () => {
  test('ids, units and states are equal over memory and file store, reopened or not', async () => {
    await fc.assert(
      fc.asyncProperty(arbitraryMachine(), arbitraryScript(), fc.boolean(), async ({ build }, script, reopened) => {
        const memory = await play(build(), script, memoryStore()).catch(ignoreFirstStep)
        if (memory === undefined) return
        const dir = join(root, String(count++))
        const store = fileStore(dir, { fsync: false })
        const file = await play(build(), script, store, { overlapped: !reopened, reopen: () => reopened })
        await store.close()
        expect(file).toEqual(memory)
        const fresh = fileStore(dir, { fsync: false })
        expect(await unitsOf(fresh, file.id)).toEqual(memory.units)
        const run = await openPlayed(build(), fresh)
        expect((await fresh.head(run.id))?.seq).toBe((memory.units.at(-1) as { seq: number }).seq)
        await run.close()
        await fresh.close()
      }),
      { numRuns: 40 },
    )
  })

  test('sha256 stores agree too, and their ids differ from those of sha1', async () => {
    await fc.assert(
      fc.asyncProperty(arbitraryMachine({ throws: false }), arbitraryScript(), async ({ build }, script) => {
        const dir = join(root, String(count++))
        const store = fileStore(dir, { fsync: false, objectFormat: 'sha256' })
        const file = await play(build(), script, store).catch(ignoreFirstStep)
        const memory = await play(build(), script, memoryStore({ objectFormat: 'sha256' })).catch(ignoreFirstStep)
        await store.close()
        expect(file).toEqual(memory)
        if (file !== undefined) expect(file.id).toHaveLength(64)
      }),
      { numRuns: 15 },
    )
  })
})

describeOnValkey('one history, on a server too', () => {
  let server: ValkeyServer
  beforeAll(async () => {
    server = await ValkeyServer.start({ appendfsync: 'everysec' })
  })
  afterAll(() => server.stop())

  test('ids, units and states are equal over memory and Valkey store, reopened or not', async () => {
    await fc.assert(
      fc.asyncProperty(arbitraryMachine(), arbitraryScript(), fc.boolean(), async ({ build }, script, reopened) => {
        const memory = await play(build(), script, memoryStore()).catch(ignoreFirstStep)
        if (memory === undefined) return
        const options = { url: server.url, prefix: `agree ${count++}`, durability: 'everysec' } as const
        const store = valkeyStore(options)
        const kept = await play(build(), script, store, { overlapped: !reopened, reopen: () => reopened })
        await store.close()
        expect(kept).toEqual(memory)
        const fresh = valkeyStore(options)
        expect(await unitsOf(fresh, kept.id)).toEqual(memory.units)
        await fresh.close()
      }),
      { numRuns: 25 },
    )
  })
})
