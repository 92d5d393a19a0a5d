import type { Delivery } from './sender.ts'

/**
 * What is to be sent, entry by entry; what names no run is for the first of `runs`.
 * @param keep sends only these, by index
 * @throws a TypeError for an entry that is for no run
 */
export function deliveriesOf(
  script: readonly unknown[],
  runs: readonly string[],
  keep: readonly number[] | undefined,
): readonly Delivery[] {
  const deliveries: Delivery[] = []
  for (const [index, entry] of script.entries()) {
    if (keep !== undefined && !keep.includes(index)) continue
    const addressed = !Array.isArray(entry) && !('type' in (entry as object))
    const { run, event } = (addressed ? entry : { run: runs[0]!, event: entry }) as { run: string; event: never }
    if (!runs.includes(run))
      throw new TypeError(
        `Expected each event to have a \`type\`, or the \`run\` that it is for; there are the runs ${runs.join(', ')}, got ${JSON.stringify(entry)}.`,
      )
    deliveries.push({ id: `${index}`, run, events: event, receipt: undefined })
  }
  return deliveries
}
