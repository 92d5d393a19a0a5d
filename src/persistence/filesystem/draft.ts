import type { AppendItem, LeaseKey, LeaseRow, MachineRecord, Mail } from '../../actors/contracts/store.ts'
import { partitionName } from '../attention.ts'
import { mailId } from '../judge.ts'
import { type MailedOf, MailMarks } from './mail-marks.ts'
import { type MachineAt, newRow, type Renewal, type Row, rowAfter, rowWithMail } from './row.ts'

/** What can be asked of an index, durable or ahead of the disk. */
export interface View {
  row(run: string): Row | undefined
  /** The run that (namespace, key) is pinned to. */
  pinned(namespace: string, key: string): string | undefined
  lease(key: LeaseKey): LeaseRow | undefined
  machine(oid: string): MachineAt | undefined
  /** Whether a mail that is not after all others was ever given to its receiver. */
  received(mail: Mail): boolean
}

/** Where the units of an item came to stand. */
export interface Places {
  /** The first one. */
  readonly first: number
  /** The last one, or the run's last before. */
  readonly head: number
  /** The last one whose seq is a multiple of the stride, or the run's last before. */
  readonly mark: number
}

/** What one flush changes, on top of what was there before. Taken over by the index when the flush is durable, or dropped. */
export class Draft implements View {
  readonly rows = new Map<string, Row>()
  readonly pins = new Map<string, string>()
  readonly leases = new Map<string, LeaseRow>()
  readonly machines = new Map<string, MachineAt>()
  readonly renewals = new Map<string, Renewal>()
  readonly #mails = new Set<string>()
  /** What was there before: the flush in flight, or the durable index. */
  parent: View

  constructor(parent: View) {
    this.parent = parent
  }

  row(run: string): Row | undefined {
    return this.rows.get(run) ?? this.parent.row(run)
  }

  pinned(namespace: string, key: string): string | undefined {
    return this.pins.get(pinName(namespace, key)) ?? this.parent.pinned(namespace, key)
  }

  lease(key: LeaseKey): LeaseRow | undefined {
    return this.leases.get(partitionName(key)) ?? this.parent.lease(key)
  }

  machine(oid: string): MachineAt | undefined {
    return this.machines.get(oid) ?? this.parent.machine(oid)
  }

  received(mail: Mail): boolean {
    return this.#mails.has(deliveryName(mail)) || this.parent.received(mail)
  }

  /** Takes an item that was judged `appended`. @param known where its run stands, if there is it */
  take(item: AppendItem, known: Row | undefined, { first, head, mark }: Places): void {
    const machine = item.machine === undefined ? undefined : this.machine(item.machine.oid)!
    const row = rowAfter(known ?? newRow(item, machine!, first), item, machine, head, mark)
    this.rows.set(item.run, row)
    if (known === undefined && row.key !== undefined) this.pins.set(pinName(row.namespace, row.key), row.run)
  }

  takeMachine({ oid, id, version }: Pick<MachineRecord, 'oid' | 'id' | 'version'>, position: number): void {
    this.machines.set(oid, { oid, id, version, position })
  }

  takeLease(row: LeaseRow): LeaseRow {
    this.leases.set(partitionName(row), Object.freeze(row))
    return row
  }

  takeMail(mail: Mail, position: number): void {
    this.#mails.add(deliveryName(mail))
    const row = this.row(mail.receiver)!
    const marks = (row.mails ?? MailMarks.none).after(mail, position, mailedOf(this), this)
    this.rows.set(mail.receiver, rowWithMail(row, mail, position, marks))
  }
}

/** How far the runs of a view know their mail to be delivered. */
export function mailedOf(view: View): MailedOf {
  return sender => view.row(sender)?.beside.mailed
}

/** One name for a namespace and a key, whatever either contains. */
export function pinName(namespace: string, key: string): string {
  return `${namespace.length}:${namespace}${key}`
}

function deliveryName(mail: Mail): string {
  return `${mail.receiver}/${mailId(mail)}`
}
