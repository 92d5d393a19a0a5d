import type { Mail, MailOutcome } from '../../actors/contracts/store.ts'
import type { ObjectFormat } from '../../actors/contracts/unit.ts'
import { XMachinesError } from '../../actors/errors.ts'
import type { Refused, RunWrite, ServerBackend } from '../server/backend.ts'
import { together } from '../server/together.ts'
import { AppendCall, readRefusal } from './append.ts'
import { DueRuns } from './attention.ts'
import { type Connection, script } from './connection.ts'
import { storeError } from './failures.ts'
import { format, type Keys } from './keys.ts'
import { Leases } from './leases.ts'
import { Letters } from './mail.ts'
import { Readings } from './readings.ts'
import type { Replicas } from './replicas.ts'
import { appendScript } from './scripts/append.ts'
import { deliverScript } from './scripts/mail.ts'
import { openScript } from './scripts/opening.ts'
import { Snapshots } from './snapshots.ts'
import { Writes } from './writes.ts'

const scripts = { open: script(openScript), append: script(appendScript), deliver: script(deliverScript) }

/** A store's data on Valkey or Redis. */
export class ValkeyBackend implements ServerBackend {
  readonly location: string
  readonly readings: Readings
  readonly snapshots: Snapshots
  readonly leases: Leases
  readonly attention: DueRuns
  readonly #connection: Connection
  readonly #keys: Keys
  readonly #writes: Writes
  readonly #end: () => void
  /** Machines that the server has. */
  readonly #machines = new Set<string>()

  /** @param replicas those that must have a write before it is acknowledged @param end lets go of the client, if it is the store's own */
  constructor(connection: Connection, keys: Keys, replicas: Replicas | undefined, end: () => void) {
    const writes = new Writes(connection, keys, replicas)
    this.location = connection.location
    this.readings = new Readings(connection, keys)
    this.snapshots = new Snapshots(connection, keys)
    this.leases = new Leases(connection, keys, writes)
    this.attention = new DueRuns(connection, keys, writes)
    this.#connection = connection
    this.#keys = keys
    this.#writes = writes
    this.#end = end
  }

  async open(objectFormat: ObjectFormat, create: boolean): Promise<void> {
    const { store, runs } = this.#keys
    // A store that is there is only read: it may be on a replica.
    let kept = await this.#connection.ask('hmget', [store, 'format', 'objectFormat'])
    if ((kept as (string | null)[])[0] === null) {
      if (!create) throw storeError('STORE_MISSING', this.location, 'there is none under this prefix')
      kept = await this.#connection.run(scripts.open, [store, runs], () => [format, objectFormat])
    }
    const [written, hash] = kept as (string | null)[]
    if (written === null) {
      throw storeError('STORE_FOREIGN', this.location, `the key ${store} or ${runs} is not one of a store`)
    }
    if (written !== `${format}`) {
      throw new XMachinesError(
        'STORE_FORMAT',
        `The store ${this.location} has format ${written}; this version reads ${format}. Use a newer one.`,
        { details: { location: this.location, found: written, reads: format } },
      )
    }
    if (hash !== objectFormat) {
      throw new XMachinesError(
        'OBJECT_FORMAT_MISMATCH',
        `The store ${this.location} was made with ${hash}, not ${objectFormat}. Open it with \`objectFormat: '${hash}'\`.`,
        { details: { location: this.location, found: hash, wanted: objectFormat } },
      )
    }
  }

  async append(writes: readonly RunWrite[], token: string): Promise<readonly (Refused | undefined)[]> {
    const calls: AppendCall[] = []
    for (let first = 0; first < writes.length; first += calls.at(-1)!.count) {
      calls.push(new AppendCall(writes, first, token, this.#keys, oid => this.#machines.has(oid)))
    }
    const refusals = new Array<Refused | undefined>(writes.length)
    const answers = await together(
      calls.map(call =>
        this.#writes.run(scripts.append, call.keys, call.args, which => writes[call.first + which - 1]?.run),
      ),
    )
    for (const [at, { first }] of calls.entries()) {
      for (const [which, ...refusal] of answers[at] as [number | string, ...string[]][]) {
        refusals[first + Number(which) - 1] = readRefusal(refusal)
      }
    }
    for (const [at, { machines }] of writes.entries()) {
      if (refusals[at] === undefined) for (const { oid } of machines) this.#machines.add(oid)
    }
    return refusals
  }

  async deliver(mail: readonly Mail[]): Promise<readonly MailOutcome[]> {
    const letters = new Letters(mail, this.#keys)
    for (let waiting = letters.next(); waiting !== undefined; waiting = letters.next()) {
      const places = await this.readings.standings(letters.receivers(waiting))
      const { keys, args } = letters.call(waiting, places)
      letters.answer(waiting, (await this.#writes.run(scripts.deliver, keys, args)) as string[])
    }
    return letters.answers
  }

  async close(): Promise<void> {
    await this.#writes.end()
    this.#end()
  }
}
