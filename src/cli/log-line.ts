import type { Beside } from '../actors/contracts/store.ts'
import type { Sent, Unit } from '../actors/contracts/unit.ts'
import { outcomeOf, type PendingChanges, type PendingTimer } from '../actors/replay/pending-changes.ts'
import { invocationKey } from '../actors/run/attempts.ts'
import { ownerOf } from '../actors/run/owners.ts'
import { brief, durationText, printable } from './text.ts'

/** What `log` says of a unit beside what the unit itself says. Absent: there is nothing to say. */
export interface LogNotes {
  /** Time since the unit before, ms. */
  readonly since?: number
  /** Of a unit that an invocation caused. */
  readonly invocation?: {
    readonly key: string
    /** How many there were until then. */
    readonly attempts: number
    /** `null`: it goes on. */
    readonly outcome: 'done' | 'failed' | null
  }
  /** Invocations that this unit entered and that are pending to this day. */
  readonly pending?: readonly Pending[]
  /** With `--machine`: see {@link PendingChanges}. */
  readonly timers?: PendingChanges['timers']
  readonly invocations?: PendingChanges['invocations']
}

/** An invocation that is pending, with the attempts made. */
interface Pending {
  readonly key: string
  readonly attempts: number
  /** The process that has it in flight, or had when it was last heard of. */
  readonly owner?: string
}

/** What is recorded of a unit, and (`changes`) what its machine knows of it. */
export function logNotes(
  run: string,
  unit: Unit,
  before: Unit | undefined,
  beside: Pick<Beside, 'attempts' | 'owners' | 'process'>,
  changes: PendingChanges | undefined,
): LogNotes {
  const { origin, at, seq } = unit
  const pending = Object.entries(beside.attempts)
    .filter(([key]) => key.startsWith(`${run}/${seq}/`))
    .map(([key, attempts]): Pending => {
      const owner = ownerOf(beside, key)
      return { key, attempts, ...(owner !== null && { owner }) }
    })
  return {
    ...(before && { since: at - before.at }),
    ...(origin.kind === 'effect' && {
      invocation: {
        key: invocationKey(run, { entered: origin.entered, path: origin.actor }),
        attempts: unit.attempts ?? 1,
        outcome: outcomeOf(unit),
      },
    }),
    ...(pending.length > 0 && { pending }),
    ...changes,
  }
}

/** The same in words, but for the time since the unit before. */
export function notesText(unit: Unit, { pending = [], timers, invocations }: LogNotes): string {
  const notes: string[] = []
  if (timers?.fired) notes.push(`${timers.fired.id} fired`)
  if (unit.attempts !== undefined) notes.push(`${unit.attempts} attempts`)
  for (const { actor, outcome } of invocations?.left ?? []) notes.push(`${actor.join('/')} ${outcome}`)
  for (const { id } of timers?.cancelled ?? []) notes.push(`${id} cancelled`)
  for (const { actor, src } of invocations?.entered ?? [])
    notes.push(`${actor.join('/')} entered${src === actor.at(-1) ? '' : ` (${src})`}`)
  for (const timer of timers?.armed ?? []) notes.push(armedText(timer, unit.at))
  for (const { key, attempts, owner } of pending)
    notes.push(`${pathText(key)} pending, attempt ${attempts}${owner === undefined ? '' : ` in process ${owner}`}`)
  for (const sent of unit.mail ?? []) notes.push(sentText(sent))
  const why = failureOf(unit)
  if (why !== undefined) notes.push(why)
  return printable(notes.join(', '))
}

/** Why an invocation, a mail or a child run failed, where the unit tells that. */
function failureOf({ origin, events: [event] }: Unit): string | undefined {
  if (event === undefined || !['effect', 'undelivered', 'child'].includes(origin.kind)) return undefined
  const {
    reason,
    error = reason,
    thrown,
  } = event as {
    readonly [name in 'reason' | 'error']?: {
      readonly code?: unknown
      readonly name?: string
      readonly message: string
    }
  } & { readonly thrown?: unknown }
  // Whoever may push may write any JSON by hand.
  if (typeof error === 'object' && error !== null) return `${error.code ?? error.name}: ${error.message}`.slice(0, 200)
  return thrown === undefined ? undefined : brief(thrown, 80)
}

function sentText(sent: Sent): string {
  if ('spawn' in sent) return `starts ${sent.spawn.namespace}/${sent.spawn.key}`
  if ('stop' in sent) return 'stops its children'
  if ('parent' in sent) return `${sent.event.type} to its parent`
  return `${sent.event.type} to ${sent.to.namespace}/${sent.to.key}`
}

function armedText({ id, due }: PendingTimer, now: number): string {
  return `${id} armed, due in ${durationText(Math.max(0, due - now))}`
}

/** The actor's path: what follows the run and the seq in a key. */
function pathText(key: string): string {
  return key.split('/').slice(2).join('/')
}
