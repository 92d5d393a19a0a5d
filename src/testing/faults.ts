/** One planned fault. */
export interface PlannedFault {
  readonly point: string
  /** How many calls it has met. */
  readonly fired: number
  /** Resolves when it meets its first call. */
  readonly met: Promise<void>
  /** Lets the calls go on that it holds, and those that it would hold. Of points that hold; otherwise nothing. */
  release(): void
}

/** How a fault is planned. */
export interface FaultPlan<Call = unknown> {
  /** How many calls pass before the first one is met. @default 0 */
  readonly skip?: number
  /** How many calls are met. @default 1 */
  readonly times?: number
  /** Which calls count, by what they were called with. @default all */
  readonly when?: (call: Call) => boolean
}

/** A fault as the wrapper meets it. */
export interface MetFault {
  readonly point: string
  /** Resolves when the caller releases the fault. */
  readonly released: Promise<void>
}

/**
 * The faults that a test planned for a wrapper, by the name of the point where they happen. A fault that never happened
 * proves nothing: tests end with {@link Faults.assertAllFired}.
 */
export class Faults<Point extends string, Call = unknown> {
  readonly #known: ReadonlySet<string>
  readonly #planned: Planned<Call>[] = []

  /** @param known every point that the wrapper has */
  constructor(known: readonly Point[]) {
    this.#known = new Set(known)
  }

  /** Plans a fault at `point`. Plans of one point are met in the order of their planning. */
  plan(point: Point, plan: FaultPlan<Call> = {}): PlannedFault {
    if (!this.#known.has(point)) {
      throw new TypeError(`Expected a point of this wrapper, got ${point}. Points: ${[...this.#known].join(', ')}.`)
    }
    const planned = new Planned(point, plan)
    this.#planned.push(planned)
    return planned
  }

  /** The fault that meets this call at one of `points`, if one was planned. For wrappers. */
  meet(points: readonly Point[], call: Call): MetFault | undefined {
    return this.#planned.find(planned => (points as readonly string[]).includes(planned.point) && planned.meets(call))
  }

  /** Throws unless every planned fault met as many calls as it was planned for. */
  assertAllFired(): void {
    const missing = this.#planned.filter(planned => planned.fired < planned.times)
    if (missing.length === 0) return
    const list = missing.map(({ point, fired, times }) => `${point} (${fired} of ${times})`).join(', ')
    throw new Error(`Expected every planned fault to have happened; these did not: ${list}.`)
  }
}

class Planned<Call> implements PlannedFault, MetFault {
  readonly point: string
  readonly times: number
  fired = 0
  readonly met: Promise<void>
  readonly released: Promise<void>
  release!: () => void
  #onMet!: () => void
  #toSkip: number
  readonly #when: (call: Call) => boolean

  constructor(point: string, { skip = 0, times = 1, when = () => true }: FaultPlan<Call>) {
    this.point = point
    this.times = times
    this.#toSkip = skip
    this.#when = when
    this.met = new Promise(resolve => (this.#onMet = resolve))
    this.released = new Promise(resolve => (this.release = resolve))
  }

  meets(call: Call): boolean {
    if (this.fired >= this.times || !this.#when(call)) return false
    if (this.#toSkip > 0) {
      this.#toSkip--
      return false
    }
    this.fired++
    this.#onMet()
    return true
  }
}
