import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { copyStore } from 'xmachines'
import { Author, contentOf, deeds } from '../property/deeds.ts'
import { StoreKinds } from '../servers/store-kinds.ts'

const kinds = new StoreKinds()

describe('one history, any store: a copy is equal, from', () => {
  for (const from of kinds.names) {
    for (const to of kinds.names) {
      test(`${from} to ${to}`, async () => {
        await fc.assert(
          fc.asyncProperty(deeds, async list => {
            const [source, target] = [kinds.open(from), kinds.open(to)]
            const author = new Author(source)
            for (const deed of list) await author.do(deed)
            expect((await copyStore(source, target, { source: 'quiet' })).failed).toEqual([])
            expect(await contentOf(target)).toEqual(await contentOf(source))
            await source.close()
            await target.close()
          }),
          { numRuns: 4 },
        )
      })
    }
  }
})
