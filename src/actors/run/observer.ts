import type { RecordedEvent } from '../contracts/json.ts'
import type { XMachinesError } from '../errors.ts'
import type { AdoptedUnit } from './command.ts'

/** Who watches a resident run: its handles, its supervisor. */
export interface Observer {
  /** Units became durable, oldest first. */
  adopted(units: readonly AdoptedUnit[]): void
  /** Something was refused, or failed without changing anything. */
  refused(seq: number, events: readonly RecordedEvent[], error: XMachinesError): void
  /** The resident is over: `undefined` after a close, else why. */
  ended(error: XMachinesError | undefined): void
}
