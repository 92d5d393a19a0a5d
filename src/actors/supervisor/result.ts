import type { OutgoingRecord } from '../contracts/broker.ts'
import type { NewUnit } from '../contracts/unit.ts'
import type { Output } from '../run/types.ts'

/**
 * The outputs of a unit as records: the key is the run's (the id of a run without one), the value the JSON of an
 * {@link Output}. The header `xmachines-id` is `<run id>/<seq>/<index>`, the same each time it is sent; `xmachines-timestamp` is
 * the unit's time, ms. The record's own time is that of the sending: a topic's retention would delete at once what is stamped in the past.
 */
export function resultsOf(run: string, key: string | undefined, unit: NewUnit): readonly OutgoingRecord[] {
  const { seq, at, outputs } = unit
  return outputs.map((event, index) => {
    const output: Output = { runId: run, seq, index, at, event }
    return {
      key: key ?? run,
      value: JSON.stringify(output),
      headers: { 'xmachines-id': `${run}/${seq}/${index}`, 'xmachines-timestamp': String(Math.max(0, Math.floor(at))) },
    }
  })
}
