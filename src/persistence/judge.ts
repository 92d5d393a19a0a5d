import type {
  AppendItem,
  AppendOutcome,
  Beside,
  BesideChange,
  LeaseKey,
  LeaseRow,
  Mail,
  MailKey,
  MailOutcome,
  OutputMark,
  ParentLink,
  RunStatus,
} from '../actors/contracts/store.ts'
import type { SourcePosition } from '../actors/contracts/unit.ts'

/*
 * What every store must decide alike, without I/O: whether an item is taken (`judge`), what it makes of what is kept
 * beside the history (`amend`), and whether mail is taken (`judgeMail`).
 */

/** Where a run stands, as far as {@link judge} needs it. */
export interface JudgedRun {
  readonly seq: number
  readonly revision: number
  readonly lease?: LeaseKey | undefined
}

/**
 * Decides what becomes of an item; the caller then writes all of it or nothing.
 *
 * The first that applies, in this order:
 * 1. `fenced`, of a leased item: its epoch is not the row's, or the row has no owner. Even when the head moved too: a
 *    holder that lost its lease must not take over newer units and go on.
 * 2. `misplaced`: the run is pinned to another partition. Final, so it comes before whatever trying again could mend.
 * 3. `pinned`, of a creation: (namespace, key) is another run's. Its writer goes on with that one.
 * 4. `conflict`, of a creation: the run exists. Before an unleased fence: its writer wants to open the run, not to append.
 * 5. `fenced`, of an unleased item: the run's partition has an owner.
 * 6. `conflict`: the run stands elsewhere, or does not exist (seq −1, revision 0).
 *
 * @param row the run, if the store has it
 * @param pinned the run that the creation's (namespace, key) is pinned to; ignored for other items
 * @param leaseOf the current row of a partition
 */
export function judge(
  item: AppendItem,
  row: JudgedRun | undefined,
  pinned: string | undefined,
  leaseOf: (key: LeaseKey) => LeaseRow | undefined,
): AppendOutcome {
  const { expected, lease } = item
  if (lease !== undefined) {
    const held = leaseOf(lease)
    if (held === undefined || held.epoch !== lease.epoch || held.owner === null) return fenced(held)
    if (row?.lease !== undefined && !sameLease(row.lease, lease)) {
      return { status: 'misplaced', partition: { namespace: row.lease.namespace, partition: row.lease.partition } }
    }
  }
  if (expected === null) {
    if (pinned !== undefined && pinned !== item.run) return { status: 'pinned', run: pinned }
    if (row !== undefined) return { status: 'conflict', seq: row.seq, revision: row.revision }
    return { status: 'appended', seq: item.units[item.units.length - 1]!.seq, revision: 1 }
  }
  if (row === undefined) return { status: 'conflict', seq: -1, revision: 0 }
  if (lease === undefined && row.lease !== undefined) {
    const held = leaseOf(row.lease)
    if (held !== undefined && held.owner !== null) return fenced(held)
  }
  if (row.seq !== expected.seq || row.revision !== expected.revision) {
    return { status: 'conflict', seq: row.seq, revision: row.revision }
  }
  return { status: 'appended', seq: row.seq + item.units.length, revision: row.revision + 1 }
}

function fenced(row: LeaseRow | undefined): AppendOutcome {
  return { status: 'fenced', epoch: row?.epoch ?? 0, owner: row?.owner ?? null }
}

/** Whether both name one partition. */
export function sameLease(a: LeaseKey, b: LeaseKey): boolean {
  return a.partition === b.partition && a.namespace === b.namespace
}

/**
 * Decides what becomes of a mail. A mail that was put in before stays a `duplicate` after the run took it or ended: a
 * sender that lost the answer must not be told of a failure.
 *
 * @param row the receiver, if the store has it
 * @param known whether this mail was ever put into this inbox
 */
export function judgeMail(row: { readonly status: RunStatus } | undefined, known: boolean): MailOutcome {
  if (row === undefined) return 'unknown'
  if (known) return 'duplicate'
  return row.status === 'active' ? 'taken' : 'finished'
}

/** A mail's name as one string, to remember which ones were put into an inbox. */
export function mailId(mail: MailKey): string {
  return `${mail.sender}/${mail.seq}/${mail.index}${mail.failure === true ? '!' : ''}`
}

/** An object without anything inherited: a source may well be called `constructor`. (Ten times faster than a null prototype.) */
function Table(): void {}
Table.prototype = Object.create(null)

/** A copy of `entries` that has only its own properties, as `Beside` wants its `sources`, `attempts` and `owners`. */
export function table<T>(entries: Readonly<Record<string, T>>): Record<string, T> {
  const copy = new (Table as unknown as new () => Record<string, T>)()
  for (const key of Object.keys(entries)) copy[key] = entries[key]!
  return copy
}

/** What is kept beside the history of a run about which nothing was said yet. */
export const emptyBeside: Beside = Object.freeze({
  sources: Object.freeze(table<bigint | number>({})),
  outbox: Object.freeze([]),
  published: null,
  inbox: Object.freeze([]),
  waiting: 0,
  mailing: Object.freeze([]),
  mailed: null,
  returns: Object.freeze([]),
  refusals: Object.freeze([]),
  attempts: Object.freeze(table<number>({})),
  parked: null,
  held: false,
  process: null,
  owners: Object.freeze(table<string>({})),
  parent: null,
  linked: false,
})

/**
 * What is kept beside the history after an item: its units take their positions, then its change applies.
 * Positions and the published mark never go back. Returns `beside` itself where nothing changes; never changes it.
 */
export function amend(beside: Beside, item: AppendItem): Beside {
  const change = item.beside ?? noChange
  const sources = takePositions(beside.sources, item)
  if (change === noChange && sources === beside.sources) return beside
  const published = later(beside.published, change.published)
  const mailed = later(beside.mailed, change.mailed)
  return Object.freeze({
    sources,
    outbox: amendOutbox(beside.outbox, change, published),
    published,
    // What waits is kept apart: see `Waiting`.
    inbox: beside.inbox,
    waiting: beside.waiting,
    mailing: amendMailing(beside.mailing, change, mailed),
    mailed,
    returns: amendReturns(beside.returns, change),
    refusals: amendRefusals(beside.refusals, change),
    attempts: amendNamed(beside.attempts, change.attempts),
    parked: change.parked === undefined ? beside.parked : change.parked && frozen(change.parked),
    held: change.held ?? beside.held,
    process: change.process === undefined ? beside.process : change.process,
    owners: amendOwners(beside.owners, change),
    parent: change.parent === undefined ? beside.parent : frozenParent(change.parent),
    linked: change.linked ?? beside.linked,
  })
}

/** What is kept beside a history, with the mail that waits. @param inbox the oldest of it @param waiting how much there is */
export function withInbox(beside: Beside, inbox: readonly Mail[], waiting: number): Beside {
  return waiting === 0 ? beside : Object.freeze({ ...beside, inbox: Object.freeze(inbox), waiting })
}

const noChange: BesideChange = Object.freeze({})

/** What a head gives out is frozen, whether or not the caller froze it. */
function frozen<T extends object>(object: T): T {
  return Object.freeze({ ...object })
}

/** {@link frozen}, of what there are as many of as runs: a frozen spread has a hidden class of its own, of some 260 bytes. */
function frozenParent({ name, run, seq, index, restarts, policy, linked }: ParentLink): ParentLink {
  return Object.freeze({ name, run, seq, index, restarts, policy, linked })
}

/** {@link frozen}, for the same reason. */
export function frozenMail(mail: Mail): Mail {
  const { receiver, sender, seq, index, event, failure, trace } = mail
  if (failure !== undefined || trace !== undefined) return frozen(mail)
  return Object.freeze({ receiver, sender, seq, index, event })
}

function takePositions(sources: Beside['sources'], item: AppendItem): Beside['sources'] {
  let next: Record<string, bigint | number> | undefined
  const take = ({ id, position }: SourcePosition): void => {
    const last = (next ?? sources)[id]
    if (last !== undefined && last >= position) return
    next ??= table(sources)
    next[id] = position
  }
  for (const unit of item.units) if (unit.sources !== undefined) unit.sources.forEach(take)
  item.beside?.sources?.forEach(take)
  item.beside?.refused?.forEach(take)
  return next === undefined ? sources : Object.freeze(next)
}

function later(mark: OutputMark | null, other: OutputMark | undefined): OutputMark | null {
  if (other === undefined) return mark
  if (mark !== null && (mark.seq > other.seq || (mark.seq === other.seq && mark.index >= other.index))) return mark
  return Object.freeze({ seq: other.seq, index: other.index })
}

function amendOutbox(outbox: readonly number[], change: BesideChange, published: OutputMark | null): readonly number[] {
  if (!change.outbox?.length && change.published === undefined) return outbox
  const sent = published === null ? -1 : published.seq
  return Object.freeze([...outbox, ...(change.outbox ?? [])].filter(seq => seq > sent))
}

function amendMailing(mailing: readonly number[], change: BesideChange, mailed: OutputMark | null): readonly number[] {
  if (!change.mailing?.length && change.mailed === undefined) return mailing
  const first = mailed === null ? 0 : mailed.seq
  return Object.freeze([...mailing, ...(change.mailing ?? [])].filter(seq => seq >= first))
}

function amendReturns(returns: Beside['returns'], change: BesideChange): Beside['returns'] {
  const all = change.returns?.length ? Object.freeze([...returns, ...change.returns.map(frozenMail)]) : returns
  return change.returned?.length ? without(all, change.returned, sameMail) : all
}

function amendRefusals(refusals: Beside['refusals'], change: BesideChange): Beside['refusals'] {
  const all = change.refused?.length ? Object.freeze([...refusals, ...change.refused.map(frozen)]) : refusals
  return change.acknowledged?.length ? without(all, change.acknowledged, samePosition) : all
}

/** Entries by the keys of invocations. */
type Named<T> = Readonly<Record<string, T>>

function amendNamed<T>(entries: Named<T>, change: Named<T | null> | undefined): Named<T> {
  if (change === undefined) return entries
  // Not a `table`: no key comes twice, and each would make a shape of its own.
  const next = Object.create(null) as Record<string, T>
  for (const key in entries) if (!Object.hasOwn(change, key)) next[key] = entries[key]!
  for (const key of Object.keys(change)) {
    const entry = change[key]!
    if (entry !== null) next[key] = entry
  }
  return Object.freeze(next)
}

/** Who has an invocation in flight goes with its attempts. */
function amendOwners(owners: Beside['owners'], { attempts = {}, owners: change }: BesideChange): Beside['owners'] {
  const gone = Object.keys(owners).filter(key => attempts[key] === null)
  const left = gone.length === 0 ? owners : amendNamed(owners, Object.fromEntries(gone.map(key => [key, null])))
  return amendNamed(left, change)
}

function without<T extends K, K>(list: readonly T[], gone: readonly K[], same: (a: K, b: K) => boolean): readonly T[] {
  return Object.freeze(list.filter(entry => !gone.some(other => same(entry, other))))
}

/** Whether both name one mail. */
export function sameMail(a: MailKey, b: MailKey): boolean {
  return (
    a.sender === b.sender && a.seq === b.seq && a.index === b.index && (a.failure === true) === (b.failure === true)
  )
}

/** 5 and 5n are one position. */
function samePosition(a: SourcePosition, b: SourcePosition): boolean {
  return a.id === b.id && a.position >= b.position && a.position <= b.position
}
