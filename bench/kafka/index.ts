import { startKafka } from '../../test/kafka/launcher/index.ts'
import type { Comparison, Measure } from '../compare.ts'
import { idle } from './idle.ts'
import { manyKeys } from './many-keys.ts'
import { rebalance } from './rebalance.ts'
import { slowKey } from './slow-key.ts'
import { onPostgres, throughput } from './throughput.ts'

/** Names a part alone: XM_BENCH_KAFKA=rebalance,idle. */
const parts = { throughput, postgres: onPostgres, 'slow-key': slowKey, rebalance, 'many-keys': manyKeys, idle }

/** The supervisor on a real topic, of a node on this machine. */
export async function kafka(): Promise<(Comparison | Measure)[]> {
  const wanted = process.env.XM_BENCH_KAFKA?.split(',') ?? Object.keys(parts)
  const cluster = await startKafka()
  try {
    const results: (Comparison | Measure)[] = []
    for (const [name, part] of Object.entries(parts)) if (wanted.includes(name)) results.push(...(await part(cluster)))
    return results
  } finally {
    await cluster.stop()
  }
}
