import type { ActionArgs, EventObject, MachineContext, ParameterizedObject } from 'xstate'
import type { JsonValue } from '../contracts/json.ts'
import type { ChildTerms, RunName, SentMail } from '../contracts/unit.ts'
import { XMachinesError } from '../errors.ts'
import type { AnyMachine } from './definition.ts'

/** What {@link tell} and {@link spawnRun} make: an action, wherever XState takes one. */
export type TellAction<
  TContext extends MachineContext,
  TExpressionEvent extends EventObject,
  TParams extends ParameterizedObject['params'] | undefined,
  TEvent extends EventObject,
> = (args: ActionArgs<TContext, TExpressionEvent, TEvent>, params: TParams) => void

/** A child run that a step starts, with the machine that the action names. */
export interface Spawning extends ChildTerms {
  readonly spawn: RunName
  readonly machine: AnyMachine
  readonly input?: JsonValue
}

/** Gives what a step sends. @throws `TELL_INVALID`, `SPAWN_INVALID`, and what the author's functions throw */
export type SendResolver = (args: unknown, params: unknown) => SentMail | Spawning

/** Which action it is, for whoever meets it outside of a run. */
type SendName = 'tell' | 'spawnRun'

interface Mark {
  readonly name: SendName
  readonly resolve: SendResolver
}

/** Under a registered symbol: a machine may have been made with another copy of this package than the one that runs it. */
const mark: unique symbol = Symbol.for('xmachines.send') as never

/** An action that XState executes after the step only where no run has taken it out of its hands. */
export function sendAction(name: SendName, resolve: SendResolver): () => void {
  const action = (): void => {
    throw new XMachinesError(
      name === 'tell' ? 'TELL_OUTSIDE_RUN' : 'SPAWN_OUTSIDE_RUN',
      `A \`${name}\` action was executed outside a run: there is no history that could hold what it sends. Run the machine with \`openRun\` or \`createRun\`, or provide another action in its place.`,
    )
  }
  Object.defineProperty(action, 'name', { value: name })
  return Object.defineProperty(action, mark, { value: { name, resolve } satisfies Mark })
}

/** What an action made with {@link sendAction} sends; `undefined` of any other. */
export function readSends(action: unknown): SendResolver | undefined {
  return markOf(action)?.resolve
}

/** The same action, resolved by what `by` makes of its resolver; `undefined` where it is another one. */
export function withSends(action: unknown, by: (resolve: SendResolver) => SendResolver): (() => void) | undefined {
  const found = markOf(action)
  return found && sendAction(found.name, by(found.resolve))
}

function markOf(action: unknown): Mark | undefined {
  return typeof action === 'function' ? (action as { readonly [mark]?: Mark })[mark] : undefined
}

/** A value that came from an author, for a message. */
export function shown(value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(value.slice(0, 100)) : `\`${typeof value}\``
}
