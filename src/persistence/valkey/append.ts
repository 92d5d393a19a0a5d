import { mailId } from '../judge.ts'
import type { Refused, RunWrite } from '../server/backend.ts'
import { freeGroup, type Keys, leaseKey, leaseName, memberOf, named, partitionGroup, pinName, unnamed } from './keys.ts'
import { leaseOf, nameText, readLease, readStanding, rowText } from './row-text.ts'

/** One call of a script holds the server up for all others: so many writes and so many characters, or one write. */
const mostWrites = 128
const mostText = 1 << 20

/** The keys of a call, each once. */
class Places {
  readonly keys: string[]
  readonly #places = new Map<string, number>()

  constructor(keys: readonly string[]) {
    this.keys = [...keys]
  }

  /** Where a key is, from 1 on. */
  of(key: string): number {
    let place = this.#places.get(key)
    if (place === undefined) {
      place = this.keys.push(key)
      this.#places.set(key, place)
    }
    return place
  }
}

/** Some writes as one call of the script. */
export class AppendCall {
  /** Where the first write of this call is among those of the append. */
  readonly first: number
  readonly count: number
  readonly keys: readonly string[]
  readonly args: readonly (string | number)[]

  constructor(
    writes: readonly RunWrite[],
    first: number,
    token: string,
    keys: Keys,
    knowsMachine: (oid: string) => boolean,
  ) {
    this.first = first
    const places = new Places([keys.marks, keys.runs, keys.namespaces, keys.pins, keys.leases, keys.machines])
    const args: (string | number)[] = []
    const machines = new Map<string, string>()
    let size = 0
    let at = first
    for (; at < writes.length && at - first < mostWrites && (size < mostText || at === first); at++) {
      const write = writes[at]!
      size += pushWrite(args, write, token, keys, places)
      const unknown = write.machines.filter(({ oid }) => !knowsMachine(oid))
      args.push(unknown.length)
      for (const machine of unknown) {
        if (!machines.has(machine.oid)) {
          const text = JSON.stringify(machine)
          machines.set(machine.oid, text)
          size += text.length
        }
        args.push([...machines.keys()].indexOf(machine.oid) + 1)
      }
    }
    this.count = at - first
    this.keys = places.keys
    this.args = [token, machines.size, ...[...machines].flat(), this.count, ...args]
  }
}

/** Adds what the script wants to know of a write. Gives about how many characters it is. */
function pushWrite(
  args: (string | number)[],
  { run, expected, lease, row, units, taken, machines }: RunWrite,
  token: string,
  keys: Keys,
  places: Places,
): number {
  const member = memberOf(run, row.namespace)
  const pinnedTo = leaseOf(row)
  const free = freeGroup(row.namespace)
  const group = pinnedTo === '' ? free : partitionGroup(pinnedTo)
  const mayBePinned = pinnedTo !== '' && lease !== undefined && expected !== null
  const isNamed = expected === null || machines.length > 0
  const text = rowText(row, token)
  const name = isNamed ? nameText(row) : ''
  args.push(
    places.of(keys.run(run)),
    units.length > 0 ? places.of(keys.units(run)) : 0,
    places.of(keys.due(group)),
    places.of(keys.busy(group)),
    mayBePinned ? places.of(keys.due(free)) : 0,
    mayBePinned ? places.of(keys.busy(free)) : 0,
    taken.length > 0 ? places.of(keys.inbox(run)) : 0,
    taken.length > 0 ? places.of(keys.mail(run)) : 0,
    named(run),
    member,
    expected?.seq ?? '',
    expected?.revision ?? '',
    lease === undefined ? '' : leaseName(lease.namespace, lease.partition),
    lease?.epoch ?? '',
    expected === null && row.key !== null ? pinName(row.namespace, row.key) : '',
    text,
    name,
    units.length,
  )
  let size = text.length + name.length + 200
  for (const { seq, at, events, rest } of units) {
    args.push(`${seq + 1}-0`, at, events, rest)
    size += events.length + rest.length + 30
  }
  args.push(taken.length)
  for (const mail of taken) args.push(named(mailId(mail)))
  return size
}

/** What the script says of a write that it refused. */
export function readRefusal([row, pinned, ...leases]: readonly string[]): Refused {
  const standing = row === undefined || row === '' ? undefined : readStanding(row)
  const pairs = leases.flatMap((name, at) => (at % 2 === 0 ? [[name, leases[at + 1]!] as const] : []))
  return {
    row: standing && {
      seq: standing.seq,
      revision: standing.revision,
      token: standing.token,
      lease: standing.lease === '' ? undefined : leaseKey(standing.lease),
    },
    pinned: pinned === undefined || pinned === '' ? undefined : unnamed(pinned),
    leases: pairs.filter(([, text]) => text !== '').map(([name, text]) => readLease(name, text)),
  }
}
