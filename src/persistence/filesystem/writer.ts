import * as fs from 'node:fs'
import { dirname, join } from 'node:path'
import type {
  AppendItem,
  AppendOutcome,
  Claim,
  LeaseKey,
  LeaseRow,
  Mail,
  MailOutcome,
} from '../../actors/contracts/store.ts'
import { messageOf, XMachinesError } from '../../actors/errors.ts'
import { judge, judgeMail } from '../judge.ts'
import { validateClaim, validateItem, validateLease, validateMail, validateRenewal } from '../misuse.ts'
import { writeCheckpoint } from './checkpoint.ts'
import { Committer } from './committer.ts'
import { type Draft, mailedOf } from './draft.ts'
import { errnoOf, writeFailure } from './failures.ts'
import { syncDirectory } from './files.ts'
import { indexName } from './layout.ts'
import { takeLock, type WriterLock } from './lock.ts'
import type { LogReader } from './log-reader.ts'
import { LogWriter } from './log-writer.ts'
import { itemText, leaseText, mailText, renewalText } from './record.ts'
import type { FileStoreSettings } from './settings.ts'
import { inTurns } from './turns.ts'

/** So much of the log is read at an open at most, unless the checkpoint itself is longer. */
const mostUncovered = 64 << 20

/** Names this process among the holders of the writer's lock. */
export const holder: string = crypto.randomUUID()

/** The one that writes to a store: holds its lock, judges what is asked for, and has it made durable. */
export class Writer {
  readonly #reader: LogReader
  readonly #dir: string
  readonly #settings: FileStoreSettings
  readonly #lock: WriterLock
  readonly #log: LogWriter
  readonly #committer: Committer
  #checkpointing: Promise<void> | undefined

  private constructor(reader: LogReader, dir: string, settings: FileStoreSettings, lock: WriterLock) {
    this.#reader = reader
    this.#dir = dir
    this.#settings = settings
    this.#lock = lock
    this.#log = new LogWriter({ dir, ...settings }, reader.index.end)
    this.#committer = new Committer(settings.objectFormat, reader.index, this.#log, bytes => this.#committed(bytes))
  }

  /**
   * Takes the lock of a store, and mends what a crash left.
   *
   * @param refresh has the reader know all that was written before the call
   * @throws STORE_LOCKED, STORE_READ_ONLY, STORE_FULL, …
   */
  static async open(
    reader: LogReader,
    dir: string,
    settings: FileStoreSettings,
    refresh: () => Promise<void>,
  ): Promise<Writer> {
    if (settings.readOnly) {
      throw new XMachinesError('STORE_READ_ONLY', `The store ${dir} was opened with readOnly: true.`, {
        details: { path: dir },
      })
    }
    // What is no store is refused before anything is made in it.
    await refresh()
    let lock: WriterLock | undefined
    try {
      makeDirectory(dir)
      lock = await takeLock(dir)
      await refresh()
      reader.cutTail()
      if (settings.fsync) reader.syncTail()
      reader.index.forgetRenewalsBefore(holder)
      return new Writer(reader, dir, settings, lock)
    } catch (error) {
      await lock?.release()
      throw writeFailure(error, 'be opened to write', dir)
    }
  }

  append(items: readonly AppendItem[]): Promise<readonly AppendOutcome[]> {
    const { draft } = this.#committer
    for (const item of items) this.#validate(item, draft)
    const texts = items.map(item => {
      const newMachine = item.machine !== undefined && draft.machine(item.machine.oid) === undefined
      const pins = item.lease !== undefined && draft.row(item.run)?.lease === undefined
      return itemText(item, newMachine, pins)
    })
    const leaseOf = (key: LeaseKey): LeaseRow | undefined => draft.lease(key)
    const outcomes = items.map((item, index) => {
      const creation = item.expected === null ? item.units[0]!.creation : undefined
      const pinned = creation?.key === undefined ? undefined : draft.pinned(creation.namespace, creation.key)
      const row = draft.row(item.run)
      const outcome = judge(item, row, pinned, leaseOf)
      if (outcome.status === 'appended') this.#committer.place(item, texts[index]!, row)
      return outcome
    })
    return this.#committer.settle(outcomes)
  }

  claim(claim: Claim): Promise<LeaseRow> {
    validateClaim(claim)
    const { namespace, partition, owner, group, above = 0 } = claim
    const epoch = Math.max(this.#committer.draft.lease({ namespace, partition })?.epoch ?? 0, above) + 1
    return this.#committer.settle(this.#setLease({ namespace, partition, epoch, owner, group }))
  }

  release(key: LeaseKey & { readonly epoch: number }): Promise<boolean> {
    validateLease(key, key.epoch)
    const row = this.#committer.draft.lease(key)
    const mine = row !== undefined && row.epoch === key.epoch
    if (mine) this.#setLease({ ...row, owner: null, group: null })
    return this.#committer.settle(mine)
  }

  deliver(mail: readonly Mail[]): Promise<readonly MailOutcome[]> {
    validateMail(mail)
    const { draft, frame } = this.#committer
    const texts = mail.map(mailText)
    const answers = mail.map((entry, index) => {
      const row = draft.row(entry.receiver)
      const isNew = row?.mails === undefined || row.mails.isNew(entry, mailedOf(draft))
      const answer = judgeMail(row, !isNew && draft.received(entry))
      if (answer === 'taken') draft.takeMail(entry, frame.putMail(texts[index]!, row?.mails?.last ?? 0))
      return answer
    })
    return this.#committer.settle(answers)
  }

  renew(process: string, until: number): Promise<void> {
    validateRenewal(process, until)
    const { draft, frame } = this.#committer
    const renewal = { process, until, holder }
    frame.putLine(renewalText(renewal))
    draft.renewals.set(process, renewal)
    return this.#committer.settle(undefined)
  }

  /** Waits for all that was asked for, and gives the lock up. */
  async close(): Promise<void> {
    await this.#committer.settled()
    await this.#checkpointing
    const { uncovered, checkpointLength } = this.#reader
    if (uncovered > Math.max(this.#settings.checkpointBytes, checkpointLength / 8)) await this.#checkpoint()
    this.#log.close()
    await this.#lock.release()
  }

  #setLease(row: LeaseRow): LeaseRow {
    const { draft, frame } = this.#committer
    frame.putLine(leaseText(row))
    return draft.takeLease(row)
  }

  #validate(item: AppendItem, draft: Draft): void {
    validateItem(item)
    if (item.expected !== null) return
    const width = this.#settings.objectFormat === 'sha1' ? 40 : 64
    if (item.run.length !== width || !/^[0-9a-f]+$/.test(item.run)) {
      throw new TypeError(`Expected \`run\` of the item to be ${width} hex digits; got ${item.run}.`)
    }
    const fork = item.units[0]!.creation!.fork
    if (fork !== undefined && !((draft.row(fork.run)?.seq ?? -1) >= fork.at)) {
      throw new TypeError(`Expected the run ${fork.run} to have a unit ${fork.at} to fork at; the store has none.`)
    }
  }

  #committed(bytes: number): void {
    const reader = this.#reader
    reader.uncovered += bytes
    if (this.#checkpointing !== undefined) return
    if (!reader.index.crowded && reader.uncovered < Math.max(mostUncovered, reader.checkpointLength)) return
    this.#checkpointing = this.#checkpoint().finally(() => {
      this.#checkpointing = undefined
    })
  }

  /** Never fails: without it the next open takes longer. */
  async #checkpoint(): Promise<void> {
    const reader = this.#reader
    const covered = reader.uncovered
    try {
      const snapshots = reader.snapshots.state
      const packed = await inTurns(reader.index.packing())
      reader.checkpointLength = await writeCheckpoint(this.#dir, this.#settings.objectFormat, { ...packed, snapshots })
      reader.uncovered -= covered
    } catch (error) {
      const file = join(this.#dir, indexName)
      const message = `${file} could not be written: ${messageOf(error)}. The next open reads more of the log.`
      this.#settings.onWarning({ code: 'INDEX_NOT_WRITTEN', message, file })
    }
  }
}

/**
 * Makes the directory, with those above it, and sees to it that they are still there after a crash. One by one: told to
 * make them all, Node hides why it could not.
 */
function makeDirectory(dir: string): void {
  try {
    fs.mkdirSync(dir)
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return
    if (errnoOf(error) !== 'ENOENT' || dirname(dir) === dir) throw error
    makeDirectory(dirname(dir))
    fs.mkdirSync(dir)
  }
  syncDirectory(dirname(dir))
}
