import { messageOf, XMachinesError } from '../../errors.ts'

/** What strict mode finds, in the words of whoever has to mend it. */

/** Something was called that gives another answer each time, or at another place. */
export function impure(
  doing: string | undefined,
  called: string,
  instead: string,
  trap: (...args: never) => unknown,
): XMachinesError {
  const site = siteOf(trap)
  const who = doing ?? `An expression of the machine${site === undefined ? '' : ` (${site})`}`
  return new XMachinesError(
    'STEP_IMPURE',
    `${who} used ${called}. A step has to come to the same every time it is decided: use ${instead}.`,
    { details: { called, ...(doing === undefined ? undefined : { by: doing }), ...(site && { site }) } },
  )
}

/** Something that the state holds was changed in place. */
export function changedInPlace(doing: string | undefined, path: string): XMachinesError {
  return new XMachinesError(
    'STEP_MUTATES',
    `${doing ?? 'An expression of the machine'} changed ${path} in place, which no history holds. It is as it was again. Return a new value from \`assign\`.`,
    { details: { path, ...(doing === undefined ? undefined : { by: doing }) } },
  )
}

/** Something frozen was written to: an event. */
export function frozenChanged(doing: string, cause: unknown): XMachinesError {
  return new XMachinesError(
    'STEP_MUTATES',
    `${doing} tried to change an event, or something else that is frozen, in place: ${messageOf(cause)}. Copy what is to be changed.`,
    { details: { by: doing }, cause },
  )
}

/** Deciding the same unit twice gave two results. */
export function notDeterministic(path: string, first: unknown, second: unknown): XMachinesError {
  const [one, other] = [shown(first), shown(second)]
  return new XMachinesError(
    'STEP_NOT_DETERMINISTIC',
    `The same unit was decided twice, and ${path} was ${one} first and ${other} then. A step may depend on nothing but the state and the event: use now(), random() and uuid() of 'xmachines', and keep what changes in the context.`,
    { details: { path, first: one, second: other } },
  )
}

/** Whether an error says that a frozen object was written to, in the words of V8, SpiderMonkey or JavaScriptCore. */
export function isFrozenComplaint(thrown: unknown): boolean {
  return (
    thrown instanceof TypeError &&
    /read[- ]?only|not extensible|(cannot|unable to) delete|cannot redefine|non-?configurable/i.test(thrown.message)
  )
}

function shown(value: unknown): string {
  const text = value === undefined ? 'absent' : (asJson(value) ?? String(value))
  return text.length > 80 ? `${text.slice(0, 80)}…` : text
}

function asJson(value: unknown): string | undefined {
  try {
    return JSON.stringify(value)
  } catch {
    return undefined // not JSON: the error is about the difference
  }
}

/** Where a trap was stepped on: the first frame above it. */
function siteOf(trap: (...args: never) => unknown): string | undefined {
  const holder: { stack?: string } = {}
  const { captureStackTrace } = Error as { captureStackTrace?(holder: object, above: unknown): void }
  captureStackTrace?.(holder, trap)
  return /\(?([^\s()]+:\d+:\d+)\)?$/m.exec(holder.stack ?? '')?.[1]
}
