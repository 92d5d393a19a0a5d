import { readFileSync } from 'node:fs'
import type { PermitEvent } from '../../examples/permits/machine.ts'

/** A line of the log: something happened to a case. */
export interface PermitRecord {
  readonly key: string
  /** ms since 1970 */
  readonly at: number
  readonly event: PermitEvent
}

/** The whole log, in the order in which it happened. */
export function readPermits(): readonly PermitRecord[] {
  const file = new URL('../../examples/permits/permits.ndjson', import.meta.url)
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter(line => line !== '')
    .map(line => JSON.parse(line))
}

/** Names the broker's cluster: whoever sends the same records again is recognised by it. */
export const clusterId = 'permits-demo'
export const topic = 'permits'
