import type { AbortOptions } from '../../actors/contracts/store.ts'
import { XMachinesError } from '../../actors/errors.ts'

/** Which operations a fault concerns; what is left out is any. */
export interface FaultScope {
  readonly group?: string | undefined
  readonly topic?: string | undefined
  readonly partition?: number | undefined
}

/** A fault that was asked for. */
export interface Fault {
  /** How often it has happened. */
  readonly fired: number
  /** Throws unless it has happened: a test whose fault never fired proves nothing. */
  assertFired(): void
}

/** Holds commits back. */
export interface CommitDelay extends Fault {
  /** Lets the commits that wait, and all later ones, through. */
  release(): void
}

/** How an operation fails. */
export interface Failure {
  /** How many operations fail. @default 1 */
  readonly times?: number
  /** The operation happens, and only its answer is lost. @default false */
  readonly applied?: boolean
}

/** Counts a fault that is armed for some operations. */
export class ArmedFault implements Fault {
  fired = 0
  readonly #what: string
  readonly #scope: FaultScope
  readonly #times: number

  constructor(what: string, scope: FaultScope, times: number = Number.POSITIVE_INFINITY) {
    this.#what = what
    this.#scope = scope
    this.#times = times
  }

  /** Whether it concerns what happens at `place`. */
  covers(place: FaultScope): boolean {
    const { group, topic, partition } = this.#scope
    if (group !== undefined && group !== place.group) return false
    if (topic !== undefined && topic !== place.topic) return false
    return partition === undefined || partition === place.partition
  }

  /** Whether it happens to the operation at `place`, which is then counted. */
  strikes(place: FaultScope): boolean {
    if (this.fired >= this.#times || !this.covers(place)) return false
    this.fired += 1
    return true
  }

  assertFired(): void {
    if (this.fired > 0) return
    throw new Error(`This fault never happened: ${this.#what} ${JSON.stringify(this.#scope)}.`)
  }
}

class Delay extends ArmedFault implements CommitDelay {
  readonly #gate = new AbortController()

  release(): void {
    this.#gate.abort()
  }

  /** Until the release, or until the caller gives up. */
  async wait(place: FaultScope, signal: AbortSignal | undefined): Promise<void> {
    const gate = this.#gate.signal
    if (gate.aborted || !this.strikes(place)) return
    await fires(signal ? AbortSignal.any([gate, signal]) : gate)
  }
}

/** A fault that fails operations, before or after they happened. */
class Failing extends ArmedFault {
  readonly applied: boolean

  constructor(what: string, scope: FaultScope, { times = 1, applied = false }: Failure) {
    super(what, scope, times)
    this.applied = applied
  }
}

/** The faults that are armed, asked by the operations themselves. */
export class FaultPoints {
  readonly #commitDelays: Delay[] = []
  readonly #commitFailures: Failing[] = []
  readonly #sendFailures: Failing[] = []
  readonly #sendRepeats: ArmedFault[] = []

  delayCommits(scope: FaultScope): CommitDelay {
    return arm(this.#commitDelays, new Delay('delayCommits', scope))
  }

  failCommits(scope: FaultScope, failure: Failure): Fault {
    return arm(this.#commitFailures, new Failing('failCommits', scope, failure))
  }

  failSends(scope: FaultScope, failure: Failure): Fault {
    return arm(this.#sendFailures, new Failing('failSends', scope, failure))
  }

  duplicateSends(scope: FaultScope, times: number): Fault {
    return arm(this.#sendRepeats, new ArmedFault('duplicateSends', scope, times))
  }

  /** Runs `commit`, as late and as badly as was asked for. */
  async committing(place: FaultScope, { signal }: AbortOptions, commit: () => void): Promise<void> {
    for (const delay of this.#commitDelays) await delay.wait(place, signal)
    const failure = this.#commitFailures.find(fault => fault.strikes(place))
    if (failure && !failure.applied) throw unavailable('the commit was not taken.')
    commit()
    if (failure) throw unavailable('the answer to the commit was lost.')
  }

  /** Runs `append`, as often and as badly as was asked for. */
  sending<Places>(place: FaultScope, append: () => Places): Places {
    const failure = this.#sendFailures.find(fault => fault.strikes(place))
    if (failure && !failure.applied) throw unavailable('the records were not taken.')
    if (this.#sendRepeats.some(fault => fault.strikes(place))) append()
    const places = append()
    if (failure) throw unavailable('the answer to the send was lost.')
    return places
  }
}

/** A `BROKER_UNAVAILABLE` error. */
export function unavailable(why: string): XMachinesError {
  return new XMachinesError('BROKER_UNAVAILABLE', `The broker could not be reached: ${why} Try again.`)
}

/** Resolves once `signal` has fired. */
export function fires(signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}

function arm<Armed>(list: Armed[], fault: Armed): Armed {
  list.push(fault)
  return fault
}
