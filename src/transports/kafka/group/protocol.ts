import type { GroupTerms } from '../../../actors/contracts/broker.ts'
import { XMachinesError } from '../../../actors/errors.ts'
import { groupMismatch, termsText } from '../../broker/terms.ts'
import type { Node } from '../cluster.ts'

/** How partitions are shared out, and what the user data of a subscription holds. */
const protocol = 'xmachines-cooperative'

/**
 * The name of the protocol that all members of a group must speak. What they must have alike is part of it, so the coordinator
 * itself refuses who has it otherwise, before a partition moves.
 */
export function protocolName(terms: GroupTerms): string {
  const text = termsText(terms)
  return text === '' ? protocol : `${protocol}(${text})`
}

/**
 * Why the coordinator has refused the protocol of a member; `undefined`: the group is not at rest, or empty by now, so another try
 * tells.
 */
export async function strangerIn(coordinator: Node, group: string, own: string): Promise<XMachinesError | undefined> {
  const { groups } = await coordinator.describeGroups({ groupIds: [group] })
  const theirs = groups[0]?.protocol ?? ''
  if (theirs === '' || theirs === own) return undefined
  return isOurs(theirs) ? groupMismatch(group, termsOf(own), termsOf(theirs)) : foreign(group, theirs)
}

function isOurs(name: string): boolean {
  return name === protocol || name.startsWith(`${protocol}(`)
}

function termsOf(name: string): string {
  return name.slice(protocol.length + 1, -1)
}

function foreign(group: string, theirs: string): XMachinesError {
  return new XMachinesError(
    'GROUP_FOREIGN',
    `The group ${group} is in use by members of another application, which share partitions out in another way (${theirs}). ` +
      'Give this one a group of its own.',
    { details: { group, protocol: theirs } },
  )
}
