import type { RunStatus } from '../../actors/contracts/store.ts'
import type { ObjectFormat } from '../../actors/contracts/unit.ts'

/** Where the fields of a packed row are, counted from its start. */
export interface RowLayout {
  readonly idBytes: number
  readonly head: number
  readonly mark: number
  readonly snapshot: number
  readonly at: number
  readonly due: number
  readonly revision: number
  readonly heap: number
  readonly partition: number
  readonly seq: number
  readonly heapLength: number
  readonly pinHash: number
  readonly machine: number
  readonly namespace: number
  readonly leaseNamespace: number
  readonly flags: number
  readonly size: number
}

function layoutFor(idBytes: number): RowLayout {
  let next = idBytes
  const field = (size: number): number => (next += size) - size
  return {
    idBytes,
    head: field(8),
    mark: field(8),
    snapshot: field(8),
    at: field(8),
    due: field(8),
    revision: field(8),
    heap: field(8),
    partition: field(8),
    seq: field(4),
    heapLength: field(4),
    pinHash: field(4),
    machine: field(4),
    namespace: field(4),
    leaseNamespace: field(4),
    flags: field(4),
    size: next,
  }
}

/** Where the fields of a packed row are. */
export const rowLayouts: Readonly<Record<ObjectFormat, RowLayout>> = { sha1: layoutFor(20), sha256: layoutFor(32) }

/** Bits of a row's flags; the status is in the lowest two. */
export const flag = { source: 4, keyed: 8, process: 16 } as const

/** Statuses by their number in the flags. */
export const statuses: readonly RunStatus[] = ['active', 'done', 'error', 'stopped']
