import type { ListOptions, RunHead, Store } from '../../actors/contracts/store.ts'
import { type ErrorCode, messageOf, XMachinesError } from '../../actors/errors.ts'
import { nextTurn, Turns } from '../filesystem/turns.ts'
import type { Archiver } from './archiver.ts'
import { sourceFailure, writeFailure } from './failures.ts'
import { RefMoved } from './ref-change.ts'

/** What a follower leans on. */
export interface FollowerOptions {
  readonly store: Store
  readonly gitdir: string
  /** Opens the repository; asked until it succeeds. */
  readonly open: () => Promise<Archiver>
  /** Runs that may have something new. Called once a pass; the second is told of those that cannot be read. */
  readonly heads: (signal: AbortSignal, damaged: NonNullable<ListOptions['damaged']>) => AsyncIterable<RunHead>
  /** What `heads` gave is committed, but for runs that could not be, and why. */
  readonly committed?: (failed: ReadonlyMap<string, XMachinesError>) => void
  /** Whether notes and states are kept beside the branches. @default true */
  readonly sideRefs?: boolean
  /** Time between two passes at least, ms. */
  readonly interval: number
  /** A pass that takes long is followed by a pause so many times as long. */
  readonly rest: number
  readonly onError: (error: XMachinesError) => void
}

interface Waiter {
  /** Whether it waits for the side refs too. */
  readonly sideRefs: boolean
  readonly resolve: () => void
  readonly reject: (error: XMachinesError) => void
}

const longestWait = 30_000
/**
 * What no waiting mends: hash and format of a store or a repository stay as they are, and what was closed is not opened
 * again. The cause of all else may be mended while this process runs.
 */
const forGood: ReadonlySet<ErrorCode> = new Set(['OBJECT_FORMAT_MISMATCH', 'STORE_FORMAT', 'STORE_CLOSED'])
/** So many units get their notes at a time. */
const idlePiece = 4096
const wholePiece = 65_536

/** Commits in the background what a store has. One pass after the other; it waits longer where passes take long or fail. */
export class Follower {
  readonly #options: FollowerOptions
  readonly #stop = new AbortController()
  readonly #done: Promise<void>
  #waiting: Waiter[] = []
  #wake: () => void = () => {}
  /** Whether something may be new since the pass in hand began. */
  #nudged = false
  #failed: XMachinesError | undefined
  #flushes = -1
  /** Before then, nothing but a call of `caughtUp` begins a pass: the last one wrote, or failed. */
  #restsUntil = 0
  /** How often in a row the side refs could not be written while nothing else was to be done, and before when that is not tried again. */
  #sideFailures = 0
  #sideRefsRestUntil = 0

  constructor(options: FollowerOptions) {
    this.#options = options
    this.#done = this.#follow()
  }

  /**
   * Resolves when all is committed that the store had at the call, and the side refs are up to date if they are wanted.
   * Rejects with what stopped that pass.
   */
  caughtUp({ sideRefs = false } = {}): Promise<void> {
    if (this.#failed !== undefined) return Promise.reject(this.#failed)
    if (this.#stop.signal.aborted) return Promise.reject(closed(this.#options.gitdir))
    return new Promise((resolve, reject) => {
      this.#waiting.push({ sideRefs, resolve, reject })
      this.#wake()
    })
  }

  /** Something is new: the next pass begins at once if that is not too soon after one that wrote, else when it is due. */
  nudge(): void {
    if (performance.now() < this.#restsUntil) return
    this.#nudged = true
    this.#wake()
  }

  /** Ends after the run in hand; what was taken is committed. */
  close(): Promise<void> {
    this.#stop.abort()
    this.#wake()
    return this.#done
  }

  async #follow(): Promise<void> {
    const { signal } = this.#stop
    let archiver: Archiver | undefined
    let failures = 0
    while (!signal.aborted && this.#failed === undefined) {
      const waiting = this.#waiting
      this.#waiting = []
      this.#nudged = false
      const start = performance.now()
      const flushes = archiver?.counts.flushes ?? 0
      try {
        archiver ??= await this.#open()
        await this.#pass(archiver)
        failures = 0
        for (const { resolve, sideRefs } of waiting) if (!sideRefs) resolve()
        await this.#checkpoint(
          archiver,
          waiting.some(({ sideRefs }) => sideRefs),
        )
        for (const { resolve, sideRefs } of waiting) if (sideRefs) resolve()
      } catch (thrown) {
        archiver?.forget()
        const error = this.#errorOf(thrown)
        failures++
        if (forGood.has(error.code)) this.#failed = error
        for (const { reject } of waiting) reject(error)
        const isOurs = thrown instanceof RefMoved || (signal.aborted && error.code === 'ABORTED')
        if (waiting.length === 0 && !isOurs) this.#options.onError(error)
      }
      const took = performance.now() - start
      const pause = Math.max(this.#pauseAfter(failures), Math.min(longestWait, took * this.#options.rest))
      const rests = failures > 0 || archiver?.counts.flushes !== flushes
      if (rests) this.#restsUntil = performance.now() + pause
      if (rests || !this.#nudged) await this.#pause(pause)
    }
    for (const { reject } of this.#waiting) reject(this.#failed ?? closed(this.#options.gitdir))
    this.#waiting = []
  }

  async #open(): Promise<Archiver> {
    const { open, gitdir } = this.#options
    try {
      return await open()
    } catch (error) {
      throw writeFailure(error, gitdir)
    }
  }

  /** Writes the side refs: all of it where somebody waits for it, else a piece when nothing else is to be done. */
  async #checkpoint(archiver: Archiver, isWanted: boolean): Promise<void> {
    const { signal } = this.#stop
    const { store, sideRefs = true } = this.#options
    if (!sideRefs) return
    const { flushes } = archiver.counts
    const isIdle =
      flushes === this.#flushes && this.#waiting.length === 0 && performance.now() >= this.#sideRefsRestUntil
    this.#flushes = flushes
    if (isWanted) {
      const how = { most: wholePiece, atLeastOne: true, last: true }
      while (!signal.aborted && (await archiver.checkpoint(store, how)));
    } else if (isIdle) {
      // Who was waiting may close now, and would wait for a piece that nobody wanted.
      await nextTurn()
      if (!signal.aborted && !this.#nudged) await this.#checkpointPiece(archiver)
    }
  }

  /** Units are committed as fast as ever where only this fails. */
  async #checkpointPiece(archiver: Archiver): Promise<void> {
    try {
      await archiver.checkpoint(this.#options.store, { most: idlePiece, atLeastOne: true, last: false })
      this.#sideFailures = 0
    } catch (error) {
      this.#sideFailures++
      this.#sideRefsRestUntil = performance.now() + this.#pauseAfter(this.#sideFailures)
      throw error
    }
  }

  /** Longer with each failure. */
  #pauseAfter(failures: number): number {
    return Math.min(longestWait, this.#options.interval * 2 ** Math.min(failures, 10))
  }

  /** One look at all that may be new. A run that cannot be archived does not stop the others. */
  async #pass(archiver: Archiver): Promise<void> {
    const { store, heads } = this.#options
    const { signal } = this.#stop
    /** What is wrong with runs: those that were not given, and `failed`. */
    const wrong: WrongRun[] = []
    const failed = new Map<string, XMachinesError>()
    const turns = new Turns()
    const leftOut: ListOptions['damaged'] = ({ run, error }) =>
      wrong.push({ run, error: sourceFailure(error, store.location, this.#options.gitdir) })
    for await (const head of heads(signal, leftOut)) {
      if (signal.aborted) break
      if (turns.areDue) await turns.give()
      if (archiver.isTaken(head)) continue
      const { drops } = archiver
      try {
        await archiver.take(store, head)
      } catch (error) {
        // With what was dropped went other runs, which this pass would not come back to.
        if (!XMachinesError.is(error) || error.retryable || archiver.drops !== drops) throw error
        wrong.push({ run: head.run, error })
        failed.set(head.run, error)
      }
    }
    await archiver.commit()
    if (!signal.aborted) this.#options.committed?.(failed)
    if (wrong.length > 0) throw ofAll(wrong)
  }

  #errorOf(thrown: unknown): XMachinesError {
    const { gitdir, store } = this.#options
    // Whatever the repository does has a code by now.
    if (!(thrown instanceof RefMoved)) return sourceFailure(thrown, store.location, gitdir)
    return new XMachinesError(
      'STORE_UNAVAILABLE',
      `Somebody else set branches of ${gitdir} meanwhile: ${messageOf(thrown)}. It is tried again.`,
      { cause: thrown, details: { path: gitdir, ref: thrown.ref } },
    )
  }

  /** Waits; a call of `caughtUp` or `close` ends the wait. */
  #pause(ms: number): Promise<void> {
    if (this.#waiting.length > 0 || this.#stop.signal.aborted || this.#failed !== undefined) return Promise.resolve()
    return new Promise(resolve => {
      const timer = setTimeout(resolve, ms)
      // Only Node's keeps a process.
      if (typeof timer === 'object') timer.unref()
      this.#wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }
}

interface WrongRun {
  readonly run: string
  readonly error: XMachinesError
}

/** So many runs are named that a pass could not take. */
const named = 100

/** One error for what is wrong with several runs: the first, which names the others. */
function ofAll([first, ...others]: readonly WrongRun[]): XMachinesError {
  const { code, message, details } = first!.error
  if (others.length === 0) return first!.error
  const runs = others.slice(0, named).map(({ run, error }) => ({ run, code: error.code, message: error.message }))
  const list = runs.slice(0, 5).map(({ run, code }) => `${run} (${code})`)
  const more = others.length > list.length ? `, and ${others.length - list.length} more` : ''
  return new XMachinesError(code, `${message} Nor could these be committed: ${list.join(', ')}${more}.`, {
    cause: first!.error,
    details: { ...details, others: runs },
  })
}

function closed(gitdir: string): XMachinesError {
  return new XMachinesError('STORE_CLOSED', `The archive into ${gitdir} is closed. Start it again.`, {
    details: { path: gitdir },
  })
}
