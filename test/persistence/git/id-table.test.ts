import '../../seed.ts'
import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { IdTable } from '../../../src/persistence/git/id-table.ts'

/** Ids that begin alike, so that they stand side by side. */
function idOf(name: number): string {
  const hash = createHash('sha1').update(String(name)).digest('hex')
  return name % 3 === 0 ? `00000${name % 2}ff${hash.slice(8)}` : hash
}

test('a table of ids gives what a map gives, however many there are', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(5000), fc.nat(2 ** 32 - 2)), { maxLength: 6000, size: 'max' }),
      fc.boolean(),
      (entries, isCleared) => {
        const [table, map] = [new IdTable(), new Map<string, number>()]
        for (const [at, [name, value]] of entries.entries()) {
          if (isCleared && at === entries.length >> 1) {
            table.clear()
            map.clear()
          }
          table.set(idOf(name), value)
          map.set(idOf(name), value)
        }
        expect(table.size).toBe(map.size)
        for (let name = 0; name <= 5000; name++) expect(table.get(idOf(name))).toBe(map.get(idOf(name)))
      },
    ),
    { numRuns: 10 },
  )
})
