import type { JsonValue } from '../../actors/contracts/json.ts'
import type { AppendItem, Beside, LeaseKey, Mail, MailKey, RunHead, RunStatus } from '../../actors/contracts/store.ts'
import type { NewUnit, TimeMode } from '../../actors/contracts/unit.ts'
import { amend, emptyBeside, frozenMail, withInbox } from '../judge.ts'
import { inboxPage, Waiting } from '../waiting.ts'
import type { MailMarks } from './mail-marks.ts'

/** A mail that waits: where its line stands, and its content while few do. */
export interface WaitingMail extends MailKey {
  readonly position: number
  readonly mail?: Mail | undefined
}

/** A machine version as the index keeps it: where its record stands. */
export interface MachineAt {
  readonly oid: string
  readonly id: string
  readonly version: string
  readonly position: number
}

/** How long a process said that it lives. */
export interface Renewal {
  readonly process: string
  readonly until: number
  /** Which holder of the writer's lock it said it through. */
  readonly holder: string
}

/** Where a fork began. */
export interface ForkAt {
  /** The run that it shares the units up to `at` with. */
  readonly run: string
  readonly at: number
  /** Place of its creation, which its history does not show. */
  readonly position: number
}

/** All that a row is made of. */
export interface RowFields {
  readonly run: string
  readonly namespace: string
  readonly key: string | undefined
  readonly time: TimeMode
  readonly fork: ForkAt | undefined
  readonly machine: MachineAt
  readonly seq: number
  readonly revision: number
  readonly at: number
  readonly status: RunStatus
  readonly value: JsonValue | undefined
  readonly due: number | null
  readonly lease: LeaseKey | undefined
  /** But for the inbox. */
  readonly beside: Beside
  readonly waiting: Waiting<WaitingMail>
  /** Place of the last unit. */
  readonly head: number
  /** Place of the last unit whose seq is a multiple of the stride; 0: none. */
  readonly mark: number
  readonly mails: MailMarks | undefined
}

/** Where a run stands: what the index knows of it. Never changed; a change makes another one. */
export class Row implements RowFields {
  readonly run: string
  readonly namespace: string
  readonly key: string | undefined
  readonly time: TimeMode
  readonly fork: ForkAt | undefined
  readonly machine: MachineAt
  readonly seq: number
  readonly revision: number
  readonly at: number
  readonly status: RunStatus
  readonly value: JsonValue | undefined
  readonly due: number | null
  readonly lease: LeaseKey | undefined
  readonly beside: Beside
  readonly waiting: Waiting<WaitingMail>
  readonly head: number
  readonly mark: number
  readonly mails: MailMarks | undefined

  constructor(fields: RowFields) {
    this.run = fields.run
    this.namespace = fields.namespace
    this.key = fields.key
    this.time = fields.time
    this.fork = fields.fork
    this.machine = fields.machine
    this.seq = fields.seq
    this.revision = fields.revision
    this.at = fields.at
    this.status = fields.status
    this.value = fields.value
    this.due = fields.due
    this.lease = fields.lease
    this.beside = fields.beside
    this.waiting = fields.waiting
    this.head = fields.head
    this.mark = fields.mark
    this.mails = fields.mails
  }

  /** The seq of the first unit that the run has of its own, of a fork its creation. */
  get first(): number {
    return this.fork?.at ?? 0
  }

  /** What the store tells of the run. @param read reads a mail @param fork the creation of a fork @param mail how much of the inbox */
  toHead(read: (position: number) => Mail, fork?: NewUnit, mail = inboxPage): RunHead {
    const { key, value, lease, machine } = this
    return Object.freeze({
      run: this.run,
      namespace: this.namespace,
      ...(key === undefined ? {} : { key }),
      time: this.time,
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
      ...(fork === undefined ? {} : { fork }),
      beside: this.#besideWithInbox(read, mail),
    })
  }

  #besideWithInbox(read: (position: number) => Mail, most: number): Beside {
    const { beside, waiting } = this
    if (waiting.size === 0) return beside
    const inbox = waiting.first(most).map(({ position, mail }) => mail ?? read(position))
    return withInbox(beside, inbox, waiting.size)
  }
}

/** The row of a run that a creation makes, before the item itself is taken. @param position place of the creation */
export function newRow(item: AppendItem, machine: MachineAt, position: number): Row {
  const { creation, at, seq } = item.units[0]!
  const { namespace, key, time, fork } = creation!
  return new Row({
    run: item.run,
    namespace,
    key,
    time,
    fork: fork && { run: fork.run, at: fork.at, position },
    machine,
    seq,
    revision: 0,
    at,
    status: 'active',
    value: undefined,
    due: null,
    lease: undefined,
    beside: emptyBeside,
    waiting: new Waiting(),
    head: 0,
    mark: 0,
    mails: undefined,
  })
}

/**
 * The row after an item that was judged `appended`.
 *
 * @param machine the machine that the item goes over to
 * @param head place of the item's last unit @param mark see {@link RowFields.mark}
 */
export function rowAfter(row: Row, item: AppendItem, machine: MachineAt | undefined, head: number, mark: number): Row {
  const last = item.units[item.units.length - 1]
  const { lease } = item
  return new Row({
    run: row.run,
    namespace: row.namespace,
    key: row.key,
    time: row.time,
    fork: row.fork,
    machine: machine ?? row.machine,
    seq: last === undefined ? row.seq : last.seq,
    revision: row.revision + 1,
    at: last === undefined ? row.at : last.at,
    status: item.status ?? row.status,
    value: item.value === undefined ? row.value : item.value,
    due: item.due === undefined ? row.due : item.due,
    lease:
      lease === undefined || row.lease !== undefined
        ? row.lease
        : Object.freeze({ namespace: lease.namespace, partition: lease.partition }),
    beside: amend(row.beside, item),
    waiting: item.beside?.taken?.length ? row.waiting.without(item.beside.taken) : row.waiting,
    head,
    mark,
    mails: row.mails,
  })
}

/** The row after a mail, whose line stands at `position`, was put into the inbox. */
export function rowWithMail(row: Row, mail: Mail, position: number, mails: MailMarks): Row {
  const { sender, seq, index, failure } = mail
  const kept = row.waiting.size < inboxPage ? frozenMail(mail) : undefined
  const waiting = row.waiting.push(
    failure === undefined
      ? { sender, seq, index, position, mail: kept }
      : { sender, seq, index, position, mail: kept, failure },
  )
  const due = row.beside.held || row.beside.parked !== null ? row.due : 0
  return new Row({ ...row, revision: row.revision + 1, waiting, due, mails })
}
