import { type Environment, platform } from '../environment.ts'
import type { AnyMachine } from '../run/types.ts'
import { type SuperviseOptions, settingsOf } from './options.ts'
import { GroupSupervisor, type Supervisor } from './supervisor.ts'

export type { UnitNotice, UnitsOptions } from '../run/unit-feed.ts'
export type { Backoff } from './backoff.ts'
export type { SupervisorEvent } from './events.ts'
export type { Decoded, RecordInput, RestartPolicy, SuperviseOptions } from './options.ts'
export type { DrainStatus, LeaseStatus, ParkedRunStatus, SupervisorStatus } from './status.ts'
export type { Supervisor } from './supervisor.ts'

/**
 * Drives runs with the records of a broker: the record's key names the run, its value is an event. Joins the consumer's
 * group at once.
 *
 * A partition is held by one member of the group at a time; the store's epoch fences whoever held it before. The records
 * of a run are applied once, in order; an offset is committed when all before it is durable. Refused records go to
 * `deadLetters`, outputs to `results`, both at least once, with ids that repeat.
 *
 * @example
 * await using supervisor = supervise({
 *   machine, store,
 *   consumer: broker.consumer({ topic: 'orders', group: 'order-runs' }),
 *   deadLetters: broker.producer({ topic: 'orders.dlq' }),
 * })
 * await supervisor.caughtUp()
 *
 * @throws `TypeError` for an option that cannot be meant; what `defineMachine` throws for the machine
 */
export function supervise<TMachine extends AnyMachine>(options: SuperviseOptions<TMachine>): Supervisor {
  return superviseIn(platform, options)
}

/** As {@link supervise}, in another environment. @param held new runs are held, as forks are: to look at, with no effect */
export function superviseIn<TMachine extends AnyMachine>(
  environment: Environment,
  options: SuperviseOptions<TMachine>,
  held = false,
): Supervisor {
  return new GroupSupervisor(settingsOf(options as unknown as SuperviseOptions, environment, held))
}
