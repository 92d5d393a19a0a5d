import type { RecordedEvent } from '../contracts/json.ts'
import type { XMachinesError } from '../errors.ts'
import type { EventLimits } from '../json/event-copy.ts'
import type { MachineDefinition } from '../machine/definition.ts'
import { checkEvents, refusalOf } from './border.ts'

/** What carries events over the border: they are there at once, or awaited, or refused. Either way it keeps its place in the order. */
export abstract class CheckedCommand {
  events: readonly RecordedEvent[] = []
  checking: Promise<void> | undefined = undefined
  refused: XMachinesError | undefined = undefined

  /** Brings these over the border. @param isParsed `JSON.parse` has just made them, and nobody else has them */
  check(definition: MachineDefinition, limits: EventLimits, events: unknown, isParsed = false): void {
    try {
      const checked = checkEvents(definition, limits, events, isParsed)
      if (checked instanceof Promise) this.checking = this.#await(checked)
      else this.events = checked
    } catch (thrown) {
      this.refuse(thrown)
    }
  }

  /** It did not pass. */
  refuse(thrown: unknown): void {
    this.refused = refusalOf(thrown)
  }

  async #await(checked: Promise<readonly RecordedEvent[]>): Promise<void> {
    try {
      this.events = await checked
    } catch (thrown) {
      this.refuse(thrown)
    }
    this.checking = undefined
  }
}
