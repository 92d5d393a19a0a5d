/** Who may hold what, and who holds it now. */
export interface Assignable<Member, Partition> {
  /** In the order in which they joined. */
  readonly members: readonly Member[]
  readonly partitions: readonly Partition[]
  holder(partition: Partition): Member | undefined
  takes(member: Member, partition: Partition): boolean
}

/**
 * Sticky assignment: every partition that someone takes has a member, loads differ by at most one where members take the
 * same topics, and no partition moves that need not.
 */
export function assign<Member extends object, Partition>({
  members,
  partitions,
  holder,
  takes,
}: Assignable<Member, Partition>): Map<Partition, Member> {
  const held = new Map<Member, Set<Partition>>(members.map(member => [member, new Set()]))
  const loadOf = (member: Member) => held.get(member)!.size
  const leastLoaded = (partition: Partition) =>
    members.filter(member => takes(member, partition)).reduce(lighter(loadOf), undefined)

  const unheld: Partition[] = []
  for (const partition of partitions) {
    const member = holder(partition)
    const own = member && held.get(member)
    if (own) own.add(partition)
    else unheld.push(partition)
  }
  for (const partition of unheld) {
    const member = leastLoaded(partition)
    if (member !== undefined) held.get(member)!.add(partition)
  }

  /** One partition from a member to another that holds at least two fewer; the most loaded gives first. */
  const level = (): boolean => {
    for (const giver of [...members].sort((a, b) => loadOf(b) - loadOf(a))) {
      for (const partition of [...held.get(giver)!].reverse()) {
        const taker = leastLoaded(partition)
        if (taker === undefined || loadOf(taker) + 2 > loadOf(giver)) continue
        held.get(giver)!.delete(partition)
        held.get(taker)!.add(partition)
        return true
      }
    }
    return false
  }
  while (level());

  return new Map([...held].flatMap(([member, own]) => [...own].map(partition => [partition, member] as const)))
}

function lighter<Member>(loadOf: (member: Member) => number) {
  return (best: Member | undefined, member: Member): Member =>
    best !== undefined && loadOf(best) <= loadOf(member) ? best : member
}
