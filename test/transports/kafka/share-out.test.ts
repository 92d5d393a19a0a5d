import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Place } from '../../../src/transports/kafka/cluster.ts'
import { type Sharer, shareOut } from '../../../src/transports/kafka/group/share-out.ts'
import {
  decodeAssignment,
  decodeSubscription,
  encodeAssignment,
  encodeSubscription,
  nameOf,
} from '../../../src/transports/kafka/group/subscription.ts'

const placesOf = (topic: string, count: number): Place[] =>
  Array.from({ length: count }, (_, partition) => ({ topic, partition }))

/** A group whose members do as they are told: what one sees of it from join to join. */
class Group {
  readonly holds = new Map<string, Place[]>()
  readonly drains = new Map<string, Place[]>()
  readonly places: readonly Place[]
  moves = 0

  constructor(places: readonly Place[]) {
    this.places = places
  }

  join(member: string): void {
    this.holds.set(member, [])
    this.drains.set(member, [])
  }

  leave(member: string): void {
    this.holds.delete(member)
    this.drains.delete(member)
  }

  /** One rebalance; everybody may hold only what nobody else holds or drains. */
  round(): void {
    const sharers: Sharer[] = [...this.holds].map(([memberId, keeps]) => ({
      memberId,
      subscription: { topics: ['t', 'u'], keeps, drains: this.drains.get(memberId)! },
    }))
    const shares = shareOut(sharers, this.places)
    for (const [member, share] of shares) {
      const before = this.holds.get(member)!
      const kept = new Set(share.map(nameOf))
      this.drains.get(member)!.push(...before.filter(place => !kept.has(nameOf(place))))
      this.moves += before.length - before.filter(place => kept.has(nameOf(place))).length
      this.holds.set(member, [...share])
    }
    const all = [...this.holds.values(), ...this.drains.values()].flat().map(nameOf)
    expect(new Set(all).size, 'no partition has two holders').toBe(all.length)
  }

  /** Everybody has given back what it drained, and joins again. */
  settle(): void {
    for (let rounds = 0; rounds < 3; rounds++) {
      this.round()
      for (const member of this.drains.keys()) this.drains.set(member, [])
    }
  }
}

test('however members come, go and dawdle: never two holders, at rest an even share of everything', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 20 }),
      fc.array(fc.tuple(fc.constantFrom('join', 'leave', 'round', 'release'), fc.nat(7)), { maxLength: 40 }),
      (count, steps) => {
        const group = new Group([...placesOf('t', count), ...placesOf('u', 3)])
        for (const [what, who] of steps) {
          const member = `m${who}`
          if (what === 'join' && !group.holds.has(member)) group.join(member)
          if (what === 'leave') group.leave(member)
          if (what === 'release' && group.holds.has(member)) group.drains.set(member, [])
          if (what === 'round') group.round()
        }
        group.settle()
        if (group.holds.size === 0) return
        const loads = [...group.holds.values()].map(held => held.length)
        expect(loads.reduce((sum, load) => sum + load, 0)).toBe(count + 3)
        expect(Math.max(...loads) - Math.min(...loads)).toBeLessThanOrEqual(1)
        const moved = group.moves
        group.round()
        expect(group.moves, 'at rest nothing moves').toBe(moved)
      },
    ),
  )
})

test('a join moves what the newcomer gets, and nothing else', () => {
  const group = new Group(placesOf('t', 12))
  for (const member of ['a', 'b']) group.join(member)
  group.settle()
  group.join('c')
  group.settle()
  expect(group.moves).toBe(4)
})

test('what a member says and is told survives the wire', () => {
  const place = fc.record({ topic: fc.constantFrom('t', 'ключ', '__proto__', '7'), partition: fc.nat(1_000) })
  const places = fc.uniqueArray(place, { selector: nameOf, maxLength: 20 })
  const sorted = (list: readonly Place[]) => list.map(nameOf).sort()
  fc.assert(
    fc.property(fc.array(fc.string()), places, places, (topics, keeps, drains) => {
      const said = decodeSubscription(encodeSubscription({ topics, keeps, drains }))
      expect(said.topics).toEqual(topics.map(topic => new TextDecoder().decode(new TextEncoder().encode(topic))))
      expect([sorted(said.keeps), sorted(said.drains)]).toEqual([sorted(keeps), sorted(drains)])
      expect(sorted(decodeAssignment(encodeAssignment(keeps)))).toEqual(sorted(keeps))
    }),
  )
  expect(decodeAssignment(new Uint8Array())).toEqual([])
  expect(() => decodeSubscription(new Uint8Array([0, 0]))).toThrowError(
    expect.objectContaining({ code: 'GROUP_FOREIGN' }),
  )
})
