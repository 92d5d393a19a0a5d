import { type ErrorDetails, XMachinesError } from '../../actors/errors.ts'

/** One ref of a push, as a `pre-receive` hook is told of it. Zeros: it is not there. */
export interface PushedRef {
  readonly old: string
  readonly fresh: string
  readonly name: string
}

/** Whether an id stands for nothing. */
export function isZero(oid: string): boolean {
  return /^0+$/.test(oid)
}

/** A ref that a push may not set so. @param next what to do instead */
export function refused(
  { name }: Pick<PushedRef, 'name'>,
  why: string,
  details: ErrorDetails = {},
  next = 'Fetch, and push only commits that follow.',
): XMachinesError {
  return new XMachinesError('PUSH_REFUSED', `${name} ${why}. ${next}`, { details: { ref: name, ...details } })
}
