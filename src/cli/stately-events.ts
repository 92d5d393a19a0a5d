import type { RunInspectionEvent } from '../actors/machine/inspection.ts'

/** The version of `@statelyai/inspect` whose messages these are. */
const protocol = '0.7.2'

/** What inspectors read of an actor. */
interface Inspected {
  readonly id: string
  readonly sessionId: string
  readonly logic?: { readonly config?: { readonly id?: string } }
  readonly _parent?: Inspected
  getSnapshot(): unknown
}

/**
 * An inspection event as `@statelyai/inspect` sends it to the Stately Inspector, but with the time of the unit instead of now, and
 * its seq. `undefined`: the inspector is not told of such events.
 */
export function statelyEvent(event: RunInspectionEvent): object | undefined {
  const { type, rootId, seq, at } = event
  const actor = event.actorRef as unknown as Inspected
  const common = { rootId, sessionId: actor.sessionId, id: null, createdAt: String(at), _version: protocol, seq }
  switch (type) {
    case '@xstate.actor': {
      const config = actor.logic?.config
      const name = actor.id === actor.sessionId && config?.id !== undefined ? config.id : actor.id
      const definition = definitionText(config) ?? JSON.stringify({ id: name })
      return { type, name, definition, parentId: actor._parent?.sessionId, snapshot: actor.getSnapshot(), ...common }
    }
    case '@xstate.event': {
      const source = event.sourceRef as { readonly sessionId: string } | undefined
      return { type, event: event.event, sourceId: source?.sessionId, ...common }
    }
    case '@xstate.snapshot':
      return { type, event: event.event, snapshot: event.snapshot, ...common }
    default:
      return undefined
  }
}

/** A machine's config as text: a function as its name. `undefined` of what is no config, or goes round in a circle. */
function definitionText(config: unknown): string | undefined {
  if (typeof config !== 'object' || config === null) return undefined
  try {
    return JSON.stringify(config, (_key, value: unknown) =>
      typeof value === 'function' ? { type: value.name } : value,
    )
  } catch {
    return undefined
  }
}
