import { batchStream } from '../../actors/batch-stream.ts'
import type {
  DamagedRun,
  ListOptions,
  MachineRecord,
  ReadOptions,
  RunHead,
  Store,
  StoredSnapshot,
} from '../../actors/contracts/store.ts'
import type { ObjectFormat, Unit } from '../../actors/contracts/unit.ts'
import { aborted, XMachinesError } from '../../actors/errors.ts'
import { isUnreadable } from '../../actors/history/unreadable.ts'
import { nextTurn } from '../filesystem/turns.ts'
import { validateRange } from '../misuse.ts'
import { readHead } from './branch.ts'
import { isId } from './layout.ts'
import { readMachine } from './machine-commit.ts'
import { RecordedRuns } from './recorded-runs.ts'
import type { RefWatch } from './ref-watch.ts'
import type { Repository } from './repository.ts'
import { runBranches } from './run-branches.ts'
import { blamingOldest, commitAt, readCreation, walkBack } from './run-history.ts'
import { readSnapshot } from './snapshot-file.ts'

const batchSize = 256

type SignalOptions = { readonly signal?: AbortSignal | undefined }

/**
 * The runs of a repository, to read: of one that an archive writes, or of any clone of it. Shows the branches as they are, or
 * without a watch as they were at the first operation. Each commit's id is checked against its bytes when it is read.
 *
 * Of units whose provenance the clone has not got, outputs and state hashes are not known.
 */
export class RepositoryStore implements Store {
  readonly location: string
  readonly #open: () => Repository
  readonly #pushed: ReadonlyMap<string, string>
  #repository: Repository | undefined
  #recorded: RecordedRuns | undefined
  readonly #watch: RefWatch | undefined
  #branches: ReadonlyMap<string, string> | undefined
  /** (namespace, key) → run, of the branches when it was asked for. */
  #pins: { readonly of: ReadonlyMap<string, string>; readonly runs: Pins } | undefined
  #closed = false

  /**
   * @param pushed refs that are about to be set, which count instead of those that are
   * @param watch tells whether branches have moved
   */
  constructor(
    gitdir: string,
    open: () => Repository,
    pushed: ReadonlyMap<string, string> = new Map(),
    watch: RefWatch | undefined = undefined,
  ) {
    this.location = gitdir
    this.#open = open
    this.#pushed = pushed
    this.#watch = watch
  }

  get objectFormat(): ObjectFormat {
    return this.repository.objectFormat
  }

  /** @throws STORE_MISSING, STORE_FOREIGN, STORE_FORMAT */
  get repository(): Repository {
    this.#repository ??= this.#open()
    return this.#repository
  }

  get #runs(): RecordedRuns {
    this.#recorded ??= new RecordedRuns(this.repository)
    return this.#recorded
  }

  read(run: string, options: ReadOptions = {}): ReadableStream<Unit> {
    return batchStream(this.#units(run, options))
  }

  head(run: string, options?: SignalOptions): Promise<RunHead | undefined> {
    return this.#do(options, branches => {
      const oid = branches.get(run)
      return oid === undefined ? undefined : this.#runs.head(run, oid)
    })
  }

  find(namespace: string, key: string, options?: SignalOptions): Promise<string | undefined> {
    return this.#do(options, branches => {
      if (this.#pins?.of !== branches)
        this.#pins = { of: branches, runs: pinsOf(this.repository, branches, this.#pins?.runs) }
      const { keys, damage } = this.#pins.runs
      const run = keys.get(JSON.stringify([namespace, key]))
      // Nobody knows which key a run had whose beginning is bad.
      if (run === undefined && damage !== undefined) throw damage
      return run
    })
  }

  list(options: ListOptions = {}): ReadableStream<RunHead> {
    return batchStream(this.#heads(options))
  }

  machine(oid: string, options?: SignalOptions): Promise<MachineRecord | undefined> {
    return this.#do(options, () => (isId(oid, this.objectFormat) ? readMachine(this.repository, oid) : undefined))
  }

  /** The newest one that lies in the repository, if the history has the unit that it names. */
  loadSnapshot(
    run: string,
    options: SignalOptions & { readonly atMost?: number } = {},
  ): Promise<StoredSnapshot | undefined> {
    return this.#do(options, branches => {
      const { atMost = Number.POSITIVE_INFINITY } = options
      const head = branches.get(run)
      const found = head === undefined ? undefined : readSnapshot(this.repository, run)
      if (found === undefined || found.seq > atMost) return undefined
      return commitAt(this.repository, run, head!, found.seq) === found.id ? found : undefined
    })
  }

  /** Whether all own units of a run have their provenance: without, what was recorded cannot be compared. */
  isRecorded(head: RunHead): boolean {
    return this.#runs.isRecorded(head)
  }

  append = (): Promise<never> => this.#refuse()
  claim = (): Promise<never> => this.#refuse()
  release = (): Promise<never> => this.#refuse()
  deliver = (): Promise<never> => this.#refuse()
  renew = (): Promise<never> => this.#refuse()
  lease = (): Promise<undefined> => Promise.resolve(undefined)
  due = (): Promise<readonly []> => Promise.resolve([])
  livesUntil = (processes: readonly string[]): Promise<readonly number[]> => Promise.resolve(processes.map(() => 0))
  /** A cache: who may not write keeps none. */
  saveSnapshot = (): Promise<void> => Promise.resolve()

  async close(): Promise<void> {
    this.#closed = true
    this.#repository?.objects.close()
  }

  #refuse(): Promise<never> {
    return Promise.reject(
      new XMachinesError(
        'STORE_READ_ONLY',
        `The repository ${this.location} was opened to read. Open it with \`gitStore\`.`,
        {
          details: { path: this.location },
        },
      ),
    )
  }

  #check(signal: AbortSignal | undefined): void {
    if (this.#closed)
      throw new XMachinesError('STORE_CLOSED', `The repository ${this.location} is closed. Open it again.`)
    if (signal?.aborted) throw aborted(signal)
  }

  /** The heads of all runs: of one map, as long as no branch moves. */
  #admit(signal: AbortSignal | undefined): ReadonlyMap<string, string> {
    this.#check(signal)
    const look = (): void => {
      this.#branches = this.#look()
    }
    // A branch that moves while they are read is as likely to be read too old as what was recorded of it too new.
    if (this.#watch !== undefined) this.#watch.ifMoved(look)
    else if (this.#branches === undefined) look()
    return this.#branches!
  }

  async #do<T>(options: SignalOptions | undefined, work: (branches: ReadonlyMap<string, string>) => T): Promise<T> {
    return work(this.#admit(options?.signal))
  }

  /** The heads of all runs, as the branches are now. */
  #look(): ReadonlyMap<string, string> {
    const { heads, provenance } = runBranches(this.repository, this.#pushed)
    this.#runs.learn(provenance)
    return heads
  }

  async *#heads({ namespace, prefix = '', after = '', signal, damaged }: ListOptions): AsyncGenerator<RunHead[]> {
    const branches = this.#admit(signal)
    let heads: RunHead[] = []
    for (const run of [...branches.keys()].sort()) {
      if (!run.startsWith(prefix) || run <= after) continue
      try {
        const head = this.#runs.head(run, branches.get(run)!)
        if (namespace === undefined || head.namespace === namespace) heads.push(head)
      } catch (error) {
        if (damaged === undefined || !isUnreadable(error)) throw error
        const named = nameOf(this.repository, run)
        if (namespace === undefined || (named.namespace ?? namespace) === namespace) damaged({ ...named, run, error })
      }
      if (heads.length < batchSize) continue
      yield heads
      heads = []
      await nextTurn()
      this.#check(signal)
    }
    yield heads
  }

  async *#units(run: string, options: ReadOptions): AsyncGenerator<Unit[]> {
    const { from = 0, to, signal } = options
    validateRange(run, options)
    const oid = this.#admit(signal).get(run)
    if (oid === undefined) {
      throw new XMachinesError('RUN_UNKNOWN', `The repository ${this.location} has no run ${run}. Check the id.`, {
        details: { run },
      })
    }
    const { seq } = blamingOldest(this.repository, run, oid, () => readHead(this.repository, run, oid))
    const last = Math.min(to ?? seq, seq)
    if (from > last) return
    const links = walkBack(this.repository, run, oid, Math.max(0, from)).reverse()
    for (let at = 0; at < links.length; ) {
      const batch: Unit[] = []
      const start = at
      for (; at < links.length && at - start < batchSize; at++) {
        const link = links[at]!
        if (link.seq > last) break
        const unit = this.#runs.unit(link, links[at + 1])
        if (unit !== undefined && unit.seq >= from) batch.push(unit)
      }
      if (batch.length > 0) yield this.#runs.withRecorded(batch)
      if (at < links.length && links[at]!.seq > last) return
      await nextTurn()
      this.#check(signal)
    }
  }
}

/** What a run is called, as far as that can be read. */
function nameOf(repository: Repository, run: string): Pick<DamagedRun, 'namespace' | 'key'> {
  try {
    const { namespace, key } = readCreation(repository, run)
    return { namespace, ...(key !== undefined && { key }) }
  } catch {
    return {}
  }
}

interface Pins {
  /** (namespace, key) → run. */
  readonly keys: ReadonlyMap<string, string>
  /** Those that were looked at. */
  readonly runs: ReadonlySet<string>
  /** What is wrong with one that could not be read. */
  readonly damage: XMachinesError | undefined
}

/** What keys are pinned to. How a run began never changes: only those are looked at that are new since `known`. */
function pinsOf(repository: Repository, branches: ReadonlyMap<string, string>, known: Pins | undefined): Pins {
  const isWhole = known !== undefined && [...known.runs].every(run => branches.has(run))
  const keys = new Map(isWhole ? known.keys : [])
  const runs = new Set(isWhole ? known.runs : [])
  let damage: XMachinesError | undefined
  for (const run of branches.keys()) {
    if (runs.has(run)) continue
    try {
      const { namespace, key } = readCreation(repository, run)
      if (key !== undefined) keys.set(JSON.stringify([namespace, key]), run)
      runs.add(run)
    } catch (error) {
      if (!XMachinesError.is(error, 'COMMIT_DAMAGED')) throw error
      damage ??= error
    }
  }
  return { keys, runs, damage }
}
