import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openRun, verifyRun } from 'xmachines'
import { fileStore } from 'xmachines/persistence/filesystem'
import { gitStore, openClone } from 'xmachines/persistence/git'
import { memoryStore } from 'xmachines/persistence/memory'
import { counter } from '../actors/run/machines.ts'
import { arbitraryMachine, arbitraryScript } from '../arbitraries/machines.ts'
import { StoreKinds } from '../servers/store-kinds.ts'
import { casesOn } from './every-store.ts'
import { ignoreFirstStep, openPlayed, play, unitsOf } from './played.ts'

const kinds = new StoreKinds()
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
      { numRuns: Number(process.env.FC_RUNS) || 40 },
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
      { numRuns: Number(process.env.FC_RUNS) || 15 },
    )
  })

  test.each(kinds.names.filter(kind => kind === 'postgres' || kind === 'valkey'))(
    'ids, units and states are equal on a server, reopened or not: %s',
    async kind => {
      await fc.assert(
        fc.asyncProperty(arbitraryMachine(), arbitraryScript(), fc.boolean(), async ({ build }, script, reopened) => {
          const memory = await play(build(), script, memoryStore()).catch(ignoreFirstStep)
          if (memory === undefined) return
          const place = kinds.place()
          const store = kinds.open(kind, place)
          const served = await play(build(), script, store, { overlapped: !reopened, reopen: () => reopened })
          await store.close()
          expect(served).toEqual(memory)
          const fresh = kinds.open(kind, place)
          expect(await unitsOf(fresh, served.id)).toEqual(memory.units)
          await fresh.close()
        }),
        casesOn(kind, { servers: 8 }),
      )
    },
  )

  test('so do a Git store and whoever reads its commits, and these come out as recorded when they are decided again', async () => {
    await fc.assert(
      fc.asyncProperty(arbitraryMachine(), arbitraryScript(), fc.boolean(), async ({ build }, script, reopened) => {
        const memory = await play(build(), script, memoryStore()).catch(ignoreFirstStep)
        if (memory === undefined) return
        const gitdir = join(root, String(count++))
        const store = gitStore({
          gitdir,
          fsync: false,
          interval: 1,
          onWarning: ({ message }) => expect(message).toBe(''),
        })
        const played = await play(build(), script, store, { overlapped: !reopened, reopen: () => reopened })
        await store.close()
        expect(played).toEqual(memory)
        const clone = openClone({ gitdir })
        expect(await unitsOf(clone, played.id)).toEqual(memory.units)
        const head = await clone.head(played.id)
        expect(await verifyRun(clone, build(), head!)).toEqual({ run: played.id, units: head!.seq })
        await clone.close()
      }),
      { numRuns: Number(process.env.FC_RUNS) || 15 },
    )
  })
})

describe('a run in a partition that somebody owns, on any store', () => {
  test.each(kinds.names)('refuses other writers, and names the owner, until it is released: %s', async kind => {
    const store = kinds.open(kind)
    const run = await openRun(counter, { store, key: 'a' })
    const lease = await store.claim({ namespace: 'orders', partition: 3, owner: 'worker-1', group: 'g' })
    const { seq, revision } = (await store.head(run.id))!
    await store.append([{ run: run.id, expected: { seq, revision }, units: [], lease, beside: { held: false } }])
    await expect(run.apply({ type: 'ADD', by: 1 })).rejects.toMatchObject({
      code: 'LEASE_HELD',
      retryable: true,
      message: expect.stringContaining('worker-1'),
      details: { run: run.id, epoch: lease.epoch, owner: 'worker-1' },
    })
    await store.release(lease)
    const again = await openRun(counter, { store, key: 'a' })
    expect(await again.apply({ type: 'ADD', by: 1 })).toMatchObject({ ok: true, seq: 1 })
    await again.close()
    await store.close()
  })
})
