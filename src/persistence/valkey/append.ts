import { mailId } from '../judge.ts'
import type { Refused, RunWrite } from '../server/backend.ts'
import { freeGroup, type Keys, leaseKey, leaseName, named, partitionGroup, pinName, unnamed } from './keys.ts'
import { leaseOf, nameText, readLease, readStanding, rowText, unitText } from './row-text.ts'

/** One call of a script holds the server up for all others: so many writes and so many characters, or one write. */
const mostWrites = 128
const mostText = 1 << 20

/** The keys of a call. */
class Places {
  readonly keys: string[]
  readonly #groups = new Map<string, number>()

  constructor(keys: readonly string[]) {
    this.keys = [...keys]
  }

  /** Adds two keys, and gives the place of the first, from 1 on. */
  add(first: string, second: string): number {
    return this.keys.push(first, second) - 1
  }

  /** Where the keys of a group are: many runs share them. */
  ofGroup(group: string, keys: Keys): number {
    let place = this.#groups.get(group)
    if (place === undefined) {
      place = this.add(keys.due(group), keys.busy(group))
      this.#groups.set(group, place)
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
      const needs: number[] = []
      for (const machine of write.machines) {
        if (knowsMachine(machine.oid)) continue
        if (!machines.has(machine.oid)) {
          const text = JSON.stringify(machine)
          machines.set(machine.oid, text)
          size += text.length
        }
        needs.push([...machines.keys()].indexOf(machine.oid) + 1)
      }
      size += pushWrite(args, write, token, keys, places, needs)
    }
    this.count = at - first
    this.keys = places.keys
    this.args = [token, machines.size, ...[...machines].flat(), this.count, ...args]
  }
}

/** Adds what the script wants to know of a write. @param needs machines, by their numbers. Gives about how many characters it is. */
function pushWrite(
  args: (string | number)[],
  { run, expected, lease, row, units, taken, machines }: RunWrite,
  token: string,
  keys: Keys,
  places: Places,
  needs: readonly number[],
): number {
  const pinnedTo = leaseOf(row)
  const group = pinnedTo === '' ? freeGroup(row.namespace) : partitionGroup(pinnedTo)
  const text = rowText(row, token)
  const more = moreOf()
  args.push(
    places.add(keys.run(run), keys.units(run)),
    places.ofGroup(group, keys),
    expected === null ? '' : `${expected.seq}\n${expected.revision}\n`,
    lease === undefined ? '' : leaseName(lease.namespace, lease.partition),
    lease?.epoch ?? '',
    text,
    units.length,
    more.length,
  )
  let size = text.length + 200
  for (const unit of units) {
    const text = unitText(unit)
    args.push(`${unit.seq + 1}-0`, text)
    size += text.length + 20
  }
  args.push(...more)
  return size

  function moreOf(): readonly (string | number)[] {
    const mayBePinned = lease !== undefined && expected !== null
    if (!mayBePinned && expected !== null && taken.length === 0 && machines.length === 0) return nothing
    return [
      mayBePinned ? places.ofGroup(freeGroup(row.namespace), keys) : 0,
      taken.length > 0 ? places.add(keys.inbox(run), keys.mail(run)) : 0,
      expected === null && row.key !== null ? pinName(row.namespace, row.key) : '',
      expected === null || machines.length > 0 ? nameText(row) : '',
      taken.length,
      ...taken.map(mail => named(mailId(mail))),
      needs.length,
      ...needs,
    ]
  }
}

const nothing: readonly never[] = []

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
