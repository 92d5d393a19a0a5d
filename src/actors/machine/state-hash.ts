import type { EventObject } from 'xstate'
import type { ActorRef } from './actor-ref.ts'
import type { Effect } from './effect.ts'
import type { ActorTable, RunState } from './state.ts'
import type { Timer } from './timers.ts'
import { hashPath, hashValue, mix } from './value-hash.ts'
import { isMachine, type LiveMachineSnapshot, type LiveSnapshot } from './xstate.ts'

/** The version of the format: how every hash begins. One of another version is not compared. */
const version = '1:'

/** The parts of a state's hash, in their order, and what a difference in them is called. */
const parts = ['value', 'context', 'system', 'effects'] as const

/** A part of a state that has a hash of its own. `system`: status, output, children, timers, invocations. */
export type StatePart = (typeof parts)[number]

/**
 * Hashes the states of one run, unit by unit: `1:` and eight hex digits for each of value and history, context, the rest
 * of the actor system, and what the unit left to be done (none: left out). Kept beside each unit, so that a replay finds
 * the first one that comes out differently. Neutral to XState's version: no name of XState's own and no text of an error
 * is in it. What has not changed since the last call is not hashed again.
 */
export class StateHash {
  #value: unknown
  #history: unknown
  #valueHash = ''
  #context: unknown
  #contextHash = ''
  #table: ActorTable | undefined
  #status: unknown
  #output: unknown
  #systemHash = ''

  of({ snapshot, table }: RunState, effects: readonly Effect[]): string {
    const { value, historyValue, context, status, output } = snapshot
    if (value !== this.#value || historyValue !== this.#history) {
      this.#value = value
      this.#history = historyValue
      this.#valueHash = digits(hashNodes(snapshot))
    }
    if (context !== this.#context) {
      this.#context = context
      this.#contextHash = digits(hashValue(context))
    }
    if (table !== this.#table || status !== this.#status || output !== this.#output) {
      this.#table = table
      this.#status = status
      this.#output = output
      this.#systemHash = digits(hashSystem(snapshot, table))
    }
    const state = version + this.#valueHash + this.#contextHash + this.#systemHash
    return effects.length === 0 ? state : state + digits(hashEffects(effects))
  }
}

/** Whether a recorded hash can be compared with what is made now: others are of another version. */
export function isComparable(recorded: string): boolean {
  return recorded.startsWith(version)
}

/** Which part of two hashes differs first; `undefined`: none, or they are of versions that do not compare. */
export function differentPart(expected: string, actual: string): StatePart | undefined {
  if (expected === actual || !expected.startsWith(version) || !actual.startsWith(version)) return undefined
  return parts.find(part => partOf(expected, part) !== partOf(actual, part))
}

/** The eight digits of a part; none: the unit left nothing to be done. */
export function partOf(hash: string, part: StatePart): string {
  const from = version.length + parts.indexOf(part) * 8
  return hash.slice(from, from + 8) || 'none'
}

/** Two digits for each byte: a number's own `toString` with padding takes three times as long. */
const bytes = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))

function digits(hash: number): string {
  return bytes[hash >>> 24]! + bytes[(hash >>> 16) & 255]! + bytes[(hash >>> 8) & 255]! + bytes[hash & 255]!
}

function hashNodes({ value, historyValue }: LiveMachineSnapshot): number {
  let hash = hashValue(value)
  for (const [id, nodes] of Object.entries(historyValue).sort(([a], [b]) => (a < b ? -1 : 1)))
    hash = mix(mix(hash, hashValue(id)), hashValue(nodes.map(node => node.id)))
  return hash
}

function hashSystem({ status, output }: LiveMachineSnapshot, table: ActorTable): number {
  let hash = mix(hashValue(status), hashValue(output ?? null))
  let sum = 0
  for (const [ref, snapshot] of table.actors) sum = (sum + hashActor(ref, snapshot)) | 0
  for (const [id, ref] of table.systemIds) sum = (sum + mix(hashValue(id), hashPath(ref))) | 0
  for (const { actor, path, entered } of table.invocations.values())
    sum = (sum + mix(mix(hashPath(actor), hashValue(path)), entered)) | 0
  hash = mix(hash, sum)
  for (const timer of table.timers.values()) hash = mix(hash, hashTimer(timer))
  return hash
}

/** Snapshots of actors are values: one that nothing happened to is the same object. */
function hashActor(ref: ActorRef, snapshot: LiveSnapshot): number {
  if (ref.hashed?.snapshot !== snapshot) {
    const { status, context, input, output } = snapshot
    let hash = hashValue({ status, context, input, output })
    if (isMachine(ref.behaviour)) hash = mix(hash, hashNodes(snapshot as LiveMachineSnapshot))
    ref.hashed = { snapshot, hash }
  }
  return mix(ref.hashed.hash, hashPath(ref))
}

function hashTimer({ source, target, event, due, armed, index }: Timer): number {
  const where = mix(hashPath(source), hashPath(target))
  return mix(mix(mix(mix(where, hashValue(due)), armed), index), hashEvent(event))
}

/** XState's own events have other names in other versions of it. */
function hashEvent(event: EventObject): number {
  return event.type.startsWith('xstate.') ? 0 : hashValue(event)
}

function hashEffects(effects: readonly Effect[]): number {
  let hash = effects.length
  for (const effect of effects) {
    hash = mix(mix(hash, hashPath(effect.actor)), hashEffect(effect))
  }
  return hash
}

function hashEffect(effect: Effect): number {
  switch (effect.kind) {
    case 'receive':
      return hashEvent(effect.event)
    case 'mail':
      return mix(hashValue(effect.to), hashValue(effect.event))
    // Not which machine: a child's new version is no change of its parent.
    case 'spawn':
      return mix(
        hashValue(effect.spawn),
        mix(hashValue(effect.input ?? null), hashValue([effect.policy, effect.linked])),
      )
    case 'action':
      return hashValue(nameOf(effect.actor, effect.action.type))
  }
}

/** The name of an action as registered. Functions written in place are called as a build likes. */
function nameOf({ behaviour }: ActorRef, type: string): string {
  return isMachine(behaviour) && Object.hasOwn(behaviour.implementations.actions, type) ? type : ''
}
