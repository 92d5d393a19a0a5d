import fc from 'fast-check'
import { expect, test } from 'vitest'
import { assign } from '../../../src/transports/broker/assign.ts'

interface Member {
  readonly name: number
}

const upTo = (count: number) => Array.from({ length: count }, (_, at) => at)

/** Joins and leaves, as a list: a number below 0 is a join, another one the member that leaves. */
const changes = fc.array(fc.integer({ min: -4, max: 9 }), { maxLength: 20 })

test('every partition is held, loads differ by at most one, and no more moves than must', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 20 }), changes, (count, steps) => {
      const partitions = upTo(count)
      let members: Member[] = []
      let holders = new Map<number, Member>()
      for (const [name, step] of steps.entries()) {
        members = step < 0 ? [...members, { name }] : members.filter((_, at) => at !== step % members.length)
        const before = holders
        const loadBefore = (member: Member) => [...before.values()].filter(holder => holder === member).length
        holders = assign({ members, partitions, holder: partition => before.get(partition), takes: () => true })
        if (members.length === 0) continue

        expect(holders.size).toBe(count)
        const loads = members.map(member => [...holders.values()].filter(holder => holder === member).length)
        expect(Math.max(...loads) - Math.min(...loads)).toBeLessThanOrEqual(1)

        // The fewest moves: everyone keeps up to its share, and the larger shares go to those who had most.
        const share = Math.floor(count / members.length)
        const larger = count % members.length
        const kept = members
          .map(loadBefore)
          .sort((a, b) => b - a)
          .reduce((sum, load, at) => sum + Math.min(load, share + (at < larger ? 1 : 0)), 0)
        const stayed = partitions.filter(partition => before.get(partition) === holders.get(partition)).length
        expect(stayed).toBe(kept)
      }
    }),
  )
})

test('a partition that nobody takes has no holder; the others are levelled among those who take them', () => {
  const [a, b] = [{ name: 0 }, { name: 1 }]
  const holders = assign({
    members: [a, b],
    partitions: upTo(6),
    holder: partition => (partition === 0 ? b : partition < 5 ? a : undefined),
    takes: (member, partition) => partition !== 5 && (member === a || partition < 4),
  })
  expect(holders.has(5)).toBe(false)
  expect(holders.get(4)).toBe(a)
  expect([...holders.values()].filter(holder => holder === b).length).toBe(2)
})
