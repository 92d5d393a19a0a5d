import { batchesOf, batchStream } from '../../actors/batch-stream.ts'
import type {
  AbortOptions,
  AppendItem,
  AppendOutcome,
  Claim,
  DueQuery,
  DueRun,
  HeadOptions,
  LeaseKey,
  LeaseRow,
  ListOptions,
  MachineRecord,
  Mail,
  MailOutcome,
  ReadOptions,
  RunHead,
  Store,
  StoredSnapshot,
} from '../../actors/contracts/store.ts'
import type { ObjectFormat, Unit } from '../../actors/contracts/unit.ts'
import { aborted, XMachinesError } from '../../actors/errors.ts'
import type { Archiver } from './archiver.ts'
import { errnoOf, writeFailure } from './failures.ts'
import { Follower } from './follower.ts'

/** What a {@link GitStore} is opened with. */
export interface GitStoreSettings {
  readonly gitdir: string
  readonly objectFormat: ObjectFormat
  /** Time between two flushes of commits at least, ms. */
  readonly interval: number
  readonly onWarning: (warning: { readonly code: string; readonly message: string }) => void
  /** Opens journal and repository, in step with each other. */
  open(): Promise<OpenPlace>
}

/** A journal and the repository behind it. */
export interface OpenPlace {
  readonly journal: Store
  readonly archiver: Archiver
  /** Whether notes and states are kept beside the branches. */
  readonly sideRefs: boolean
  /** @param complete whether the branches have all that the journal has, also at its next open */
  close(complete: boolean): Promise<void>
}

/** All that is open of it. */
interface Opened extends OpenPlace {
  readonly follower: Follower
}

/**
 * A repository as a primary store: a journal inside the Git directory answers, and what it holds is committed behind it.
 * At an open, before the first operation is answered, the branches have all that was ever acknowledged.
 */
export class GitStore implements Store {
  readonly objectFormat: ObjectFormat
  readonly location: string
  readonly #settings: GitStoreSettings
  /** Runs with units that are not committed yet, and those that the pass in hand commits. */
  #changed = new Set<string>()
  #inHand = new Set<string>()
  /** Runs that could not be committed: tried again with their next unit, and by the close. */
  readonly #failed = new Set<string>()
  /** Whether the journal may have, at its next open, what it has not now. */
  #isInDoubt = false
  /** What is not answered yet. */
  readonly #appending = new Set<Promise<unknown>>()
  #opened: Opened | undefined
  #opening: Promise<Opened> | undefined
  #closing: Promise<void> | undefined

  constructor(settings: GitStoreSettings) {
    this.location = settings.gitdir
    this.objectFormat = settings.objectFormat
    this.#settings = settings
  }

  append(items: readonly AppendItem[], options?: AbortOptions): Promise<readonly AppendOutcome[]> {
    const appended = this.#do(options, async ({ journal }) => {
      const runs = items.map(({ run, units }) => (units.length > 0 ? run : undefined))
      let outcomes: readonly AppendOutcome[]
      try {
        outcomes = await journal.append(items, options)
      } catch (error) {
        // Its bytes may be in the log all the same, to be read by now or after the next open.
        this.#isInDoubt = true
        for (const run of runs) if (run !== undefined) this.#changed.add(run)
        throw error
      }
      for (const [at, run] of runs.entries()) {
        if (run !== undefined && outcomes[at]!.status === 'appended') this.#changed.add(run)
      }
      return outcomes
    })
    this.#appending.add(appended)
    const done = (): void => {
      this.#appending.delete(appended)
    }
    appended.then(done, done)
    return appended
  }

  read(run: string, options: ReadOptions = {}): ReadableStream<Unit> {
    return this.#stream(options, journal => journal.read(run, options))
  }

  list(options: ListOptions = {}): ReadableStream<RunHead> {
    return this.#stream(options, journal => journal.list(options))
  }

  head(run: string, options?: HeadOptions): Promise<RunHead | undefined> {
    return this.#do(options, ({ journal }) => journal.head(run, options))
  }

  find(namespace: string, key: string, options?: AbortOptions): Promise<string | undefined> {
    return this.#do(options, ({ journal }) => journal.find(namespace, key, options))
  }

  machine(oid: string, options?: AbortOptions): Promise<MachineRecord | undefined> {
    return this.#do(options, ({ journal }) => journal.machine(oid, options))
  }

  saveSnapshot(run: string, snapshot: StoredSnapshot, options?: AbortOptions): Promise<void> {
    return this.#do(options, ({ journal }) => journal.saveSnapshot(run, snapshot, options))
  }

  loadSnapshot(
    run: string,
    options?: AbortOptions & { readonly atMost?: number },
  ): Promise<StoredSnapshot | undefined> {
    return this.#do(options, ({ journal }) => journal.loadSnapshot(run, options))
  }

  claim(claim: Claim, options?: AbortOptions): Promise<LeaseRow> {
    return this.#do(options, ({ journal }) => journal.claim(claim, options))
  }

  release(key: LeaseKey & { readonly epoch: number }, options?: AbortOptions): Promise<boolean> {
    return this.#do(options, ({ journal }) => journal.release(key, options))
  }

  lease(key: LeaseKey, options?: AbortOptions): Promise<LeaseRow | undefined> {
    return this.#do(options, ({ journal }) => journal.lease(key, options))
  }

  deliver(mail: readonly Mail[], options?: AbortOptions): Promise<readonly MailOutcome[]> {
    return this.#do(options, ({ journal }) => journal.deliver(mail, options))
  }

  due(query: DueQuery, options?: AbortOptions): Promise<readonly DueRun[]> {
    return this.#do(options, ({ journal }) => journal.due(query, options))
  }

  renew(process: string, until: number, options?: AbortOptions): Promise<void> {
    return this.#do(options, ({ journal }) => journal.renew(process, until, options))
  }

  livesUntil(processes: readonly string[], options?: AbortOptions): Promise<readonly number[]> {
    return this.#do(options, ({ journal }) => journal.livesUntil(processes, options))
  }

  /** Commits what is not committed yet, and closes. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  /** @throws STORE_CLOSED, ABORTED */
  #admit(signal: AbortSignal | undefined): void {
    if (this.#closing !== undefined) {
      throw new XMachinesError('STORE_CLOSED', `The repository ${this.location} is closed. Open it again.`)
    }
    if (signal?.aborted) throw aborted(signal)
  }

  /** At once where it is open; else when it is, in the order of the calls. */
  #do<T>(options: AbortOptions | undefined, work: (opened: Opened) => Promise<T>): Promise<T> {
    try {
      this.#admit(options?.signal)
      return this.#opened === undefined ? this.#open().then(work) : work(this.#opened)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  #stream<T>(options: AbortOptions, of: (journal: Store) => ReadableStream<T>): ReadableStream<T> {
    if (this.#opened !== undefined && this.#closing === undefined) return of(this.#opened.journal)
    const waited = async function* (this: GitStore): AsyncGenerator<readonly T[]> {
      this.#admit(options.signal)
      yield* batchesOf(of((await this.#open()).journal))
    }
    return batchStream(waited.call(this))
  }

  #open(): Promise<Opened> {
    if (this.#opening !== undefined) return this.#opening
    this.#opening = this.#openNow()
    this.#opening.then(
      opened => {
        this.#opened = opened
      },
      () => {
        this.#opening = undefined
      },
    )
    return this.#opening
  }

  async #openNow(): Promise<Opened> {
    const { gitdir, interval, onWarning } = this.#settings
    const place = await this.#settings.open().catch(error => {
      throw errnoOf(error) === undefined ? error : writeFailure(error, gitdir)
    })
    const { journal, archiver, sideRefs } = place
    const follower = new Follower({
      store: journal,
      gitdir,
      interval,
      rest: 1,
      sideRefs,
      open: () => Promise.resolve(archiver),
      heads: () => this.#heads(journal),
      committed: failed => {
        this.#inHand.clear()
        // What is wrong with a run or its branch is looked at again with the run's next unit; all else may heal by itself.
        for (const [run, { code }] of failed)
          (code === 'ARCHIVE_DIFFERS' || code === 'COMMIT_DAMAGED' ? this.#failed : this.#changed).add(run)
      },
      onError: onWarning,
    })
    return { ...place, follower, close: complete => place.close(complete) }
  }

  async *#heads(journal: Store): AsyncGenerator<RunHead> {
    for (const run of this.#changed) this.#inHand.add(run)
    this.#changed = new Set()
    for (const run of [...this.#inHand]) {
      const head = await journal.head(run)
      if (head !== undefined) yield head
    }
  }

  async #close(): Promise<void> {
    const opened = await this.#opening?.catch(() => undefined)
    if (opened === undefined) return
    const { journal, archiver, follower, sideRefs } = opened
    const { onWarning } = this.#settings
    while (this.#appending.size > 0) await Promise.allSettled(this.#appending)
    for (const run of this.#failed) this.#changed.add(run)
    // What cannot be committed now stays in the journal, and is committed at the next open.
    const complete = await follower.caughtUp().then(
      () => true,
      error => {
        onWarning(error)
        return false
      },
    )
    await follower.close()
    if (complete && sideRefs && archiver.counts.flushes > 0) {
      // A piece of it, so that a close does not take long; an idle hour later, or an archive, writes the rest. Where nothing was
      // committed there is mostly nothing to write, and to look takes reading all refs.
      const how = { most: closingPiece, atLeastOne: false, last: true }
      await archiver.checkpoint(journal, how).catch(error => onWarning(writeFailure(error, this.location)))
    }
    await opened.close(complete && !this.#isInDoubt)
  }
}

/** So many units get their notes at a close. */
const closingPiece = 1024
