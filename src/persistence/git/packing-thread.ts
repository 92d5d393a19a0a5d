import { existsSync } from 'node:fs'
import { Worker } from 'node:worker_threads'
import type { GitObject } from '../../actors/identity/index.ts'
import type { ObjectBatch } from './depot.ts'
import type { Pack, PackDraft } from './pack-writer.ts'
import type { Answer, Order } from './packing-desk.ts'
import type { CommitBase, CommittedUnit, Tip } from './run-commits.ts'

/** From so many units on, a batch is worth a thread: some 30 ms of work, as long as one takes to start. */
const worthAThread = 2048
/** So many orders may wait for their answers: what they carry is in memory twice. */
const mostUnanswered = 8

/**
 * Where this lies; nowhere in a bundle of CommonJS. Not read within `new URL`, where bundlers look for a file to put beside the
 * bundle.
 */
const here: string | undefined = import.meta.url
/** Built, it lies beside the chunks; in the source tree it needs a loader. A bundle may have left it out: then there is no thread. */
const isSource = here?.endsWith('.ts') === true
const workerFile: URL | undefined =
  here === undefined ? undefined : new URL(isSource ? './packing-worker.ts' : './git-packing-worker.js', here)

interface Asked {
  resolve(answer: Answer): void
  reject(error: unknown): void
}

/**
 * A thread that makes commits and packs them, so that neither holds up whoever else this process serves. Started with the
 * first batch that is worth it. One that fails once is not started again: what it was given is made here then.
 */
export class PackingThread {
  #worthwhile: number
  #worker: Worker | undefined
  #batches = 0
  /** The oldest first. */
  readonly #asked: Asked[] = []

  constructor(worthwhile = worthAThread) {
    const isThere = workerFile?.protocol === 'file:' && existsSync(workerFile)
    this.#worthwhile = isThere ? worthwhile : Number.POSITIVE_INFINITY
  }

  /** From how many units on a batch should go there. */
  get worthwhile(): number {
    return this.#worthwhile
  }

  /** Goes on with a batch; `undefined`: no thread is to be had, and the batch stays where it is. */
  takeOver(draft: PackDraft, tips: ReadonlyMap<string, Tip>): ThreadBatch | undefined {
    try {
      this.#worker ??= this.#start()
    } catch {
      // Such as where the process may start none.
      this.#worthwhile = Number.POSITIVE_INFINITY
      return undefined
    }
    return new ThreadBatch(this, this.#batches++, draft, tips)
  }

  /** Answers come in the order of the orders. @throws what the thread failed of */
  ask<A extends Answer>(order: Order, moved: readonly ArrayBuffer[] = []): Promise<A> {
    const worker = this.#worker
    if (worker === undefined) return Promise.reject(new Error('The packing thread has ended.'))
    return new Promise<Answer>((resolve, reject) => {
      worker.ref()
      this.#asked.push({ resolve, reject })
      worker.postMessage(order, moved)
    }) as Promise<A>
  }

  async close(): Promise<void> {
    await this.#worker?.terminate()
  }

  #start(): Worker {
    const worker = new Worker(workerFile!, {
      name: 'xmachines-git',
      // What a process loads before all else, as for tracing, would be loaded there, too.
      env: {},
      execArgv: isSource ? ['--import', 'jiti/register'] : [],
    })
    worker.on('message', ({ value, error }: { readonly value?: Answer; readonly error?: unknown }) => {
      const asked = this.#asked.shift()
      // An answer that was on its way when the thread failed: who asked was told.
      if (asked === undefined) return
      // Only who waits for an answer keeps the process.
      if (this.#asked.length === 0) worker.unref()
      if (value === undefined) asked.reject(error)
      else asked.resolve(value)
    })
    const ended = (why: unknown): void => {
      this.#worker = undefined
      this.#worthwhile = Number.POSITIVE_INFINITY
      for (const { reject } of this.#asked.splice(0)) reject(why)
    }
    worker.on('error', ended)
    worker.on('exit', () => ended(new Error('The packing thread has ended.')))
    worker.unref()
    return worker
  }
}

/** A batch that a packing thread has. */
export class ThreadBatch implements ObjectBatch {
  size = 0
  readonly #thread: PackingThread
  readonly #number: number
  #unanswered: Promise<void>[] = []
  #failed: { readonly error: unknown } | undefined

  constructor(thread: PackingThread, number: number, draft: PackDraft, tips: ReadonlyMap<string, Tip>) {
    this.#thread = thread
    this.#number = number
    this.#tell([number, 'takeOver', draft, tips], [draft.bytes.buffer, draft.idBytes.buffer] as ArrayBuffer[])
  }

  add(object: GitObject): void {
    this.#tell([this.#number, 'add', object])
  }

  async commit(run: string, base: CommitBase, units: readonly CommittedUnit[]): Promise<void> {
    // Nothing but what its commit is made of goes over.
    const parts = units.map(({ seq, at, events, origin, machine }) => ({ seq, at, events, origin, machine }))
    this.#tell([this.#number, 'commit', run, base, parts])
    while (this.#unanswered.length > mostUnanswered) await this.#unanswered.shift()
    this.#check()
  }

  async tips(): Promise<ReadonlyMap<string, Tip>> {
    await this.#settled()
    return this.#thread.ask([this.#number, 'tips'])
  }

  async finish(): Promise<Pack> {
    await this.#settled()
    return this.#thread.ask([this.#number, 'finish'])
  }

  drop(): void {
    this.#tell([this.#number, 'drop'])
  }

  #tell(order: Order, moved?: readonly ArrayBuffer[]): void {
    const answered = this.#thread.ask<number>(order, moved).then(
      size => {
        this.size = size
      },
      error => {
        this.#failed ??= { error }
      },
    )
    this.#unanswered.push(answered)
  }

  async #settled(): Promise<void> {
    await Promise.all(this.#unanswered.splice(0))
    this.#check()
  }

  #check(): void {
    if (this.#failed !== undefined) throw this.#failed.error
  }
}
