import fc from 'fast-check'
import { describe, expect } from 'vitest'
import { copyStore, XMachinesError } from 'xmachines'
import { memoryStore } from 'xmachines/persistence/memory'
import { faultyStore } from '../../src/testing/faulty-store.ts'
import { Author, contentOf, deeds, lasting } from './deeds.ts'
import { onEveryStore } from './every-store.ts'

const quiet = { source: 'quiet' } as const

describe('a copy of a store', () => {
  onEveryStore(
    'is equal to it, byte for byte of its history and all that is kept beside; a second one changes nothing',
    open =>
      fc.asyncProperty(deeds, deeds, async (first, later) => {
        const from = memoryStore()
        const to = open()
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
      }),
  )

  onEveryStore('is made again after it was interrupted anywhere, and is equal then', open =>
    fc.asyncProperty(deeds, fc.array(fc.nat(30), { maxLength: 5 }), async (first, cuts) => {
      const from = memoryStore()
      const author = new Author(from)
      for (const deed of first) await author.do(deed)
      const kept = open()
      for (const cut of cuts) {
        const to = faultyStore(kept)
        to.faults.plan(cut % 2 === 0 ? 'append.after' : 'append.torn', { skip: cut >> 1 })
        await copyStore(from, to, quiet).catch((error: unknown) => {
          if (!XMachinesError.is(error)) throw error
        })
      }
      expect((await copyStore(from, kept, quiet)).failed).toEqual([])
      expect(lasting(await contentOf(kept))).toEqual(lasting(await contentOf(from)))
    }),
  )
})
