import { XMachinesError } from '../errors.ts'
import type { InvocationRules } from '../machine/invocation-policy.ts'

/** Why an attempt was stopped that nobody waits for any more. */
export function stopped(why: string): XMachinesError {
  return new XMachinesError('ABORTED', `The invocation was stopped: ${why}.`)
}

/** The error of an attempt that took too long. */
export function timedOut(key: string, attempt: number, timeout: number): XMachinesError {
  return new XMachinesError(
    'INVOCATION_TIMED_OUT',
    `Attempt ${attempt} of invocation ${key} took longer than ${timeout} ms and was aborted. Raise its \`timeout\`, or handle it in \`onError\`.`,
    { details: { key, attempt, timeout } },
  )
}

/** The error of an invocation whose last allowed attempt ended with its process. */
export function interrupted(key: string, made: number, { crash }: InvocationRules): XMachinesError {
  const policy = crash === 'retry' ? `\`attempts: ${made}\`` : `'${crash}'`
  return new XMachinesError(
    'INVOCATION_INTERRUPTED',
    `Attempt ${made} of invocation ${key} ended with its process. Its outcome is unknown, and ${policy} allows no other. Look by the key what became of it.`,
    { details: { key, attempts: made } },
  )
}

/** The error of logic that tells more than the store takes: it was stopped, and what it told so far is recorded. */
export function flooding(key: string, waiting: number): XMachinesError {
  return new XMachinesError(
    'MAILBOX_FULL',
    `The invocation ${key} was stopped: ${waiting} units of its run wait for the store. Have it tell less often, or handle this in \`onError\`.`,
    { details: { key, waiting } },
  )
}
