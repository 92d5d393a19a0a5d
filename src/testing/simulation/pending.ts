import type { RunHead, Store } from '../../actors/contracts/store.ts'
import { kindOfLogic } from '../../actors/machine/logic-kind.ts'
import { recover } from '../../actors/run/history.ts'
import { Lineage } from '../../actors/run/lineage.ts'
import { ownersOf } from '../../actors/run/owners.ts'
import { programsOf } from '../../actors/run/versions.ts'
import type { Member } from './children.ts'

/** What a run waits for. */
export interface PendingWork {
  /** Invocations that are to end by themselves. */
  readonly promises: readonly string[]
  /** All of it, for people. */
  readonly text: string
}

/** What a run waits for, by its history and by what is kept beside it. */
export async function pendingOf(store: Store, head: RunHead, { key, machine }: Member): Promise<PendingWork> {
  const { state } = await recover(store, head, new Lineage(programsOf(machine, store.objectFormat, false)))
  const { invocations, timers } = state.table
  const promises: string[] = []
  const others: string[] = []
  for (const { actor, path, entered } of invocations.values()) {
    const kind = kindOfLogic(actor.behaviour)
    ;(kind === 'promise' ? promises : others).push(`the ${kind} ${path.join('/')} of unit ${entered}`)
  }
  const { inbox, mailing, returns } = head.beside
  const owners = [...ownersOf(head.beside)]
  const parts = [
    `in ${JSON.stringify(head.value)} at unit ${head.seq}`,
    ...promises,
    ...others,
    ...(timers.size > 0 ? [`${timers.size} timers`] : []),
    ...(inbox.length > 0 ? [`${inbox.length} mails to take`] : []),
    ...(mailing.length + returns.length > 0 ? [`${mailing.length + returns.length} units with mail to deliver`] : []),
    ...(head.due === null ? [] : [`due at ${new Date(head.due).toISOString()}`]),
    ...(owners.length === 0 ? [] : [`effects are with ${owners.join(', ')}`]),
  ]
  const who =
    head.beside.parent === null ? `run ${key}` : `the child run ${key} (it needs its machine in the list of a process)`
  return { promises, text: `${who}: ${parts.join(', ')}` }
}
