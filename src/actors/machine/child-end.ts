import type { JsonValue, RecordedEvent } from '../contracts/json.ts'
import type { ParentLink } from '../contracts/store.ts'
import { messageOf, XMachinesError } from '../errors.ts'
import { copyJson } from '../json/json-copy.ts'
import { toPlainError } from './plain-error.ts'

/** A state at which a run has ended. */
export interface Ended {
  readonly status: 'active' | 'done' | 'error' | 'stopped'
  readonly output?: unknown
  readonly error?: unknown
}

/** A child run as its parent knows it. */
export type KnownChild = Pick<ParentLink, 'name' | 'policy'>

/** What the parent of a run is told of its end. @param reason why it was stopped, if it was */
export function endEvent(run: string, link: KnownChild, ended: Ended, reason: string | undefined): RecordedEvent {
  const { namespace, key } = link.name
  switch (ended.status) {
    case 'done': {
      const output = ended.output as JsonValue | undefined
      const event = { type: 'xmachines.done.run', run, namespace, key, ...(output !== undefined && { output }) }
      const what = { code: 'OUTPUT_NOT_JSON', name: `The output of run ${run}` } as const
      return copyJson(event, what, { undefinedIsAbsent: true }) as RecordedEvent
    }
    case 'stopped':
      return failureEvent(run, { ...link, policy: 'stop' }, stopped(run, reason))
    default:
      return failureEvent(run, link, ended.error)
  }
}

/** What the parent is told of a child that failed. @param run `undefined`: it could not be created */
export function failureEvent(run: string | undefined, link: KnownChild, thrown: unknown): RecordedEvent {
  const { namespace, key } = link.name
  const { name, message, code } = toPlainError(thrown instanceof Error ? thrown : new Error(messageOf(thrown)))
  return Object.freeze({
    type: 'xmachines.error.run',
    ...(run !== undefined && { run }),
    namespace,
    key,
    error: Object.freeze({ name, message, code: code === undefined ? 'STEP_FAILED' : String(code) }),
    ...(link.policy === 'escalate' && { escalates: true }),
  }) as RecordedEvent
}

/** Why a failed child ends its parent; `undefined`: it does not. */
export function escalation(event: RecordedEvent): XMachinesError | undefined {
  if (event.type !== 'xmachines.error.run' || event.escalates !== true) return undefined
  const { run, namespace, key, error } = event as RecordedEvent & {
    readonly run?: string
    readonly namespace: string
    readonly key: string
    readonly error: { readonly code: string; readonly message: string }
  }
  return new XMachinesError(
    'CHILD_FAILED',
    `The child run ${namespace}/${key} failed, and was spawned with the policy 'escalate': ${error.message}`,
    { details: { ...(run !== undefined && { run }), namespace, key, code: error.code } },
  )
}

function stopped(run: string, reason: string | undefined): XMachinesError {
  return new XMachinesError('RUN_STOPPED', `Run ${run} was stopped${reason === undefined ? '' : `: ${reason}`}`)
}
