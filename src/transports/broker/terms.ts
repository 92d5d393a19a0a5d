import type { GroupTerms } from '../../actors/contracts/broker.ts'
import { XMachinesError } from '../../actors/errors.ts'

/** Terms as one text, the same for the same terms; '' for none. */
export function termsText(terms: GroupTerms): string {
  return Object.entries(terms)
    .map(([name, value]) => `${name}=${encodeURIComponent(value)}`)
    .sort()
    .join(',')
}

/** The error of a member that has other terms than those which the group has now. Both as {@link termsText} writes them. */
export function groupMismatch(group: string, own: string, theirs: string): XMachinesError {
  const told = (terms: string) => (terms === '' ? 'the defaults' : terms)
  return new XMachinesError(
    'GROUP_MISMATCH',
    `The members of the group ${group} have ${told(theirs)}, this one has ${told(own)}: give all of them the same options. ` +
      'To change these, stop the others first. Nothing was read.',
    { details: { group, own, theirs } },
  )
}
