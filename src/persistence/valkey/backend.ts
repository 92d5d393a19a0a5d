import type {
  Claim,
  DueRun,
  LeaseKey,
  LeaseRow,
  MachineRecord,
  Mail,
  StoredSnapshot,
} from '../../actors/contracts/store.ts'
import type { ObjectFormat } from '../../actors/contracts/unit.ts'
import { XMachinesError } from '../../actors/errors.ts'
import type { Refused, RunWrite, ServerBackend, WrittenHead } from '../server/backend.ts'
import type { WrittenRow, WrittenUnit } from '../server/run-row.ts'
import { together } from '../server/together.ts'
import { AppendCall, readRefusal } from './append.ts'
import { type Connection, type Script, script } from './connection.ts'
import { type DueQuery, dueRuns, groupOf } from './due.ts'
import { storeError } from './failures.ts'
import { format, freeGroup, type Keys, leaseName, named } from './keys.ts'
import { Letters } from './mail.ts'
import { Mark } from './mark.ts'
import { Readings } from './readings.ts'
import type { Replicas } from './replicas.ts'
import { readLease } from './row-text.ts'
import { appendScript } from './scripts/append.ts'
import { claimScript, releaseScript, renewScript } from './scripts/leases.ts'
import { deliverScript } from './scripts/mail.ts'
import { openScript } from './scripts/opening.ts'
import { dueScript } from './scripts/reading.ts'
import { loadScript, saveScript } from './scripts/snapshots.ts'

const scripts = {
  open: script(openScript),
  append: script(appendScript),
  claim: script(claimScript),
  release: script(releaseScript),
  renew: script(renewScript),
  deliver: script(deliverScript),
  due: script(dueScript),
  save: script(saveScript),
  load: script(loadScript),
}

const keptSnapshots = 4
/** For how long after its end a process is remembered, ms. */
const processesKept = 30 * 24 * 3_600_000

/** A store's data on Valkey or Redis. */
export class ValkeyBackend implements ServerBackend {
  readonly location: string
  readonly #connection: Connection
  readonly #keys: Keys
  readonly #readings: Readings
  readonly #replicas: Replicas | undefined
  readonly #end: () => void
  readonly #mark = new Mark()
  /** Machines that the server has. */
  readonly #machines = new Set<string>()

  /** @param replicas those that must have a write before it is acknowledged @param end lets go of the client, if it is the store's own */
  constructor(connection: Connection, keys: Keys, replicas: Replicas | undefined, end: () => void) {
    this.location = connection.location
    this.#connection = connection
    this.#keys = keys
    this.#readings = new Readings(connection, keys)
    this.#replicas = replicas
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
        this.#write(scripts.append, call.keys, call.args, which => writes[call.first + which - 1]?.run),
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

  rows(runs: readonly string[]): Promise<readonly WrittenRow[]> {
    return this.#readings.rows(runs)
  }

  head(run: string, mail: number): Promise<WrittenHead | undefined> {
    return this.#readings.head(run, mail)
  }

  heads(query: Parameters<ServerBackend['heads']>[0]): Promise<readonly WrittenHead[]> {
    return this.#readings.heads(query)
  }

  pinned(namespace: string, key: string): Promise<string | undefined> {
    return this.#readings.pinned(namespace, key)
  }

  units(run: string, from: number, to: number): Promise<readonly WrittenUnit[]> {
    return this.#readings.units(run, from, to)
  }

  machine(oid: string): Promise<MachineRecord | undefined> {
    return this.#readings.machine(oid)
  }

  async saveSnapshot(run: string, snapshot: StoredSnapshot): Promise<void> {
    const args = [snapshot.seq, JSON.stringify(snapshot), keptSnapshots]
    await this.#connection.run(scripts.save, [this.#keys.run(run), this.#keys.snapshots(run)], () => args)
  }

  async loadSnapshot(run: string, atMost: number): Promise<StoredSnapshot | undefined> {
    const text = await this.#connection.run(scripts.load, [this.#keys.snapshots(run)], () => [scoreOf(atMost)])
    return text === null ? undefined : (JSON.parse(text as string) as StoredSnapshot)
  }

  async claim({ namespace, partition, owner, group, above = 0 }: Claim): Promise<LeaseRow> {
    const name = leaseName(namespace, partition)
    const args = [name, JSON.stringify(owner), JSON.stringify(group), above]
    return readLease(name, (await this.#write(scripts.claim, [this.#keys.marks, this.#keys.leases], args)) as string)
  }

  async release({ namespace, partition, epoch }: LeaseKey & { readonly epoch: number }): Promise<boolean> {
    const args = [leaseName(namespace, partition), epoch]
    return Number(await this.#write(scripts.release, [this.#keys.marks, this.#keys.leases], args)) === 1
  }

  async lease({ namespace, partition }: LeaseKey): Promise<LeaseRow | undefined> {
    const name = leaseName(namespace, partition)
    const text = await this.#connection.ask('hget', [this.#keys.leases, name])
    return text === null ? undefined : readLease(name, text as string)
  }

  async deliver(mail: readonly Mail[]): Promise<readonly ('taken' | 'duplicate' | 'unknown' | 'finished')[]> {
    const letters = new Letters(mail, this.#keys)
    for (let waiting = letters.next(); waiting !== undefined; waiting = letters.next()) {
      const places = await this.#readings.standings(letters.receivers(waiting))
      const { keys, args } = letters.call(waiting, places)
      letters.answer(waiting, (await this.#write(scripts.deliver, keys, args)) as string[])
    }
    return letters.answers
  }

  async due(query: DueQuery): Promise<readonly DueRun[]> {
    const { lease, namespace, before, limit } = query
    if (limit <= 0) return []
    const groups =
      lease !== undefined
        ? [groupOf(lease)]
        : namespace !== undefined
          ? [freeGroup(namespace)]
          : ((await this.#connection.ask('smembers', [this.#keys.namespaces])) as string[]).map(name => `free:${name}`)
    const keys = [this.#keys.processes, ...groups.flatMap(group => [this.#keys.due(group), this.#keys.busy(group)])]
    const ending = lease === undefined || namespace === undefined ? '' : `\n${named(namespace)}`
    const found = await this.#connection.run(scripts.due, keys, () => [scoreOf(before), limit, ending])
    return dueRuns(found as (string | number)[], query)
  }

  async renew(process: string, until: number): Promise<void> {
    const args = [JSON.stringify(process), scoreOf(until), scoreOf(until - processesKept)]
    await this.#write(scripts.renew, [this.#keys.marks, this.#keys.processes], args)
  }

  async livesUntil(processes: readonly string[]): Promise<readonly number[]> {
    if (processes.length === 0) return []
    const names = processes.map(process => JSON.stringify(process))
    const scores = (await this.#connection.ask('zmscore', [this.#keys.processes, ...names])) as (string | null)[]
    return scores.map(score => Number(score ?? 0))
  }

  async close(): Promise<void> {
    if (this.#mark.isLeft) await this.#connection.part('hdel', [this.#keys.marks, this.#mark.instance])
    this.#end()
  }

  /**
   * Runs a script that writes, with a mark, and waits for replicas.
   *
   * @param runOf the run of a write that the script names by its place
   */
  async #write(
    script: Script,
    keys: readonly string[],
    args: readonly (string | number)[],
    runOf?: (which: number) => string | undefined,
  ): Promise<unknown> {
    let call = 0
    let losses = 0
    const marked = (): readonly (string | number)[] => {
      const next = this.#mark.next()
      call = next.call
      losses = this.#connection.losses
      return [...next.args, ...args]
    }
    const answer = await this.#connection.run(script, keys, marked).catch(error => {
      throw XMachinesError.is(error, 'STORE_ROLLED_BACK') ? this.#rolledBack(error, runOf) : error
    })
    await this.#replicas?.reached(losses)
    this.#mark.acknowledge(call)
    return answer
  }

  #rolledBack(error: XMachinesError, runOf?: (which: number) => string | undefined): XMachinesError {
    const run = runOf?.(Number(/ROLLEDBACK (\d+)/.exec(error.message)?.[1]))
    const what = run === undefined ? 'what it acknowledged' : `units of run ${run} that it acknowledged`
    return storeError(
      'STORE_ROLLED_BACK',
      this.location,
      `the server has forgotten ${what}`,
      run === undefined ? {} : { run },
    )
  }
}

/** A number as the server's sorted sets write it. */
function scoreOf(number: number): string {
  return String(number).replace('Infinity', 'inf')
}
