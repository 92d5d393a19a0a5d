import type { JsonValue } from '../../actors/contracts/json.ts'
import type {
  AppendItem,
  Beside,
  LeaseKey,
  MachineRecord,
  Mail,
  RunHead,
  RunStatus,
  StoredSnapshot,
} from '../../actors/contracts/store.ts'
import type { Creation, ObjectFormat } from '../../actors/contracts/unit.ts'
import { Attention } from '../attention.ts'
import { amend, emptyBeside, frozenMail, withInbox } from '../judge.ts'
import { inboxPage, Waiting } from '../waiting.ts'
import { History } from './history.ts'

/** How many snapshots of a run are kept: a few, so that a look back does not replay from the start. */
const keptSnapshots = 4

/** One run in memory: its history, and what is kept beside it. */
export class MemoryRun {
  readonly history: History
  readonly attention: Attention
  readonly creation: Creation
  machine: MachineRecord
  seq: number
  revision = 0
  at: number
  status: RunStatus = 'active'
  value: JsonValue | undefined = undefined
  due: number | null = null
  lease: LeaseKey | undefined = undefined
  /** But for the inbox. */
  beside: Beside = emptyBeside
  #waiting: Waiting<Mail> | undefined
  /** Every mail that was ever put into the inbox. */
  #mail: Set<string> | undefined
  /** Oldest first. */
  #snapshots: StoredSnapshot[] = []

  /** @param item its creation @param parent the run that it is a fork of */
  constructor(item: AppendItem, machine: MachineRecord, parent: MemoryRun | undefined, format: ObjectFormat) {
    const first = item.units[0]!
    this.creation = first.creation!
    this.machine = machine
    this.history = new History(item.run, first, parent?.history, format)
    this.attention = new Attention(item.run, this.creation.namespace)
    this.seq = first.seq
    this.at = first.at
  }

  /** Takes an item that was judged `appended`. */
  take(item: AppendItem, machine: MachineRecord | undefined): void {
    const { units, lease } = item
    for (const unit of units) {
      this.history.push(unit, lease?.epoch)
      this.seq = unit.seq
      this.at = unit.at
    }
    this.revision++
    this.beside = amend(this.beside, item)
    const taken = item.beside?.taken
    if (taken?.length) this.#waiting = this.#waiting?.without(taken)
    if (machine !== undefined) this.machine = machine
    if (item.status !== undefined) this.status = item.status
    if (item.value !== undefined) this.value = item.value
    if (item.due !== undefined) this.due = item.due
    if (lease !== undefined && this.lease === undefined) {
      this.lease = Object.freeze({ namespace: lease.namespace, partition: lease.partition })
    }
  }

  /** Whether a mail of this name was ever put into the inbox. */
  knows(name: string): boolean {
    return this.#mail?.has(name) ?? false
  }

  /** Puts a mail into the inbox. @param name as `mailId` tells it */
  receive(mail: Mail, name: string): void {
    this.#mail ??= new Set()
    this.#mail.add(name)
    this.#waiting = (this.#waiting ?? new Waiting()).push(frozenMail(mail))
    this.revision++
    if (!this.beside.held && this.beside.parked === null) this.due = 0
  }

  saveSnapshot(snapshot: StoredSnapshot): void {
    if (snapshot.seq > this.seq) return
    const others = this.#snapshots.filter(other => other.seq !== snapshot.seq)
    this.#snapshots = [...others, Object.freeze({ ...snapshot })].sort((a, b) => a.seq - b.seq).slice(-keptSnapshots)
  }

  snapshot(atMost: number): StoredSnapshot | undefined {
    return this.#snapshots.findLast(snapshot => snapshot.seq <= atMost)
  }

  /** @param mail how much of the inbox it shows */
  head(mail = inboxPage): RunHead {
    const { creation, machine, lease, value } = this
    return Object.freeze({
      run: this.history.run,
      namespace: creation.namespace,
      ...(creation.key === undefined ? {} : { key: creation.key }),
      time: creation.time,
      machine: machine.oid,
      machineId: machine.id,
      version: machine.version,
      seq: this.seq,
      revision: this.revision,
      at: this.at,
      status: this.status,
      ...(value === undefined ? {} : { value }),
      due: this.due,
      ...(lease === undefined ? {} : { lease }),
      ...(creation.fork === undefined ? {} : { fork: Object.freeze({ ...this.history.beginning }) }),
      beside:
        this.#waiting === undefined
          ? this.beside
          : withInbox(this.beside, this.#waiting.first(mail), this.#waiting.size),
    })
  }
}
