import { type EventObject, fromCallback } from 'xstate'
import type { LiveLogic } from './xstate.ts'

/** Who hears what an async callback, and an async listener of it, rejects with: nobody else does, and a process ends by that. */
export interface AsyncHearing {
  callback(thrown: unknown): void
  listener(event: EventObject, thrown: unknown): void
}

/** What XState calls it with, as far as it matters here. */
interface Given {
  receive(listener: (event: EventObject) => unknown): void
}

/** The same callback logic, but what is async of it is heard. Logic whose members the author has replaced stays as it is. */
export function hearing(logic: LiveLogic, heard: AsyncHearing): LiveLogic {
  const { config } = logic as { readonly config?: unknown }
  if (typeof config !== 'function') return logic
  const callback = config as (given: Given) => unknown
  const heardLogic = fromCallback(given => {
    const receive: Given['receive'] = listener =>
      given.receive(event => isHeard(listener(event), thrown => heard.listener(event, thrown)))
    const cleanUp = callback({ ...given, receive })
    return isHeard(cleanUp, heard.callback) ? undefined : (cleanUp as () => void)
  }) as unknown as LiveLogic
  const isXState = isSame(logic.start, heardLogic.start) && isSame(logic.transition, heardLogic.transition)
  return isXState ? heardLogic : logic
}

/** Each callback logic has functions of its own, of one text. */
function isSame(one: unknown, other: unknown): boolean {
  return String(one) === String(other)
}

function isHeard(given: unknown, failed: (thrown: unknown) => void): boolean {
  if (!(given instanceof Promise)) return false
  given.catch(failed)
  return true
}
