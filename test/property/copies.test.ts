import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { copyStore, XMachinesError } from 'xmachines'
import { fileStore } from 'xmachines/persistence/filesystem'
import { memoryStore } from 'xmachines/persistence/memory'
import { faultyStore } from '../../src/testing/faulty-store.ts'
import { Author, contentOf, deeds, lasting } from './deeds.ts'

let root: string
let count = 0
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'xmachines-copies-'))
})
afterAll(() => rmSync(root, { recursive: true, force: true }))

const quiet = { source: 'quiet' } as const

describe('a copy of a store', () => {
  test('is equal to it, byte for byte of its history and all that is kept beside; a second one changes nothing', async () => {
    await fc.assert(
      fc.asyncProperty(deeds, deeds, fc.boolean(), async (first, later, toFile) => {
        const from = memoryStore()
        const to = toFile ? fileStore(join(root, String(count++)), { fsync: false }) : memoryStore()
        const author = new Author(from)
        for (const deed of first) await author.do(deed)
        expect((await copyStore(from, to, quiet)).failed).toEqual([])
        const content = await contentOf(from)
        expect(await contentOf(to)).toEqual(content)
        const again = await copyStore(from, to, quiet)
        expect(again.units).toBe(0)
        expect(again.unchanged).toBe(again.runs)
        expect(await contentOf(to)).toEqual(content)
        // The source goes on, and the copy follows.
        for (const deed of later) await author.do(deed)
        expect((await copyStore(from, to, quiet)).failed).toEqual([])
        expect(lasting(await contentOf(to))).toEqual(lasting(await contentOf(from)))
        await to.close()
      }),
    )
  })

  test('is made again after it was interrupted anywhere, and is equal then', async () => {
    await fc.assert(
      fc.asyncProperty(deeds, fc.array(fc.nat(30), { maxLength: 5 }), async (first, cuts) => {
        const from = memoryStore()
        const author = new Author(from)
        for (const deed of first) await author.do(deed)
        const memory = memoryStore()
        for (const cut of cuts) {
          const to = faultyStore(memory)
          to.faults.plan(cut % 2 === 0 ? 'append.after' : 'append.torn', { skip: cut >> 1 })
          await copyStore(from, to, quiet).catch((error: unknown) => {
            if (!XMachinesError.is(error)) throw error
          })
        }
        expect((await copyStore(from, memory, quiet)).failed).toEqual([])
        expect(lasting(await contentOf(memory))).toEqual(lasting(await contentOf(from)))
      }),
    )
  })
})
