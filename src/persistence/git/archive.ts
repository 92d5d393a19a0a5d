import { join } from 'node:path'
import type { Store } from '../../actors/contracts/store.ts'
import { XMachinesError } from '../../actors/errors.ts'
import { checkedStore, givenOptions } from '../../actors/given.ts'
import { takeLock, type WriterLock } from '../filesystem/lock.ts'
import { Archiver } from './archiver.ts'
import type { Depot } from './depot.ts'
import { writtenTo } from './failures.ts'
import { type GitFiles, systemFiles } from './files.ts'
import { Follower } from './follower.ts'
import { ownFolder } from './layout.ts'
import { isUnitSource, MovedRuns, type UnitSource } from './moved-runs.ts'
import { packDepot } from './pack-depot.ts'
import type { PackingThread } from './packing-thread.ts'
import type { RepositoryPlace } from './place.ts'
import { gitdirOf, initRepository, type NodeRepository, openRepository } from './repository.ts'
import { checkFormat } from './repository-config.ts'
import { safeguard } from './safeguard.ts'

/** How {@link archive} follows a store or a supervisor. One of `dir` and `gitdir` says where the repository is. */
export type ArchiveOptions = RepositoryPlace & {
  /**
   * Time between two looks at the store at least, ms; of a supervisor, between two commits. What takes long is followed by a
   * longer pause. @default 1000
   */
  readonly interval?: number
  /** When it fires, the archive closes. */
  readonly signal?: AbortSignal
  /** Told of what went wrong in the background. @default `process.emitWarning` */
  readonly onError?: (error: XMachinesError) => void
}

/** A store that is archived into a repository. */
export interface Archive {
  /** The Git directory. */
  readonly gitdir: string
  /**
   * Resolves to what was done so far, once all that the store had at the call is committed; of a supervisor, all units that it
   * had told of, and whatever the store had when the archive was started.
   *
   * Rejects with what stopped that pass: among others `ARCHIVE_DIFFERS` (the other runs are committed all the same),
   * `STORE_FOREIGN`, `STORE_LOCKED`, `OBJECT_FORMAT_MISMATCH`, or `STORE_CLOSED`.
   */
  caughtUp(): Promise<ArchiveProgress>
  /**
   * As `caughtUp`, and then brings up to date what no append waits for: notes on the commits of units
   * (`git log --notes=xmachines`), and the newest states of long runs. Otherwise both follow when there is nothing else to do.
   */
  checkpoint(): Promise<ArchiveProgress>
  /** Ends after the run in hand. Where it stands is in the repository: the next archive goes on there. Idempotent. */
  close(): Promise<void>
}

/** What an archive has done since it was started. */
export interface ArchiveProgress {
  /** Units that were committed, creations not counted. */
  readonly units: number
  /** Packs that were written. */
  readonly flushes: number
}

/**
 * Follows a store and commits its runs to a Git repository in the background: one branch a run, one commit a unit. The
 * repository is made if there is none. What is committed already is what its branches say, so it can be stopped and
 * started at any time, and each unit is committed once. The store is only read, a piece at a time, and never waits.
 *
 * A store is listed every `interval`, whoever writes to it. A supervisor is followed by its `units()`: its store is listed at
 * the start, and where units were lost on the way; else only the runs that moved are looked at, the first of them at once. What
 * other processes write is then committed when its run moves here, or at the next start. Once the supervisor is closed,
 * nothing more comes: close the archive before the store.
 *
 * @throws TypeError for an option that makes no sense; everything else comes from `caughtUp`
 */
export function archive(source: Store | UnitSource, options: ArchiveOptions): Archive {
  const { interval = 1000, signal, onError = warn } = givenOptions("archive(store, { dir: 'ledger' })", options)
  const gitdir = gitdirOf(options)
  if (!(interval >= 0)) throw new TypeError(`Expected \`interval\` to be milliseconds, got ${String(interval)}.`)
  const stop = new AbortController()
  const ofUnits = isUnitSource(source)
  const store = checkedStore('source', ofUnits ? source.store : source)
  const moved = ofUnits ? new MovedRuns(source, stop.signal, () => follower.nudge()) : undefined
  let writing: RepositoryWriter | undefined
  const follower: Follower = new Follower({
    store,
    gitdir,
    interval,
    rest: 5,
    onError,
    heads: (until, damaged) => moved?.heads(until, damaged) ?? store.list({ signal: until, damaged }),
    committed: failed => moved?.committed([...failed.keys()]),
    open: async () => {
      writing ??= await RepositoryWriter.open(gitdir, { bare: options.gitdir !== undefined, source: store })
      return writing.archiver
    },
  })
  let closing: Promise<void> | undefined
  const close = (): Promise<void> => {
    stop.abort()
    closing ??= follower.close().then(() => writing?.close())
    return closing
  }
  if (signal?.aborted) void close()
  else signal?.addEventListener('abort', () => void close(), { once: true })
  const reached = async (how: { readonly sideRefs: boolean }): Promise<ArchiveProgress> => {
    await follower.caughtUp(how)
    return { ...writing!.archiver.counts }
  }
  return {
    gitdir,
    caughtUp: () => reached({ sideRefs: false }),
    checkpoint: () => reached({ sideRefs: true }),
    close,
  }
}

function warn({ code, message }: XMachinesError): void {
  process.emitWarning(message, { type: 'XMachinesWarning', code })
}

interface WriterOptions {
  readonly bare: boolean
  readonly source: Pick<Store, 'objectFormat'>
  readonly files?: GitFiles
  /** Whether all branches are known to be ours: else each is looked at. */
  readonly areOurs?: (repository: NodeRepository) => boolean
  /** Where large packs are made. */
  readonly thread?: PackingThread
}

/** The one of our processes that writes to a repository. */
export class RepositoryWriter {
  readonly repository: NodeRepository
  readonly archiver: Archiver
  readonly #depot: Depot
  readonly #lock: WriterLock

  private constructor(repository: NodeRepository, archiver: Archiver, depot: Depot, lock: WriterLock) {
    this.repository = repository
    this.archiver = archiver
    this.#depot = depot
    this.#lock = lock
  }

  /** Makes the repository if there is none. @throws STORE_LOCKED, STORE_FOREIGN, OBJECT_FORMAT_MISMATCH */
  static async open(gitdir: string, options: WriterOptions): Promise<RepositoryWriter> {
    const { bare, source, files = systemFiles, areOurs = () => false, thread } = options
    const { objectFormat } = source
    await initRepository(gitdir, { bare, objectFormat }, files)
    const repository = openRepository(gitdir, { files })
    checkFormat(repository, objectFormat)
    const folder = join(gitdir, ownFolder)
    await files.makeFolder(folder)
    const lock = await takeLock(folder).catch(error => {
      throw XMachinesError.is(error, 'STORE_LOCKED') ? writtenTo(gitdir, error) : error
    })
    try {
      const depot = packDepot(repository, repository.refs, files, thread)
      const archiver = new Archiver(repository, depot)
      await archiver.begin({ areOurs: areOurs(repository) })
      await safeguard(gitdir, files)
      return new RepositoryWriter(repository, archiver, depot, lock)
    } catch (error) {
      await lock.release()
      throw error
    }
  }

  async close(): Promise<void> {
    this.repository.objects.close()
    await this.#depot.close()
    await this.#lock.release()
  }
}
