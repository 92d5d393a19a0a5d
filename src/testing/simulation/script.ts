import type { Delivery } from './sender.ts'

/**
 * What is to be sent, entry by entry; what names no run is for the first of `runs`.
 * @param keep sends only these, by index
 * @throws a TypeError for what is no script, an entry that is for no run, and an index that no entry has
 */
export function deliveriesOf(
  script: readonly unknown[],
  runs: readonly string[],
  keep: readonly number[] | undefined,
): readonly Delivery[] {
  if (!Array.isArray(script))
    throw new TypeError(
      `Expected \`events\` to be a list, or to make one of the seed's randomness, got ${typeof script}.`,
    )
  // Without it, nothing is sent, and whatever was to be seen again passes.
  const missing = keep?.find(index => !Object.hasOwn(script, index))
  if (missing !== undefined)
    throw new TypeError(`Expected \`keep\` to name events of the script, which has ${script.length}; got ${missing}.`)
  const deliveries: Delivery[] = []
  for (const [index, entry] of script.entries()) {
    if (keep !== undefined && !keep.includes(index)) continue
    if (typeof entry !== 'object' || entry === null)
      throw new TypeError(`Expected each event to be an object with a \`type\`, got ${JSON.stringify(entry)}.`)
    const addressed = !Array.isArray(entry) && !('type' in entry)
    const { run, event } = (addressed ? entry : { run: runs[0]!, event: entry }) as { run: string; event: never }
    if (!runs.includes(run))
      throw new TypeError(
        `Expected each event to have a \`type\`, or the \`run\` that it is for; there are the runs ${runs.join(', ')}, got ${JSON.stringify(entry)}.`,
      )
    deliveries.push({ id: `${index}`, run, events: event, receipt: undefined })
  }
  return deliveries
}

/** @throws a TypeError for runs that events could not be told apart by */
export function checkRuns(runs: readonly { readonly key: string }[]): void {
  const keys = new Set<unknown>()
  for (const run of runs) {
    const key = (run as { key?: unknown } | null)?.key
    if (typeof key !== 'string' || keys.has(key))
      throw new TypeError(`Expected each of \`runs\` to have a \`key\` of its own, got ${JSON.stringify(run)}.`)
    keys.add(key)
  }
  if (keys.size === 0) throw new TypeError('Expected `runs` to name a run, or to be left away, got none.')
}
