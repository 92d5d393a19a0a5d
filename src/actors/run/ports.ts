import type { AdoptedUnit } from './command.ts'
import { LivePort } from './live-port.ts'
import { OutPort } from './out-port.ts'
import type { Resident } from './resident.ts'
import { snapshotOf } from './snapshot.ts'
import type { PortName, RunError, RunSnapshot, SubscribeOptions } from './types.ts'

/** Outputs that a locked reader may fall behind, and errors that are kept, unless told otherwise. */
const defaultBuffer = 256

/** The readable ports of one handle, each for one reader. */
export class Ports {
  readonly #resident: Resident
  #outs: readonly OutPort[] = []
  #errs: readonly LivePort<RunError>[] = []
  #snapshots: readonly LivePort<RunSnapshot>[] = []
  /** Wait until a reader of `out` takes something. */
  #held: (() => void)[] = []

  constructor(resident: Resident) {
    this.#resident = resident
  }

  /** A further reader. @throws TypeError for options that cannot be meant */
  open(name: PortName, { buffer = defaultBuffer, from }: SubscribeOptions): ReadableStream {
    const { run, seq, at, state } = this.#resident
    checkReading(name, buffer, from)
    switch (name) {
      case 'out': {
        const out = new OutPort(this.#resident, from ?? seq + 1, buffer, () => this.#progressed())
        this.#outs = [...this.#outs, out]
        return this.#begun(out)
      }
      case 'err': {
        const err = new LivePort<RunError>(buffer, [], (error, lost) => ({ ...error, lost }))
        this.#errs = [...this.#errs, err]
        return this.#begun(err)
      }
      case 'snapshot': {
        const snapshots = new LivePort<RunSnapshot>(1, [snapshotOf(run, seq, at, state.snapshot)])
        this.#snapshots = [...this.#snapshots, snapshots]
        return this.#begun(snapshots)
      }
      default:
        throw new TypeError(`Expected a port to be 'out', 'err' or 'snapshot', got \`${String(name)}\`.`)
    }
  }

  /** A locked reader of `out` is too far behind. */
  get full(): boolean {
    return this.#outs.some(out => out.full)
  }

  /** Resolves when a reader of `out` took something. */
  progress(): Promise<void> {
    return new Promise(resolve => this.#held.push(resolve))
  }

  /** Shows units that became durable. */
  adopted(units: readonly AdoptedUnit[]): void {
    for (const out of this.#outs) out.adopted(units)
    if (this.#snapshots.length === 0) return
    const { unit, state } = units[units.length - 1]!
    for (const port of this.#snapshots) port.push(snapshotOf(this.#resident.run, unit.seq, unit.at, state.snapshot))
  }

  /** Shows an error. */
  report(error: RunError): void {
    for (const port of this.#errs) port.push(error)
  }

  /** There is no more to show. */
  finish(): void {
    for (const port of [...this.#outs, ...this.#errs, ...this.#snapshots]) port.finish()
    this.#progressed()
  }

  /** The run ended for this reason. */
  fail(error: unknown): void {
    for (const port of [...this.#outs, ...this.#snapshots]) port.fail(error)
    for (const port of this.#errs) port.finish()
    this.#progressed()
  }

  #begun(port: { readonly stream: ReadableStream; finish(): void }): ReadableStream {
    const { over, created, state } = this.#resident
    if (over !== undefined || (created && state.snapshot.status !== 'active')) port.finish()
    return port.stream
  }

  #progressed(): void {
    if (this.#held.length > 0) for (const resolve of this.#held.splice(0)) resolve()
  }
}

/** @throws TypeError for what would never be reached: a reader that waits for it hangs, or holds `in` back for ever */
function checkReading(name: PortName, buffer: number, from: number | undefined): void {
  const least = name === 'out' ? 0 : 1
  if (typeof buffer !== 'number' || !(buffer >= least))
    throw new TypeError(
      `Expected \`buffer\` to be a number from ${least}, got \`${String(buffer)}\` (${typeof buffer}).`,
    )
  if (from !== undefined && !(Number.isSafeInteger(from) && from >= 0))
    throw new TypeError(`Expected \`from\` to be a whole number from 0, got \`${String(from)}\` (${typeof from}).`)
}
