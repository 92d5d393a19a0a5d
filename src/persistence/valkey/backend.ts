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
import { inboxPage } from '../waiting.ts'
import { AppendCall, readRefusal } from './append.ts'
import { type Connection, type Script, script } from './connection.ts'
import { type DueQuery, dueRuns, groupOf } from './due.ts'
import { storeError } from './failures.ts'
import { format, freeGroup, type Keys, leaseName, named, ofMember, pinName, unnamed } from './keys.ts'
import { Letters } from './mail.ts'
import { Mark } from './mark.ts'
import type { Replicas } from './replicas.ts'
import { readLease, readRowText, readUnit } from './row-text.ts'
import { appendScript } from './scripts/append.ts'
import { claimScript, releaseScript, renewScript } from './scripts/leases.ts'
import { deliverScript } from './scripts/mail.ts'
import { openScript } from './scripts/opening.ts'
import { dueScript, headsScript, unitsScript } from './scripts/reading.ts'
import { loadScript, saveScript } from './scripts/snapshots.ts'

const scripts = {
  open: script(openScript),
  append: script(appendScript),
  claim: script(claimScript),
  release: script(releaseScript),
  renew: script(renewScript),
  deliver: script(deliverScript),
  due: script(dueScript),
  heads: script(headsScript),
  units: script(unitsScript),
  save: script(saveScript),
  load: script(loadScript),
}

/** How many characters of units, and how many of them, are read at once. */
const unitsText = 1 << 18
const unitsCount = 1024
const keptSnapshots = 4
/** For how long after its end a process is remembered, ms. */
const processesKept = 30 * 24 * 3_600_000
/** How many names are looked through at once for those of a namespace. */
const namesAtOnce = 1024

/** A store's data on Valkey or Redis. */
export class ValkeyBackend implements ServerBackend {
  readonly location: string
  readonly #connection: Connection
  readonly #keys: Keys
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
    this.#replicas = replicas
    this.#end = end
  }

  async open(objectFormat: ObjectFormat): Promise<void> {
    const { store, runs } = this.#keys
    // A store that is there is only read: it may be on a replica.
    let kept = await this.#connection.ask('hmget', [store, 'format', 'objectFormat'])
    if ((kept as (string | null)[])[0] === null) {
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
      for (const [which, ...refusal] of answers[at] as [number, ...string[]][]) {
        refusals[first + which - 1] = readRefusal(refusal)
      }
    }
    for (const [at, { machines }] of writes.entries()) {
      if (refusals[at] === undefined) for (const { oid } of machines) this.#machines.add(oid)
    }
    return refusals
  }

  async rows(runs: readonly string[]): Promise<readonly WrittenRow[]> {
    const found = await Promise.all(
      runs.map(
        run => this.#connection.ask('hmget', [this.#keys.run(run), 'row', 'name']) as Promise<(string | null)[]>,
      ),
    )
    return found.flatMap(([row, name], at) =>
      row === null || row === undefined ? [] : [readRowText(runs[at]!, row, name!)],
    )
  }

  async head(run: string, mail: number): Promise<WrittenHead | undefined> {
    const [head] = await this.#heads([run], mail)
    return head
  }

  async heads(query: Parameters<ServerBackend['heads']>[0]): Promise<readonly WrittenHead[]> {
    const { after, inclusive, prefix, namespace, limit } = query
    const heads: WrittenHead[] = []
    // A member is a run and what follows it: a line break, which is before all that a longer run could have there.
    let from = inclusive ? `[${named(after)}` : `(${named(after)}\u000b`
    while (heads.length < limit) {
      const count = namespace === undefined ? limit - heads.length : namesAtOnce
      const page = (await this.#connection.ask('zrangebylex', [
        this.#keys.runs,
        from,
        '+',
        'limit',
        0,
        count,
      ])) as string[]
      const members = page.map(ofMember)
      const end = members.findIndex(({ run }) => !run.startsWith(prefix))
      const fitting = members
        .slice(0, end < 0 ? undefined : end)
        .filter(member => namespace === undefined || member.namespace === namespace)
        .slice(0, limit - heads.length)
      heads.push(
        ...(await this.#heads(
          fitting.map(({ run }) => run),
          inboxPage,
        )),
      )
      if (page.length < count || end >= 0) break
      from = `(${page.at(-1)}`
    }
    return heads
  }

  async pinned(namespace: string, key: string): Promise<string | undefined> {
    const run = await this.#connection.ask('hget', [this.#keys.pins, pinName(namespace, key)])
    return run === null ? undefined : unnamed(run as string)
  }

  async units(run: string, from: number, to: number): Promise<readonly WrittenUnit[]> {
    const range = [`${from + 1}-0`, `${to + 1}-0`, unitsText, unitsCount]
    const entries = await this.#connection.run(scripts.units, [this.#keys.units(run)], () => range)
    return (entries as [string, [field: string, text: string]][]).map(([entry, [, text]]) => readUnit(entry, text))
  }

  async machine(oid: string): Promise<MachineRecord | undefined> {
    const text = await this.#connection.ask('hget', [this.#keys.machines, oid])
    return text === null ? undefined : (JSON.parse(text as string) as MachineRecord)
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
    return (await this.#write(scripts.release, [this.#keys.marks, this.#keys.leases], args)) === 1
  }

  async lease({ namespace, partition }: LeaseKey): Promise<LeaseRow | undefined> {
    const name = leaseName(namespace, partition)
    const text = await this.#connection.ask('hget', [this.#keys.leases, name])
    return text === null ? undefined : readLease(name, text as string)
  }

  async deliver(mail: readonly Mail[]): Promise<readonly ('taken' | 'duplicate' | 'unknown' | 'finished')[]> {
    const letters = new Letters(mail, this.#keys)
    for (let waiting = letters.next(); waiting !== undefined; waiting = letters.next()) {
      const places = await this.rows(letters.receivers(waiting))
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

  async #heads(runs: readonly string[], mail: number): Promise<WrittenHead[]> {
    if (runs.length === 0) return []
    const keys = runs.flatMap(run => [this.#keys.run(run), this.#keys.inbox(run)])
    const found = (await this.#connection.run(scripts.heads, keys, () => [
      Math.min(mail, Number.MAX_SAFE_INTEGER),
    ])) as HeadText[]
    return found.flatMap(([row, name, oldest, waiting], at) => {
      if (row === undefined) return []
      const inbox = oldest!.map(text => JSON.parse(text) as Mail)
      return [{ row: readRowText(runs[at]!, row, name!), inbox, waiting: waiting! }]
    })
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

type HeadText = [row?: string, name?: string, mail?: string[], waiting?: number]

/** A number as the server's sorted sets write it. */
function scoreOf(number: number): string {
  return String(number).replace('Infinity', 'inf')
}
