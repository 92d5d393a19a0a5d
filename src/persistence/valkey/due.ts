import type { DueRun, LeaseKey, Store } from '../../actors/contracts/store.ts'
import { leaseName, ofMember, partitionGroup } from './keys.ts'

/** What `Store.due` is asked for. */
export type DueQuery = Parameters<Store['due']>[0]

/** The group of a partition. */
export function groupOf({ namespace, partition }: LeaseKey): string {
  return partitionGroup(leaseName(namespace, partition))
}

/** Who is due, of what the script found: each once, with the earliest of its times, in order. */
export function dueRuns(found: readonly (string | number)[], { lease, limit }: DueQuery): DueRun[] {
  const times = new Map<string, number>()
  for (let at = 0; at < found.length; at += 3) {
    const member = String(found[at + 1])
    times.set(member, Math.min(times.get(member) ?? Number.POSITIVE_INFINITY, Number(found[at + 2])))
  }
  const runs = [...times].map(([member, due]) => ({ ...ofMember(member), due }))
  runs.sort((a, b) => a.due - b.due || (a.run < b.run ? -1 : 1))
  const partition = lease && { namespace: lease.namespace, partition: lease.partition }
  return runs.slice(0, limit).map(run => (partition === undefined ? run : { ...run, lease: partition }))
}
