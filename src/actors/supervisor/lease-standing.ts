import { timeOf } from './decode.ts'
import type { GroupOffsets } from './group-offsets.ts'
import { lagsOf } from './lags.ts'
import type { LeaseLife } from './lease.ts'
import type { LeaseStatus } from './status.ts'

/** How a lease stands. @param life the state of its life @param offsets what was last asked of its group */
export function standingOf(lease: LeaseLife, life: unknown, offsets: GroupOffsets): LeaseStatus {
  const { topic, partition, records, settings } = lease
  const { position, oldest, open } = records.window
  const known = offsets.committed(topic, partition)
  const committed = records.committedTo === undefined ? known : Math.max(records.committedTo, known ?? 0)
  const now = settings.environment.now()
  const stamped = oldest && timeOf(oldest)
  return {
    topic,
    partition,
    epoch: lease.epoch?.lease.epoch,
    state: stateOf(life),
    position,
    committed,
    ...lagsOf(committed, position, offsets.end(topic, partition)),
    unsettled: open,
    oldestAge: oldest && Math.max(0, now - oldest.begun),
    timeLag: stamped === undefined ? undefined : Math.max(0, now - stamped),
    paused: records.paused.time,
    drainTime: lease.draining?.time,
    error: lease.error,
  }
}

function stateOf(life: unknown): LeaseStatus['state'] {
  if (typeof life === 'string') return life as LeaseStatus['state']
  const { unclaimed } = life as { readonly unclaimed: string }
  return unclaimed === 'wondering' ? 'fenced' : (unclaimed as LeaseStatus['state'])
}
