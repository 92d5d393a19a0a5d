import type { Mail, RunHead, Store } from '../contracts/store.ts'
import { nameOf } from '../run/inbox.ts'
import { Letters } from '../run/letters.ts'
import { inboxDifference } from './beside-difference.ts'
import type { TargetLeases } from './target-leases.ts'

/** However long an inbox is. */
export const all = { mail: Number.POSITIVE_INFINITY }

/**
 * Mail that its sender does not know to be delivered will be delivered again, from the target; whoever received it in the
 * source has to know it there too. So it is delivered in the source now, as the sender would do next, and what has been
 * taken there is put into the target's inbox and taken out again.
 *
 * @param sender where it stands in the source
 */
export async function settleMail(from: Store, to: Store, leases: TargetLeases, sender: RunHead): Promise<void> {
  const { run, beside } = sender
  const letters = new Letters(run, from)
  letters.merge(beside.mailing)
  let mark = beside.mailed ?? { seq: 0, index: 0 }
  await settle(from, to, leases, beside.returns)
  for (;;) {
    letters.pass(mark)
    const batch = await letters.next(mark, 256)
    const last = batch.at(-1)
    if (last === undefined) return
    const mail: Mail[] = []
    for (const { sent, seq, index, trace } of batch) {
      if (!('event' in sent)) continue
      const receiver = 'parent' in sent ? sent.parent : await from.find(sent.to.namespace, sent.to.key)
      if (receiver === undefined) continue
      mail.push({ receiver, sender: run, seq, index, event: sent.event, ...(trace && { trace }) })
    }
    await settle(from, to, leases, mail)
    mark = last.next
  }
}

async function settle(from: Store, to: Store, leases: TargetLeases, mail: readonly Mail[]): Promise<void> {
  if (mail.length === 0) return
  const outcomes = await from.deliver(mail)
  const received = mail.filter((_, at) => outcomes[at] === 'taken' || outcomes[at] === 'duplicate')
  await to.deliver(received)
  for (const receiver of new Set(received.map(({ receiver }) => receiver))) {
    const [there, here] = await Promise.all([from.head(receiver, all), to.head(receiver, all)])
    if (there === undefined || here === undefined) continue
    const waiting = new Set(there.beside.inbox.map(nameOf))
    const { removed } = inboxDifference(
      here.beside.inbox.filter(entry => !waiting.has(nameOf(entry))),
      [],
    )
    if (removed.length === 0) continue
    const expected = { seq: here.seq, revision: here.revision }
    const lease = here.lease && (await leases.of(here.lease))
    await to.append([{ run: receiver, expected, units: [], due: there.due, beside: { taken: removed }, lease }])
  }
}
