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
  writeSoon(outbox: Outbox): void
  outputsSent(count: number): void
  deadLettered(): void
  duplicate(): void
  tell(happening: Happening): void
  /** Something happened that whoever waits to be caught up may want to look at. */
  progressed(): void
}
