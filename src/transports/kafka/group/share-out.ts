import { assign } from '../../broker/assign.ts'
import type { Place } from '../cluster.ts'
import { nameOf, type Subscription } from './subscription.ts'

/** A member of the group, as its leader sees it. */
export interface Sharer {
  readonly memberId: string
  readonly subscription: Subscription
}

/**
 * Who gets what: as even as can be, and nothing moves that need not.
 *
 * A partition is taken from a member in two rounds, as Kafka's own cooperative assignor does it: first it is given to
 * nobody, so that its holder drains it while all others go on; when the holder has joined again without it, it is handed
 * out. So no partition ever has two holders that are both members.
 */
export function shareOut(members: readonly Sharer[], places: readonly Place[]): ReadonlyMap<string, readonly Place[]> {
  const ordered = [...members].sort((a, b) => (a.memberId < b.memberId ? -1 : 1))
  const holders = new Map<string, Sharer>()
  const drained = new Set<string>()
  for (const member of ordered) {
    for (const place of member.subscription.drains) drained.add(nameOf(place))
    for (const place of member.subscription.keeps) if (!holders.has(nameOf(place))) holders.set(nameOf(place), member)
  }
  const targets = assign({
    members: ordered,
    partitions: places.filter(place => !drained.has(nameOf(place))),
    holder: place => holders.get(nameOf(place)),
    takes: ({ subscription }, { topic }) => subscription.topics.includes(topic),
  })
  const shares = new Map<string, Place[]>(ordered.map(({ memberId }) => [memberId, []]))
  for (const [place, target] of targets) {
    const holder = holders.get(nameOf(place))
    if (holder === undefined || holder === target) shares.get(target.memberId)!.push(place)
  }
  return shares
}
