import type { OutgoingRecord } from '../contracts/broker.ts'
import type { NewUnit } from '../contracts/unit.ts'
import type { Output } from '../run/types.ts'

/**
 * The outputs of a unit as records: the key is the run's (the id of a run without one), the value the JSON of an
 * {@link Output}, the time the unit's. The header `xmachines-id` is `<run id>/<seq>/<index>`, the same each time it is sent.
 */
export function resultsOf(run: string, key: string | undefined, unit: NewUnit): readonly OutgoingRecord[] {
  const { seq, at, outputs } = unit
  return outputs.map((event, index) => {
    const output: Output = { runId: run, seq, index, at, event }
    return {
      key: key ?? run,
      value: JSON.stringify(output),
      timestamp: Math.max(0, Math.floor(at)),
      headers: { 'xmachines-id': `${run}/${seq}/${index}` },
    }
  })
}
