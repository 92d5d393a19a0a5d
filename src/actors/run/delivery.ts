import type { Mail, MailOutcome, Store } from '../contracts/store.ts'
import type { SentEnd, SentMail } from '../contracts/unit.ts'
import { XMachinesError } from '../errors.ts'
import { undelivered } from '../machine/tell.ts'
import type { Letter } from './letters.ts'
import { type RunTelemetry, toFailure } from './measured.ts'
import { residencyOf } from './residency.ts'

/** Whose mail is delivered, and where to. */
export interface DeliveryHome {
  readonly run: string
  readonly store: Store
  readonly telemetry: RunTelemetry | undefined
}

/** Puts what a run has sent into the inboxes of its receivers. Gives the answers to what nobody takes. */
export async function deliverLetters(
  home: DeliveryHome,
  letters: readonly Letter<SentMail | SentEnd>[],
): Promise<readonly Mail[]> {
  const { run: sender, store } = home
  const receivers = await receiversOf(store, letters)
  const mail: Mail[] = []
  const answers: Mail[] = []
  const answer = ({ sent, seq, index }: Letter<SentMail | SentEnd>, why: (sent: SentMail) => XMachinesError): void => {
    // A parent that has ended does not want to know.
    if ('parent' in sent) return
    answers.push({ receiver: sender, sender, seq, index, failure: true, event: undelivered(sent, why(sent)) })
  }
  const found = letters.filter(letter => {
    const { sent, seq, index, trace } = letter
    const receiver = 'parent' in sent ? sent.parent : receivers.get(addressOf(sent))
    if (receiver === undefined) answer(letter, noRun)
    else mail.push({ receiver, sender, seq, index, event: sent.event, ...(trace && { trace }) })
    return receiver !== undefined
  })
  const outcomes = await deliver(home, mail)
  found.forEach((letter, at) => {
    if (outcomes[at] === 'unknown') answer(letter, noRun)
    else if (outcomes[at] === 'finished') answer(letter, ended)
  })
  return answers
}

/** Puts mail into inboxes, and tells receivers that are in memory. */
export async function deliver(
  { store, telemetry }: DeliveryHome,
  mail: readonly Mail[],
): Promise<readonly MailOutcome[]> {
  if (mail.length === 0) return []
  const span = telemetry?.delivery(mail)
  let answers: Awaited<ReturnType<Store['deliver']>>
  try {
    answers = await store.deliver(mail)
  } catch (thrown) {
    span?.end(toFailure(thrown))
    throw thrown
  }
  span?.end()
  for (const receiver of new Set(mail.map(({ receiver }) => receiver))) residencyOf(store).notice(receiver)
  return answers
}

/** The runs that letters are for, by {@link addressOf}. */
async function receiversOf(
  store: Store,
  letters: readonly Letter<SentMail | SentEnd>[],
): Promise<ReadonlyMap<string, string | undefined>> {
  const found = new Map<string, Promise<string | undefined>>()
  for (const { sent } of letters) {
    if ('parent' in sent) continue
    const address = addressOf(sent)
    if (!found.has(address)) found.set(address, store.find(sent.to.namespace, sent.to.key))
  }
  return new Map(await Promise.all([...found].map(async ([address, run]) => [address, await run] as const)))
}

/** An address as one string, whatever is in its names. */
function addressOf({ to: { namespace, key } }: SentMail): string {
  return `${namespace.length} ${namespace}${key}`
}

function noRun({ to: { namespace, key } }: SentMail): XMachinesError {
  return new XMachinesError(
    'RUN_UNKNOWN',
    `The store has no run ${namespace}/${key}. A mail creates none: open the receiver before it is told something.`,
  )
}

function ended({ to: { namespace, key }, event }: SentMail): XMachinesError {
  return new XMachinesError('RUN_FINISHED', `Run ${namespace}/${key} has ended and takes no mail '${event.type}'.`)
}
