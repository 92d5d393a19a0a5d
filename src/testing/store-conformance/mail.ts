import type { Mail, MailKey } from '../../actors/contracts/store.ts'
import { equal } from '../check.ts'
import { on, type StoreCheck } from './place.ts'
import { deepFreeze, TestRun } from './test-run.ts'

const sender = 'a'.repeat(40)

function mailTo(run: TestRun | string, seq: number, index = 0, more: Partial<Mail> = {}): Mail {
  const receiver = typeof run === 'string' ? run : run.id
  return deepFreeze({ receiver, sender, seq, index, event: { type: 'HELLO', seq, index }, ...more })
}

const keyOf = ({ sender, seq, index, failure }: Mail): MailKey =>
  failure === undefined ? { sender, seq, index } : { sender, seq, index, failure }

/** Inboxes: mail comes in once, in order, and leaves by an item of the receiver. */
export const mailChecks: readonly StoreCheck[] = [
  on('mail: enters the inbox in order, raises the revision and makes the run due at once', async store => {
    const run = await new TestRun('sha1').create(store, { due: 500 })
    const trace = { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', tracestate: 'a=1' }
    const mail = [mailTo(run, 3), mailTo(run, 1, 4, { trace }), mailTo(run, 1, 5)]
    equal(await store.deliver(mail.slice(0, 2)), ['taken', 'taken'], 'the first answers')
    equal(await store.deliver(mail.slice(2)), ['taken'], 'the next answer')
    const head = await store.head(run.id)
    equal(head?.beside.inbox, mail, 'the inbox')
    equal([head?.seq, head?.revision, head?.due], [0, 4, 0], 'seq, revision and due')
    equal(
      (await store.due({ before: 0, limit: 9 })).map(due => due.run),
      [run.id],
      'the runs that are due',
    )
    equal(await store.append([run.goesOn()]), [{ status: 'conflict', seq: 0, revision: 4 }], 'an append that missed it')
  }),

  on('mail: is taken by an item, that mail only', async store => {
    const run = await new TestRun('sha1').create(store)
    const mail = [mailTo(run, 1), mailTo(run, 2), mailTo(run, 2, 1), mailTo(run, 2, 0, { sender: 'b'.repeat(40) })]
    await store.deliver(mail)
    run.revision = 5
    await run.goOn(store, 1, { beside: { taken: [keyOf(mail[1]!)] } })
    equal((await store.head(run.id))?.beside.inbox, [mail[0], mail[2], mail[3]], 'the inbox')
    await run.change(store, { taken: [keyOf(mail[3]!), keyOf(mail[0]!)] })
    equal((await store.head(run.id))?.beside.inbox, [mail[2]], 'the inbox after two more')
  }),

  on('mail: comes in once, also when it is repeated after it was taken or after the end', async store => {
    const run = await new TestRun('sha1').create(store)
    const mail = mailTo(run, 1)
    equal(await store.deliver([mail, mail]), ['taken', 'duplicate'], 'the answers within one call')
    equal(await store.deliver([mail]), ['duplicate'], 'the answer while it waits')
    equal((await store.head(run.id))?.revision, 2, 'the revision, which a duplicate does not raise')
    run.revision = 2
    await run.goOn(store, 1, { beside: { taken: [keyOf(mail)] }, due: null })
    equal(await store.deliver([mail]), ['duplicate'], 'the answer after it was taken')
    const head = await store.head(run.id)
    equal([head?.beside.inbox, head?.revision, head?.due], [[], 3, null], 'inbox, revision and due')
    await run.goOn(store, 1, { status: 'done' })
    equal(await store.deliver([mail]), ['duplicate'], 'the answer after the end')
  }),

  on('mail: to a run that is unknown or finished is told so, each for itself', async store => {
    const run = await new TestRun('sha1').create(store)
    const ends = await Promise.all(
      (['done', 'error', 'stopped'] as const).map(status => new TestRun('sha1').create(store, { status })),
    )
    const unknown = 'f'.repeat(40)
    const mail = [mailTo(unknown, 1), mailTo(run, 1), ...ends.map(end => mailTo(end, 1)), mailTo(run, 2)]
    const answers = ['unknown', 'taken', 'finished', 'finished', 'finished', 'taken']
    equal(await store.deliver(mail), answers, 'the answers')
    equal(await store.head(unknown), undefined, 'the head of the unknown run')
    equal((await store.head(ends[0]!.id))?.beside.inbox, [], 'the inbox of a finished run')
  }),

  on('mail: a failure is not the mail that it answers', async store => {
    const run = await new TestRun('sha1').create(store)
    const mail = mailTo(run, 1, 0, { sender: run.id })
    const failure = mailTo(run, 1, 0, { sender: run.id, failure: true })
    equal(await store.deliver([mail, failure, failure]), ['taken', 'taken', 'duplicate'], 'the answers')
    run.revision = 3
    await run.goOn(store, 1, { beside: { taken: [keyOf(mail)] } })
    equal((await store.head(run.id))?.beside.inbox, [failure], 'the inbox')
    await run.goOn(store, 1, { beside: { taken: [keyOf(failure)] } })
    equal((await store.head(run.id))?.beside.inbox, [], 'the inbox in the end')
  }),

  on('mail: of the same names to another run is another mail', async store => {
    const runs = [await new TestRun('sha1').create(store), await new TestRun('sha1').create(store)]
    equal(await store.deliver(runs.map(run => mailTo(run, 1))), ['taken', 'taken'], 'the answers')
    const similar = [mailTo(runs[0]!, 1, 11), mailTo(runs[0]!, 11, 1), mailTo(runs[0]!, 1, 1)]
    equal(await store.deliver(similar), ['taken', 'taken', 'taken'], 'the answers of similar names')
  }),

  on('mail: many at once come in once each', async store => {
    const run = await new TestRun('sha1').create(store)
    const mail = Array.from({ length: 10 }, (_, seq) => mailTo(run, seq))
    const answers = await Promise.all([...mail, ...mail, ...mail].map(entry => store.deliver([entry])))
    equal(answers.flat().filter(answer => answer === 'taken').length, 10, 'how many were taken')
    equal(answers.flat().filter(answer => answer === 'duplicate').length, 20, 'how many were duplicates')
    const head = await store.head(run.id)
    const seqs = head?.beside.inbox.map(entry => entry.seq).sort((a, b) => a - b)
    equal(
      seqs,
      Array.from({ length: 10 }, (_, seq) => seq),
      'the inbox',
    )
    equal(head?.revision, 11, 'the revision')
  }),

  on('mail: a long inbox shows its oldest mail, and says how much there is', async store => {
    const run = await new TestRun('sha1').create(store)
    const mail = Array.from({ length: 700 }, (_, seq) => mailTo(run, seq))
    await store.deliver(mail)
    run.revision = 1 + mail.length
    equal((await store.head(run.id, { mail: 700 }))?.beside.inbox, mail, 'all of it, for whoever asks')
    for (let left: readonly Mail[] = mail; left.length > 0; ) {
      const { inbox, waiting } = (await store.head(run.id))!.beside
      equal(waiting, left.length, 'how much waits')
      if (inbox.length < 256) equal(inbox.length, left.length, 'the length of a short inbox')
      equal(inbox, left.slice(0, inbox.length), 'the oldest mail')
      const taken = inbox.slice(0, 200)
      await run.change(store, { taken: taken.map(keyOf) })
      left = left.slice(taken.length)
    }
    equal((await store.head(run.id))?.beside.inbox, [], 'the inbox in the end')
    const again = [mail[0]!, mail[350]!, mail[699]!]
    equal(
      await store.deliver(again),
      again.map(() => 'duplicate'),
      'the answers when the first and others come again',
    )
  }),

  on('mail: to an owned run needs no lease', async store => {
    const lease = await store.claim({ namespace: 'tests', partition: 1, owner: 'p', group: 'g' })
    const run = await new TestRun('sha1').create(store, { lease })
    equal(await store.deliver([mailTo(run, 1)]), ['taken'], 'the answer')
    const due = await store.due({ before: 0, limit: 9, lease: { namespace: 'tests', partition: 1 } })
    equal(
      due.map(entry => entry.run),
      [run.id],
      'the runs of the partition that are due',
    )
  }),

  on('mail: waits in a held or parked run without making it due', async store => {
    const held = await new TestRun('sha1').create(store, { beside: { held: true } })
    const parked = await new TestRun('sha1').create(store, {
      beside: { parked: { at: 1, code: 'RUN_DAMAGED', message: 'x' } },
      due: 700,
    })
    equal(await store.deliver([mailTo(held, 1), mailTo(parked, 1)]), ['taken', 'taken'], 'the answers')
    equal([(await store.head(held.id))?.due, (await store.head(parked.id))?.due], [null, 700], 'when they are due')
    equal((await store.head(held.id))?.beside.inbox.length, 1, 'how much waits')
  }),

  on('mail: no mail, no answers', async store => {
    equal(await store.deliver([]), [], 'the answers')
  }),
]
