import type { XMachinesError } from '../errors.ts'
import type { AdoptedUnit } from './command.ts'
import { LivePort } from './live-port.ts'
import { OutPort } from './out-port.ts'
import { plain } from './receipt.ts'
import type { Resident } from './resident.ts'
import { snapshotOf } from './snapshot.ts'
import type { PortName, RunError, RunSnapshot, SubscribeOptions } from './types.ts'

/** Outputs that a locked reader may fall behind, and errors that are kept, unless told otherwise. */
const defaultBuffer = 256

/** The readable ports of one handle, each for one reader. */
export class Ports {
  readonly #resident: Resident
  /** Those that somebody may read: a cancelled one is gone. */
  readonly #outs = new Set<OutPort>()
  readonly #errs = new Set<LivePort<RunError>>()
  readonly #snapshots = new Set<LivePort<RunSnapshot>>()
  /** The handle was closed. */
  #finished = false
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
        const out: OutPort = new OutPort(this.#resident, from ?? seq + 1, buffer, isGone => {
          if (isGone) this.#outs.delete(out)
          this.letGo()
        })
        this.#outs.add(out)
        return this.#begun(out, error => out.fail(error))
      }
      case 'err': {
        const err: LivePort<RunError> = new LivePort<RunError>(
          buffer,
          [],
          (error, lost) => ({ ...error, lost }),
          () => this.#errs.delete(err),
        )
        this.#errs.add(err)
        return this.#begun(err, error => this.#failErr(err, error))
      }
      case 'snapshot': {
        const first = snapshotOf(run, seq, at, state.snapshot)
        const snapshots: LivePort<RunSnapshot> = new LivePort<RunSnapshot>(1, [first], undefined, () =>
          this.#snapshots.delete(snapshots),
        )
        this.#snapshots.add(snapshots)
        return this.#begun(snapshots, error => snapshots.fail(error))
      }
      default:
        throw new TypeError(`Expected a port to be 'out', 'err' or 'snapshot', got \`${String(name)}\`.`)
    }
  }

  /** A locked reader of `out` is too far behind. */
  get full(): boolean {
    for (const out of this.#outs) if (out.full) return true
    return false
  }

  /** Resolves when a reader of `out` took something. */
  progress(): Promise<void> {
    return new Promise(resolve => this.#held.push(resolve))
  }

  /** Shows units that became durable. */
  adopted(units: readonly AdoptedUnit[]): void {
    for (const out of this.#outs) out.adopted(units)
    if (this.#snapshots.size === 0) return
    const { unit, state } = units[units.length - 1]!
    for (const port of this.#snapshots) port.push(snapshotOf(this.#resident.run, unit.seq, unit.at, state.snapshot))
  }

  /** Shows an error. */
  report(error: RunError): void {
    for (const port of this.#errs) port.push(error)
  }

  /** There is no more to show. */
  finish(): void {
    this.#finished = true
    for (const port of [...this.#outs, ...this.#errs, ...this.#snapshots]) port.finish()
    this.letGo()
  }

  /** The run ended for this reason. */
  fail(error: XMachinesError): void {
    for (const port of [...this.#outs, ...this.#snapshots]) port.fail(error)
    for (const port of this.#errs) this.#failErr(port, error)
    this.letGo()
  }

  /** A reader who comes after the end finds the same end. */
  #begun(
    port: { readonly stream: ReadableStream; finish(): void },
    fail: (error: XMachinesError) => void,
  ): ReadableStream {
    const { over, created, state } = this.#resident
    if (this.#finished) port.finish()
    else if (over?.error !== undefined) fail(over.error)
    else if (over !== undefined || (created && state.snapshot.status !== 'active')) port.finish()
    return port.stream
  }

  #failErr(port: LivePort<RunError>, error: XMachinesError): void {
    const { run, seq } = this.#resident
    port.push({ runId: run, seq, events: [], error: plain(error), fatal: true })
    port.finish()
  }

  /** Whoever waits for a reader looks again. */
  letGo(): void {
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
