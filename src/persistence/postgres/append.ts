import type { LeaseRow } from '../../actors/contracts/store.ts'
import { sameLease } from '../judge.ts'
import type { Refused, RunWrite } from '../server/backend.ts'
import { perhapsDone, together } from '../server/together.ts'
import type { Acknowledged } from './acknowledged.ts'
import { isOne, oneStatement, oneValues } from './append-one.ts'
import { plainOneStatement, plainOneValues, plainStatement, plainValues } from './append-plain.ts'
import { type AppendKind, appendStatement, appendValues, pinName } from './append-statement.ts'
import { textArray } from './arrays.ts'
import type { PostgresRow } from './client.ts'
import { type Database, Statement } from './database.ts'
import { toText } from './names.ts'
import { leaseColumns, leaseName, leaseRow } from './rows.ts'
import type { Tables } from './schema.ts'

/** So many machine versions are remembered as known to the server. */
const rememberedMachines = 1024

const bits = [false, true]

/** Appends: each call one statement for its new runs and one for the others, and one more where something stood in the way. */
export class Appends {
  readonly #database: Database
  readonly #statements: ReadonlyMap<string, Statement>
  readonly #one: Statement
  readonly #plainOne: Statement
  readonly #plain: Statement
  readonly #facts: Statement
  readonly #machines = new Set<string>()
  readonly #acknowledged: Acknowledged

  constructor(database: Database, tables: Tables, acknowledged: Acknowledged) {
    const kinds = bits.flatMap(creates => bits.flatMap(brings => bits.map(takes => ({ creates, brings, takes }))))
    this.#database = database
    this.#acknowledged = acknowledged
    this.#statements = new Map(kinds.map(kind => [kindName(kind), appendStatement(tables, kind)]))
    this.#one = oneStatement(tables)
    this.#plainOne = plainOneStatement(tables)
    this.#plain = plainStatement(tables)
    this.#facts = factsStatement(tables)
  }

  async append(writes: readonly RunWrite[], token: string): Promise<readonly (Refused | undefined)[]> {
    const possible = writes.filter(isPossible)
    // Runs are locked in this order.
    possible.sort((a, b) => (a.run < b.run ? -1 : 1))
    const groups = [possible.filter(({ expected }) => expected === null), possible.filter(write => write.expected)]
    const sent = groups.filter(group => group.length > 0).map(group => this.#write(group, token))
    const lost = (await together(sent)).flat()
    if (possible.length === writes.length && lost.length === 0) return writes.map(() => undefined)
    const asked = writes.filter(write => !isPossible(write) || lost.includes(write))
    const facts = await this.#ask(asked).catch(error => {
      throw lost.length < possible.length ? perhapsDone(error) : error
    })
    const refusals = new Map(asked.map((write, at) => [write, facts[at]!]))
    return writes.map(write => {
      const refused = refusals.get(write)
      // The answer to an earlier try of this call was lost: it is written already.
      return refused?.row?.token === token ? undefined : refused
    })
  }

  /** Gives those that could not be written. */
  async #write(writes: readonly RunWrite[], token: string): Promise<readonly RunWrite[]> {
    const [first] = writes
    if (first === undefined) return []
    const brings = writes.some(({ machines }) => machines.some(({ oid }) => !this.#machines.has(oid)))
    if (writes.length === 1 && !brings && isOne(first)) {
      const rows = first.isPlain
        ? await this.#database.write(this.#plainOne, plainOneValues(first, token))
        : await this.#database.write(this.#one, oneValues(first, token))
      if (rows.length === 0) return writes
      this.#acknowledged.appended(first, token)
      return []
    }
    const [row] = writes.every(write => write.isPlain)
      ? await this.#database.write(this.#plain, plainValues(writes, token))
      : await this.#writeAny(writes, token, brings)
    const won = row![0]
    const places = typeof won === 'string' ? new Set(won.slice(1, -1).split(',').map(Number)) : undefined
    const lost: RunWrite[] = []
    let last: RunWrite | undefined
    for (const [at, write] of writes.entries()) {
      if (places !== undefined && !places.has(at + 1)) lost.push(write)
      else {
        this.#remember(write)
        last = write
      }
    }
    if (last !== undefined) this.#acknowledged.appended(last, token)
    return lost
  }

  #writeAny(writes: readonly RunWrite[], token: string, brings: boolean): Promise<readonly PostgresRow[]> {
    const takes = writes.some(({ taken }) => taken.length > 0)
    const kind: AppendKind = { creates: writes[0]!.expected === null, brings, takes }
    const values = appendValues(writes, token, kind, oid => this.#machines.has(oid))
    return this.#database.write(this.#statements.get(kindName(kind))!, values)
  }

  #remember({ machines }: RunWrite): void {
    for (const { oid } of machines) {
      if (this.#machines.size >= rememberedMachines) this.#machines.clear()
      this.#machines.add(oid)
    }
  }

  async #ask(writes: readonly RunWrite[]): Promise<readonly Refused[]> {
    const pins = writes.map(({ expected, row }) =>
      expected === null && row.key !== null ? pinName(row.namespace, row.key) : null,
    )
    const rows = await this.#database.ask(this.#facts, [
      textArray(writes, ({ run }) => toText(run)),
      textArray(pins, pin => pin),
      textArray(writes, ({ lease }) => (lease === undefined ? null : leaseName(lease))),
    ])
    return rows.map(refused)
  }
}

function kindName({ creates, brings, takes }: AppendKind): string {
  return `${creates} ${brings} ${takes}`
}

/** Whether it says of itself that it cannot be taken, or is only sent to be told why. */
function isPossible({ expected, lease, row }: RunWrite): boolean {
  if (expected !== null && expected.revision < 1) return false
  const { leaseNamespace: namespace, leasePartition: partition } = row
  return lease === undefined || namespace === null || partition === null || sameLease({ namespace, partition }, lease)
}

function factsStatement({ runs, leases }: Tables): Statement {
  return new Statement(`select r.seq, r.revision, r.token, p.run, ${leaseColumns},
      ${leaseColumns.replaceAll('l.', 'h.')}
    from unnest($1::text[], $2::text[], $3::text[]) with ordinality as q(run, pin, lease, place)
    left join ${runs} r on r.run = q.run left join ${runs} p on p.pin = q.pin
    left join ${leases} l on l.lease = r.lease left join ${leases} h on h.lease = q.lease
    order by q.place`)
}

function refused([seq, revision, token, pinned, ...others]: PostgresRow): Refused {
  const own = leaseRow(others.slice(0, 5))
  const writers = leaseRow(others.slice(5))
  const lease = own && { namespace: own.namespace, partition: own.partition }
  return {
    row:
      revision === null || revision === undefined
        ? undefined
        : { seq: Number(seq), revision: Number(revision), lease, token: token ?? null },
    pinned: pinned ?? undefined,
    leases: [own, writers].filter((row): row is LeaseRow => row !== undefined),
  }
}
