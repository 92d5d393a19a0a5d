import type { LeaseKey, LeaseRow } from '../../actors/contracts/store.ts'
import type { WrittenRow } from '../server/run-row.ts'
import type { PostgresRow } from './client.ts'
import { fromText, toKey } from './names.ts'
import type { Tables } from './schema.ts'

/** The lease of a run that is pinned to no partition. */
export const noLease = ''

/** One name for a partition. */
export function leaseName({ namespace, partition }: LeaseKey): string {
  return toKey(namespace, partition)
}

/** The lease of a run as its row names it. */
export function rowLease({ leaseNamespace: namespace, leasePartition: partition }: WrittenRow): string {
  return namespace === null || partition === null ? noLease : leaseName({ namespace, partition })
}

/** What {@link runRow} reads, of a run `r`, its machine `m` and its partition `l`. */
export const runColumns = `r.run, r.namespace, r.key, r.time, r.machine, m.id, m.version, r.seq, r.revision, r.at, r.status,
  r.value, r.due, l.namespace, l.partition, r.fork, r.beside, r.process, r.wakes`

/** How many they are. */
export const runColumnCount = 19

/** What they are read from. */
export function runTables({ runs, machines, leases }: Tables): string {
  return `${runs} r left join ${machines} m on m.oid = r.machine left join ${leases} l on l.lease = r.lease`
}

/** A run as the server keeps it. */
export function runRow(columns: PostgresRow): WrittenRow {
  const [run, namespace, key, time, machine, machineId, version, seq, revision, at, status, ...others] = columns
  const [value, due, leaseNamespace, leasePartition, fork, beside, process, wakes] = others
  return {
    run: fromText(run!),
    namespace: fromText(namespace!),
    key: nameOf(key),
    time: time as WrittenRow['time'],
    machine: machine!,
    machineId: nameOf(machineId) ?? '',
    version: nameOf(version) ?? '',
    seq: Number(seq),
    revision: Number(revision),
    at: Number(at),
    status: status as WrittenRow['status'],
    value: value ?? null,
    due: numberOf(due),
    leaseNamespace: nameOf(leaseNamespace),
    leasePartition: numberOf(leasePartition),
    fork: fork ?? null,
    beside: beside!,
    process: nameOf(process),
    wakes: wakes === 't',
  }
}

/** What {@link leaseRow} reads, of a row `l`. */
export const leaseColumns = 'l.namespace, l.partition, l.epoch, l.owner, l."group"'

/** A partition's row; `undefined`: there is none. */
export function leaseRow([namespace, partition, epoch, owner, group]: PostgresRow): LeaseRow | undefined {
  if (namespace === null || namespace === undefined) return undefined
  return {
    namespace: fromText(namespace),
    partition: Number(partition),
    epoch: Number(epoch),
    owner: nameOf(owner),
    group: nameOf(group),
  }
}

/** A name that may be missing. */
export function nameOf(text: string | null | undefined): string | null {
  return text === null || text === undefined ? null : fromText(text)
}

function numberOf(text: string | null | undefined): number | null {
  return text === null || text === undefined ? null : Number(text)
}
