import { messageOf, XMachinesError } from '../errors.ts'
import { type Inspect, Inspection } from '../machine/inspection.ts'
import type { AdoptedUnit } from './command.ts'
import type { Observer } from './observer.ts'
import type { Resident } from './resident.ts'

/** Shows a run in memory to an inspector: its state as it is found, then each unit once it is durable. */
export class RunInspection implements Observer {
  readonly #resident: Resident
  readonly #inspection: Inspection
  #over = false

  constructor(resident: Resident, inspect: Inspect) {
    const { run, name, seq, at, state, program, system } = resident
    this.#resident = resident
    this.#inspection = new Inspection(inspect, run, name.key || undefined)
    // Of a run whose creation is on its way, the first unit that comes begins it.
    if (resident.created)
      this.#show(seq, () =>
        this.#inspection.begin({ seq, at }, state, program.definition.machine, system.root.options.input),
      )
  }

  adopted(units: readonly AdoptedUnit[]): void {
    const { machine } = this.#resident.program.definition
    for (const { unit, state } of units) this.#show(unit.seq, () => this.#inspection.next(unit, state, machine))
  }
  refused(): void {}
  ended(): void {}

  /** An inspector that throws is shown nothing more: the run goes on. */
  #show(seq: number, work: () => void): void {
    if (this.#over) return
    try {
      work()
    } catch (thrown) {
      this.#over = true
      const message = `The inspector threw, and is shown nothing more: ${messageOf(thrown)}`
      this.#resident.report(seq, new XMachinesError('EFFECT_FAILED', message, { cause: thrown }))
    }
  }
}

const inspected = new WeakMap<Resident, Set<Inspect>>()

/** Shows a run to an inspector for as long as it is in memory: once, however often it is asked for. */
export function inspectResident(resident: Resident, inspect: Inspect): void {
  const inspectors = inspected.get(resident) ?? new Set()
  if (inspectors.has(inspect)) return
  inspected.set(resident, inspectors.add(inspect))
  resident.watch(new RunInspection(resident, inspect))
}
