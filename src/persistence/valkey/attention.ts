import type { DueQuery, DueRun, LeaseKey } from '../../actors/contracts/store.ts'
import type { ServerAttention } from '../server/backend.ts'
import { type Connection, script } from './connection.ts'
import { freeGroup, type Keys, leaseName, named, ofMember, partitionGroup, scoreOf } from './keys.ts'
import { renewScript } from './scripts/leases.ts'
import { dueScript } from './scripts/reading.ts'
import type { Writes } from './writes.ts'

const scripts = { due: script(dueScript), renew: script(renewScript) }

/** For how long after its end a process is remembered, ms. */
const processesKept = 30 * 24 * 3_600_000

/** Which runs need something, and which processes live. */
export class DueRuns implements ServerAttention {
  readonly #connection: Connection
  readonly #keys: Keys
  readonly #writes: Writes

  constructor(connection: Connection, keys: Keys, writes: Writes) {
    this.#connection = connection
    this.#keys = keys
    this.#writes = writes
  }

  async due(query: DueQuery): Promise<readonly DueRun[]> {
    const { lease, namespace, before, limit } = query
    if (limit <= 0) return []
    const groups = await this.#groups(query)
    const keys = [this.#keys.processes, ...groups.flatMap(group => [this.#keys.due(group), this.#keys.busy(group)])]
    const ending = lease === undefined || namespace === undefined ? '' : `\n${named(namespace)}`
    const found = await this.#connection.run(scripts.due, keys, () => [scoreOf(before), limit, ending])
    return dueRuns(found as (string | number)[], query)
  }

  async renew(process: string, until: number): Promise<void> {
    const args = [JSON.stringify(process), scoreOf(until), scoreOf(until - processesKept)]
    await this.#writes.run(scripts.renew, [this.#keys.marks, this.#keys.processes], args)
  }

  async livesUntil(processes: readonly string[]): Promise<readonly number[]> {
    if (processes.length === 0) return []
    const names = processes.map(process => JSON.stringify(process))
    const scores = (await this.#connection.ask('zmscore', [this.#keys.processes, ...names])) as (string | null)[]
    return scores.map(score => Number(score ?? 0))
  }

  async #groups({ lease, namespace }: DueQuery): Promise<readonly string[]> {
    if (lease !== undefined) return [groupOf(lease)]
    if (namespace !== undefined) return [freeGroup(namespace)]
    const names = (await this.#connection.ask('smembers', [this.#keys.namespaces])) as string[]
    return names.map(name => `free:${name}`)
  }
}

/** The group of a partition. */
function groupOf({ namespace, partition }: LeaseKey): string {
  return partitionGroup(leaseName(namespace, partition))
}

/** Who is due, of what the script found: each once, with the earliest of its times, in order. */
function dueRuns(found: readonly (string | number)[], { lease, limit }: DueQuery): DueRun[] {
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
