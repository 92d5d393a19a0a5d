import { givenStore } from './actors/given.ts'
import { createRunIn } from './actors/run/open.ts'
import type { CreateRunOptions } from './actors/run/run-options.ts'
import type { AnyMachine, MachineOf, Machines, Run, SentTo } from './actors/run/types.ts'
import { memoryStore } from './persistence/memory.ts'

export type * from './actors/contracts/broker.ts'
export type { JsonObject, JsonValue, RecordedEvent } from './actors/contracts/json.ts'
export type * from './actors/contracts/store.ts'
export type { Telemetry } from './actors/contracts/telemetry.ts'
export type * from './actors/contracts/unit.ts'
export { type CopyOptions, type CopyProgress, type CopyReport, copyStore } from './actors/copy/copy-store.ts'
export { type ErrorCode, type ErrorDetails, errorCodes, XMachinesError } from './actors/errors.ts'
export { durableUnits, type UnitSinkOptions, unitSink } from './actors/history/unit-sink.ts'
export { type WatchOptions, watchRun } from './actors/history/watch-run.ts'
export { createHost, type Host, type HostEvent, type HostOptions } from './actors/host/index.ts'
export { type InvocationInfo, invocation } from './actors/invocation.ts'
export type { EventLimits, GivenLimits } from './actors/json/event-copy.ts'
export {
  type DefinitionOptions,
  defineMachine,
  type ErrorPolicy,
  type EventSchema,
  type EventSchemas,
  type MachineDefinition,
} from './actors/machine/definition.ts'
export type { Inspect, RunInspectionEvent } from './actors/machine/inspection.ts'
export type {
  CrashPolicy,
  InvocationNames,
  InvocationOptions,
  InvocationPolicies,
  InvocationPolicy,
  InvocationRules,
  RetryBackoff,
} from './actors/machine/invocation-policy.ts'
export type { Migration, PersistedChild, PersistedState } from './actors/machine/migration.ts'
export type { TellAction } from './actors/machine/send-action.ts'
export { type ChildDoneEvent, type ChildErrorEvent, type SpawnOptions, spawnRun } from './actors/machine/spawn-run.ts'
export type { Strictness } from './actors/machine/strict/strictness.ts'
export { type MailAddress, tell, type UndeliveredEvent } from './actors/machine/tell.ts'
export { type InspectHistoryOptions, inspectHistory } from './actors/replay/inspect-history.ts'
export { type ReplayOptions, type ReplayStep, replay, type StepEffect } from './actors/replay/replay.ts'
export { type Verification, verifyRun } from './actors/replay/verify.ts'
export type { Divergence } from './actors/run/divergence.ts'
export { forkRun } from './actors/run/fork.ts'
export { openRun } from './actors/run/open.ts'
export type {
  CreateRunOptions,
  CreationOptions,
  ForkRunOptions,
  OpenRunOptions,
  StoredRun,
} from './actors/run/run-options.ts'
export type * from './actors/run/types.ts'
export { unparkRun } from './actors/run/unpark.ts'
export { now, random, uuid } from './actors/step.ts'
export {
  type Backoff,
  type Decoded,
  type DrainStatus,
  type LeaseStatus,
  type ParkedRunStatus,
  type RecordInput,
  type RestartPolicy,
  type SuperviseOptions,
  type Supervisor,
  type SupervisorEvent,
  type SupervisorStatus,
  supervise,
  type UnitNotice,
  type UnitsOptions,
} from './actors/supervisor/index.ts'

/**
 * Creates a run, at once: its id is known and its ports take events before the store has answered; `ready` tells when the
 * creation is durable. Without a `store` the history is kept in memory and goes with the run.
 *
 * @example
 * const run = createRun(counterMachine)
 * await run.apply({ type: 'INCREMENT', value: 5 })
 * run.getSnapshot().context
 *
 * @throws `MACHINE_UNSUPPORTED`, `POLICY_INVALID`, `INPUT_INVALID`; `STEP_FAILED` when the machine's first step throws, `STEP_IMPURE` and the like when it breaks the rules of a step. Later, on
 *   every port: `RUN_EXISTS` when the key is pinned to another run, and whatever the store fails with
 */
export function createRun<TMachine extends AnyMachine>(
  machine: Machines<TMachine>,
  options: CreateRunOptions<TMachine> = {},
): Run<MachineOf<TMachine>, SentTo<TMachine>> {
  const store = options.store === undefined ? memoryStore() : givenStore({ store: options.store })
  return createRunIn(store, machine, options)
}
