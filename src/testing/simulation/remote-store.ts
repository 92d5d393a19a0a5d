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
import { XMachinesError } from '../../actors/errors.ts'
import type { Life } from './life.ts'

/** What may go wrong with a write. `'torn'`: the first half of its items is written. */
export type StoreFault = 'unavailable' | 'unknown' | 'torn'

/** What the stores of all processes share: what is behind them, and what becomes of a call. */
export interface StorePlan {
  readonly store: Store
  /** What goes wrong with the next write, if anything does. */
  fault(write: string): StoreFault | undefined
  /** A write has not arrived when its process dies: it is lost, or `arrive` is called later. */
  orphaned(write: string, arrive: () => void): void
  /** Something was written. */
  written(life: Life, write: string, given: unknown, answer: unknown): void
}

/**
 * A store as one life of a process sees it: each call takes time on its way there and back, and may fail. What a process
 * has under way when it dies is lost, or arrives after its death; its answer reaches nobody.
 */
export class RemoteStore implements Store {
  readonly #plan: StorePlan
  readonly #life: Life
  /** Writes that have not arrived yet. */
  readonly #underWay = new Map<() => void, string>()

  constructor(plan: StorePlan, life: Life) {
    this.#plan = plan
    this.#life = life
  }

  get objectFormat(): ObjectFormat {
    return this.#plan.store.objectFormat
  }

  get location(): string {
    return this.#plan.store.location
  }

  /** The process dies. */
  abandon(): void {
    for (const [arrive, name] of this.#underWay) this.#plan.orphaned(name, arrive)
  }

  append(items: readonly AppendItem[]): Promise<readonly AppendOutcome[]> {
    // The list is the caller's again once the call settled, and a write may outlive its caller.
    return this.#write('append', [...items], part => this.#plan.store.append(part))
  }

  deliver(mail: readonly Mail[]): Promise<readonly MailOutcome[]> {
    return this.#write('deliver', [...mail], part => this.#plan.store.deliver(part))
  }

  saveSnapshot(run: string, snapshot: StoredSnapshot): Promise<void> {
    return this.#write('saveSnapshot', undefined, () => this.#plan.store.saveSnapshot(run, snapshot))
  }

  renew(process: string, until: number): Promise<void> {
    return this.#write('renew', undefined, () => this.#plan.store.renew(process, until))
  }

  claim(claim: Claim): Promise<LeaseRow> {
    return this.#write('claim', undefined, () => this.#plan.store.claim(claim))
  }

  release(key: LeaseKey & { readonly epoch: number }): Promise<boolean> {
    return this.#write('release', undefined, () => this.#plan.store.release(key))
  }

  head(run: string, options?: HeadOptions): Promise<RunHead | undefined> {
    return this.#ask('head', () => this.#plan.store.head(run, options))
  }

  find(namespace: string, key: string): Promise<string | undefined> {
    return this.#ask('find', () => this.#plan.store.find(namespace, key))
  }

  machine(oid: string): Promise<MachineRecord | undefined> {
    return this.#ask('machine', () => this.#plan.store.machine(oid))
  }

  loadSnapshot(
    run: string,
    options?: AbortOptions & { readonly atMost?: number },
  ): Promise<StoredSnapshot | undefined> {
    return this.#ask('loadSnapshot', () => this.#plan.store.loadSnapshot(run, options))
  }

  lease(key: LeaseKey): Promise<LeaseRow | undefined> {
    return this.#ask('lease', () => this.#plan.store.lease(key))
  }

  due(query: DueQuery): Promise<readonly DueRun[]> {
    return this.#ask('due', () => this.#plan.store.due(query))
  }

  livesUntil(processes: readonly string[]): Promise<readonly number[]> {
    return this.#ask('livesUntil', () => this.#plan.store.livesUntil(processes))
  }

  read(run: string, options?: ReadOptions): ReadableStream<Unit> {
    return batchStream(this.#batches('read', () => this.#plan.store.read(run, options)))
  }

  list(options?: ListOptions): ReadableStream<RunHead> {
    return batchStream(this.#batches('list', () => this.#plan.store.list(options)))
  }

  /** The process ends; the store is still there. */
  close(): Promise<void> {
    return Promise.resolve()
  }

  #ask<T>(name: string, work: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#life.later(name, () => {
        const answer = work()
        this.#life.later(`the answer to ${name}`, () => answer.then(resolve, reject))
      })
    })
  }

  async *#batches<T>(name: string, open: () => ReadableStream<T>): AsyncGenerator<readonly T[]> {
    await this.#life.pause(name)
    yield* batchesOf(open())
  }

  /** @param given what is written, if half of it can be */
  #write<T, Given>(name: string, given: Given, work: (given: Given) => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const fault = this.#plan.fault(name)
      const arrive = (): Promise<T> => {
        this.#underWay.delete(arrive)
        const torn = fault === 'torn' && Array.isArray(given)
        const part = torn ? (given.slice(0, given.length >> 1) as Given) : given
        return work(part).then(answer => {
          this.#plan.written(this.#life, name, part, answer)
          return answer
        })
      }
      this.#underWay.set(arrive, name)
      this.#life.later(name, () => {
        if (fault === 'unavailable') {
          this.#underWay.delete(arrive)
          return this.#life.later(`the failure of ${name}`, () => reject(failed('STORE_UNAVAILABLE', name)))
        }
        const answer = arrive()
        answer.catch(() => {}) // it is told below, unless the process dies
        this.#life.later(`the answer to ${name}`, () => {
          if (fault === undefined) answer.then(resolve, reject)
          else reject(failed('STORE_OUTCOME_UNKNOWN', name))
        })
      })
    })
  }
}

function failed(code: 'STORE_UNAVAILABLE' | 'STORE_OUTCOME_UNKNOWN', name: string): XMachinesError {
  return new XMachinesError(code, `The simulation let ${name} fail.`, { details: { operation: name } })
}
