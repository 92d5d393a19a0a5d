import type { LeaseKey, LeaseRow, Mail } from '../../actors/contracts/store.ts'
import type { RunWrite } from '../server/backend.ts'
import { bigintArray, booleanArray, doubleArray, textArray } from './arrays.ts'
import type { PostgresRow, PostgresValue } from './client.ts'
import { Statement } from './database.ts'
import { isTableMissing } from './failures.ts'
import { toText } from './names.ts'
import { leaseName } from './rows.ts'
import type { Tables } from './schema.ts'

/**
 * So many of the last writes are looked for, of each kind. What a server forgets is what it did last, and answers come in
 * another order than that by no more than are under way at once.
 */
const kept = 64

/**
 * What the server acknowledged to this instance last. A server that has not got it any more was put back to an older state: it
 * failed over to a standby that lagged, or was restored.
 */
export class Acknowledged {
  readonly #appends = new Last<Append>()
  readonly #mail = new Last<Mail>()
  /** Those that are held. */
  readonly #claims = new Map<string, LeaseRow>()
  readonly #missing: Statement
  #count = 0

  constructor(tables: Tables) {
    this.#missing = missingStatement(tables)
  }

  /** @param write one of a call, under its token: the server has all of them, or none */
  appended({ run, row, units }: RunWrite, token: string): void {
    this.#appends.add({ run, seq: row.seq, at: units.length > 0 ? row.at : null, revision: row.revision, token })
    this.#count++
  }

  delivered(mail: Mail): void {
    this.#mail.add(mail)
    this.#count++
  }

  claimed(lease: LeaseRow): void {
    this.#claims.set(leaseName(lease), lease)
    this.#count++
  }

  released(key: LeaseKey): void {
    this.#claims.delete(leaseName(key))
  }

  /**
   * What a server has forgotten of it, in words; `undefined`: nothing.
   *
   * @param ask over a connection to that server
   */
  async findMissing(
    ask: (statement: Statement, values: PostgresValue[]) => Promise<readonly PostgresRow[]>,
  ): Promise<string | undefined> {
    // What another connection acknowledges meanwhile is looked for, too.
    for (let seen = 0; seen !== this.#count; ) {
      seen = this.#count
      const rows = await ask(this.#missing, this.#values()).catch(error => {
        if (isTableMissing(error)) return undefined
        throw error
      })
      if (rows === undefined) return 'its tables'
      const [row] = rows
      const [run, lease, receiver] = row!
      if (run !== null) return `units of run ${run} that it acknowledged`
      if (lease !== null) return `the epoch of the lease ${lease} that it gave`
      if (receiver !== null) return `mail to run ${receiver} that it acknowledged`
    }
    return undefined
  }

  #values(): PostgresValue[] {
    const appends = this.#appends.all
    const mail = this.#mail.all
    const claims = [...this.#claims.values()]
    return [
      textArray(appends, ({ run }) => toText(run)),
      bigintArray(appends, ({ seq }) => seq),
      doubleArray(appends, ({ at }) => at),
      bigintArray(appends, ({ revision }) => revision),
      textArray(appends, ({ token }) => token),
      textArray(claims, leaseName),
      bigintArray(claims, ({ epoch }) => epoch),
      textArray(claims, ({ owner }) => (owner === null ? null : toText(owner))),
      textArray(mail, ({ receiver }) => toText(receiver)),
      textArray(mail, ({ sender }) => toText(sender)),
      bigintArray(mail, ({ seq }) => seq),
      bigintArray(mail, ({ index }) => index),
      booleanArray(mail, ({ failure }) => failure === true),
    ]
  }
}

/** Where a run stood after a write. */
interface Append {
  readonly run: string
  readonly seq: number
  /** Of the last unit; `null`: it wrote none. */
  readonly at: number | null
  readonly revision: number
  readonly token: string
}

/** The last few of many. */
class Last<T> {
  readonly #entries: T[] = []
  #next = 0

  add(entry: T): void {
    this.#entries[this.#next] = entry
    this.#next = (this.#next + 1) % kept
  }

  get all(): readonly T[] {
    return this.#entries
  }
}

/** One of each kind that is not there. A run may have gone on, from what was written; a lease may be another owner's, later. */
function missingStatement({ runs, units, leases, mail }: Tables): Statement {
  const given = (first: number, ...types: string[]): string =>
    types.map((type, at) => `$${first + at}::${type}[]`).join(', ')
  return new Statement(`select (
      select a.run from unnest(${given(1, 'text', 'bigint', 'double precision', 'bigint', 'text')}) as a(run, seq, at, revision, token)
        left join ${runs} r on r.run = a.run left join ${units} u on u.run = a.run and u.seq = a.seq
      where r.run is null or r.revision < a.revision or (r.revision = a.revision and r.token is distinct from a.token)
        or (a.at is not null and u.at is distinct from a.at) limit 1
    ), (
      select c.lease from unnest(${given(6, 'text', 'bigint', 'text')}) as c(lease, epoch, owner) left join ${leases} l on l.lease = c.lease
      where l.lease is null or l.epoch < c.epoch or (l.epoch = c.epoch and l.owner <> c.owner) limit 1
    ), (
      select m.receiver from unnest(${given(9, 'text', 'text', 'bigint', 'bigint', 'boolean')}) as m(receiver, sender, seq, number, failure)
      where not exists (select from ${mail} k where k.receiver = m.receiver and k.sender = m.sender and k.seq = m.seq
        and k.number = m.number and k.failure = m.failure) limit 1
    )`)
}
