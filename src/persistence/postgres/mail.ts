import type { Mail, MailOutcome } from '../../actors/contracts/store.ts'
import { mailId } from '../judge.ts'
import type { Acknowledged } from './acknowledged.ts'
import { bigintArray, booleanArray, textArray } from './arrays.ts'
import type { PostgresRow, PostgresValue } from './client.ts'
import { type Database, Statement } from './database.ts'
import { fromText, toText } from './names.ts'
import type { Tables } from './schema.ts'

/** The inbox of a run `r` as JSON, and how much there is of it. @param limit how much of it, in SQL */
export function inboxColumns({ mail }: Tables, limit: string): string {
  const waits = `from ${mail} m where m.receiver = r.run and m.event is not null`
  return `(select json_agg(json_build_array(sender, seq, number, failure, event, trace) order by position)
      from (select * ${waits} order by position limit ${limit}) oldest), (select count(*) ${waits})`
}

/** What {@link inboxColumns} gave. */
export function readInbox(receiver: string, text: string | null | undefined): Mail[] {
  if (text === null || text === undefined) return []
  const entries = JSON.parse(text) as [string, number, number, boolean, string, string | null][]
  return entries.map(([sender, seq, index, failure, event, trace]) => ({
    receiver,
    sender: fromText(sender),
    seq,
    index,
    ...(failure && { failure }),
    event: JSON.parse(event),
    ...(trace !== null && { trace: JSON.parse(trace) }),
  }))
}

/** Puts mail into inboxes. */
export class Deliveries {
  readonly #database: Database
  readonly #put: Statement
  readonly #known: Statement

  readonly #acknowledged: Acknowledged

  constructor(database: Database, tables: Tables, acknowledged: Acknowledged) {
    this.#database = database
    this.#acknowledged = acknowledged
    this.#put = putStatement(tables)
    this.#known = knownStatement(tables)
  }

  async deliver(mail: readonly Mail[]): Promise<MailOutcome[]> {
    const values = [...keysOf(mail), ...contentOf(mail)]
    const [row] = await this.#database.write(this.#put, values)
    const statuses = new Map(JSON.parse(row![0]!) as [string, string][])
    const put = new Set((JSON.parse(row![1]!) as KeyColumns[]).map(nameOf))
    const taken = mail.find(entry => put.has(`${entry.receiver} ${mailId(entry)}`))
    if (taken !== undefined) this.#acknowledged.delivered(taken)
    const isTaken = (entry: Mail): boolean => put.has(`${entry.receiver} ${mailId(entry)}`)
    // A run that ended may have had the mail before: that is known only now that nobody else is at it.
    const late = mail.filter(
      entry => !isTaken(entry) && !['active', undefined].includes(statuses.get(toText(entry.receiver))),
    )
    const known = late.length === 0 ? put : new Set((await this.#database.ask(this.#known, keysOf(late))).map(nameOf))
    return mail.map(entry => {
      const name = `${entry.receiver} ${mailId(entry)}`
      // Of one that is there twice the first was put in.
      if (put.delete(name)) return 'taken'
      const status = statuses.get(toText(entry.receiver))
      if (status === undefined) return 'unknown'
      return status === 'active' || known.has(name) ? 'duplicate' : 'finished'
    })
  }
}

/** Receiver, sender, seq, number, failure; from JSON or as text. */
type KeyColumns = PostgresRow | readonly [string, string, number, number, boolean]

function nameOf([receiver, sender, seq, index, failed]: KeyColumns): string {
  const failure = failed === true || failed === 't'
  return `${fromText(String(receiver))} ${mailId({ sender: fromText(String(sender)), seq: Number(seq), index: Number(index), failure })}`
}

function keysOf(mail: readonly Mail[]): PostgresValue[] {
  return [
    textArray(mail, entry => toText(entry.receiver)),
    textArray(mail, entry => toText(entry.sender)),
    bigintArray(mail, entry => entry.seq),
    bigintArray(mail, entry => entry.index),
    booleanArray(mail, entry => entry.failure === true),
  ]
}

function contentOf(mail: readonly Mail[]): PostgresValue[] {
  return [
    textArray(mail, entry => JSON.stringify(entry.event)),
    textArray(mail, ({ trace }) => (trace === undefined ? null : JSON.stringify(trace))),
  ]
}

const keyArrays = '$1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::boolean[]'
const keyColumns = 'receiver, sender, seq, number, failure'

/**
 * The receivers are locked in the order of their ids, as an append does. Their rows are then as they are now; what is in
 * the way of a mail is found by its insertion. So a run is looked up by its id for the update, not by where it was.
 */
function putStatement({ runs, mail }: Tables): Statement {
  return new Statement(`with w as materialized (
      select * from unnest(${keyArrays}, $6::text[], $7::text[]) with ordinality as w(${keyColumns}, event, trace, place)
    ), receivers as materialized (
      select r.run, r.status, r.wakes from ${runs} r where r.run = any($1::text[]) order by r.run for no key update
    ), put as (
      insert into ${mail} (${keyColumns}, event, trace)
      select w.receiver, w.sender, w.seq, w.number, w.failure, w.event, w.trace
      from w join receivers r on r.run = w.receiver where r.status = 'active' order by w.place
      on conflict do nothing returning ${keyColumns}
    ), woken as (
      update ${runs} r set revision = r.revision + p.count, due = case when s.wakes then 0 else r.due end
      from receivers s join (select receiver, count(*) from put group by receiver) p on p.receiver = s.run
      where r.run = s.run
    )
    select (select coalesce(json_agg(json_build_array(run, status)), '[]') from receivers),
      (select coalesce(json_agg(json_build_array(${keyColumns})), '[]') from put)`)
}

function knownStatement({ mail }: Tables): Statement {
  return new Statement(`select ${keyColumns} from ${mail} join unnest(${keyArrays}) as w(${keyColumns})
    using (${keyColumns})`)
}
