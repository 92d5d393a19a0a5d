import type { Counts } from './counts.ts'
import type { Happening } from './events.ts'
import type { Settings } from './options.ts'
import type { Outbox } from './outbox.ts'
import type { Residents } from './residents.ts'
import type { Sender } from './sender.ts'

/** What a lease needs of its supervisor. */
export interface LeaseHome {
  readonly settings: Settings
  readonly residents: Residents
  readonly results: Sender | undefined
  readonly deadLetters: Sender | undefined
  readonly counts: Counts
  /** How many leases there are already. */
  readonly leaseCount: number
  writeSoon(outbox: Outbox): void
  tell(happening: Happening): void
  /** Something happened that whoever waits to be caught up may want to look at. */
  progressed(): void
}
