import type { LeaseRow } from '../../actors/contracts/store.ts'
import type { TimeMode } from '../../actors/contracts/unit.ts'
import type { WrittenRow, WrittenUnit } from '../server/run-row.ts'
import { leaseKey, leaseName, named, unnamed } from './keys.ts'

/*
 * Rows as text. Numbers stay the text that JavaScript wrote, as the server's scripts would round them; a line each, as
 * scripts find lines faster than they parse JSON.
 */

/**
 * What changes of a run, a line each: seq, revision, token of the last write, due, partition, process, namespace, status,
 * whether mail wakes it, at, value, beside. The scripts know the first nine.
 */
export function rowText(row: WrittenRow, token: string): string {
  const { seq, revision, namespace, due, process, status, wakes, at, value, beside } = row
  const places = `${due ?? ''}\n${leaseOf(row)}\n${process === null ? '' : JSON.stringify(process)}\n${named(namespace)}`
  return `${seq}\n${revision}\n${token}\n${places}\n${status}\n${wakes ? 1 : 0}\n${at}\n${value ?? ''}\n${beside}`
}

/** What hardly changes of a run: only with its machine. */
export function nameText({ namespace, key, time, machine, machineId, version, fork }: WrittenRow): string {
  return JSON.stringify([namespace, key, time, machine, machineId, version, fork])
}

type NameText = [
  namespace: string,
  key: string | null,
  time: TimeMode,
  machine: string,
  machineId: string,
  version: string,
  fork: string | null,
]

/** The partition of a row: empty where it is pinned to none. */
export function leaseOf({ leaseNamespace, leasePartition }: WrittenRow): string {
  return leaseNamespace === null || leasePartition === null ? '' : leaseName(leaseNamespace, leasePartition)
}

/** Where a row of text stands. */
export interface Standing {
  readonly seq: number
  readonly revision: number
  readonly token: string
  /** {@link leaseName}, or empty. */
  readonly lease: string
  readonly namespace: string
}

/** The first lines of {@link rowText}. */
export function readStanding(row: string): Standing {
  const [seq, revision, token, , lease = '', , namespace = ''] = row.split('\n', 7) as [string, string, string]
  return { seq: Number(seq), revision: Number(revision), token, lease, namespace: unnamed(namespace) }
}

/** A row from {@link rowText} and {@link nameText}. @throws where something else wrote to it */
export function readRowText(run: string, row: string, name: string | null | undefined): WrittenRow {
  if (typeof name !== 'string') throw new Error('its field `name` is missing')
  const lines = row.split('\n') as [string, ...string[]]
  const [seq, revision, , due, lease, process, , status, wakes, at, value, beside] = lines
  const [namespace, key, time, machine, machineId, version, fork] = JSON.parse(name) as NameText
  const pinned = lease === '' ? undefined : leaseKey(lease!)
  return {
    run,
    namespace,
    key,
    time,
    machine,
    machineId,
    version,
    seq: Number(seq),
    revision: Number(revision),
    at: Number(at),
    status: status as WrittenRow['status'],
    value: value === '' ? null : value!,
    due: due === '' ? null : Number(due),
    leaseNamespace: pinned?.namespace ?? null,
    leasePartition: pinned?.partition ?? null,
    fork,
    beside: beside!,
    process: process === '' ? null : (JSON.parse(process!) as string),
    wakes: wakes === '1',
  }
}

/** A unit, a line each: at, events, rest. */
export function unitText({ at, events, rest }: WrittenUnit): string {
  return `${at}\n${events}\n${rest}`
}

/** A unit from its entry and {@link unitText}. */
export function readUnit(entry: string, text: string): WrittenUnit {
  const [at, events, rest] = text.split('\n') as [string, string, string]
  return { seq: Number.parseInt(entry, 10) - 1, at: Number(at), events, rest }
}

/** A partition's row from its text, a line each: epoch, owner, group. @param name {@link leaseName} */
export function readLease(name: string, text: string): LeaseRow {
  const [epoch, owner, group] = text.split('\n') as [string, string, string]
  const nameIn = (line: string): string | null => (line === '' ? null : (JSON.parse(line) as string))
  return { ...leaseKey(name), epoch: Number(epoch), owner: nameIn(owner), group: nameIn(group) }
}
