/** One side of a comparison: does the work once and says how many units it did. */
export interface Side {
  readonly name: string
  /** Prepares a round outside of the measured time. */
  prepare?(): Promise<void> | void
  run(): Promise<number> | number
  /** Cleans up after a round, outside of the measured time. */
  after?(): Promise<void> | void
}

/** What a comparison found, in nanoseconds a unit. */
export interface Comparison {
  readonly bench: string
  /** `null`: it is measured to compare others with. */
  readonly reach: number | null
  readonly ratio: number
  readonly base: { readonly name: string; readonly ns: number }
  readonly ours: { readonly name: string; readonly ns: number }
}

/** Something that is measured by itself, and what it should not be over. */
export interface Measure {
  readonly bench: string
  readonly value: number
  readonly unit: string
  readonly atMost: number
  readonly note?: string
}

/**
 * Runs both sides in alternating rounds, so that whatever else the machine does hits both alike, and compares the medians.
 * `ratio` is base time ÷ our time: 1 is equal, more is faster than the base.
 */
export async function compare(
  bench: string,
  reach: number | null,
  base: Side,
  ours: Side,
  rounds = 7,
): Promise<Comparison> {
  const times = new Map<Side, number[]>([
    [base, []],
    [ours, []],
  ])
  for (let round = -2; round < rounds; round++) {
    for (const side of round % 2 === 0 ? [base, ours] : [ours, base]) {
      await side.prepare?.()
      const start = process.hrtime.bigint()
      const units = await side.run()
      const ns = Number(process.hrtime.bigint() - start) / units
      await side.after?.()
      if (round >= 0) times.get(side)!.push(ns)
    }
  }
  const [baseNs, oursNs] = [median(times.get(base)!), median(times.get(ours)!)]
  const result = {
    bench,
    reach,
    ratio: round(baseNs / oursNs),
    base: { name: base.name, ns: Math.round(baseNs) },
    ours: { name: ours.name, ns: Math.round(oursNs) },
  }
  const verdict = reach === null ? 'to compare' : `to reach ${reach}×: ${result.ratio >= reach ? 'reached' : 'short'}`
  console.error(
    `${bench.padEnd(28)} ${String(result.ratio).padStart(5)}×  (${verdict})  ${ours.name} ${result.ours.ns} ns, ${base.name} ${result.base.ns} ns`,
  )
  return result
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[values.length >> 1]!
}

function round(value: number): number {
  return Math.round(value * 100) / 100
}
