import type { EventObject } from 'xstate'
import type { SentMail } from '../contracts/unit.ts'
import type { ActorRef } from './actor-ref.ts'
import type { Spawning } from './send-action.ts'
import type { ExecutableAction } from './xstate.ts'

/** What a step leaves to be done once its unit is durable, in order. */
export type Effect =
  | { readonly kind: 'action'; readonly actor: ActorRef; readonly action: ExecutableAction }
  | { readonly kind: 'receive'; readonly actor: ActorRef; readonly event: EventObject }
  | ({ readonly kind: 'mail'; readonly actor: ActorRef } & SentMail)
  | ({ readonly kind: 'spawn'; readonly actor: ActorRef } & Spawning)

/** What a callback is to hear. */
export type Received = Extract<Effect, { readonly kind: 'receive' }>

/** What an effect is called where it is only shown. */
export function nameOfEffect(effect: Effect): string {
  if (effect.kind === 'action') return effect.action.type
  return effect.kind === 'spawn' ? `spawn ${effect.spawn.namespace}/${effect.spawn.key}` : effect.event.type
}
