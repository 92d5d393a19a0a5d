import { Link } from './link.ts'
import type { Counts, FleetTask, WorkerLine } from './orders.ts'
import { WorkerProcess } from './worker-process.ts'

/** How long anything may take that is waited for, ms. */
const patience = 90_000

/** The workers that were, and those that are. */
export class Fleet {
  readonly task: FleetTask
  readonly all: WorkerProcess[] = []
  readonly #brokers: readonly string[]
  readonly #partitions: number
  readonly #waiting = new Set<() => void>()
  #next = 1

  constructor(task: FleetTask, brokers: readonly string[], partitions: number) {
    this.task = task
    this.#brokers = brokers
    this.#partitions = partitions
  }

  get running(): readonly WorkerProcess[] {
    return this.all.filter(({ isRunning }) => isRunning)
  }

  /** What all workers have counted, those that are gone included, as far as they had time to say. */
  get counts(): Counts {
    const sum = (name: keyof Counts): number => this.all.reduce((total, { counts }) => total + counts[name], 0)
    return { duplicates: sum('duplicates'), deadLettered: sum('deadLettered'), outputsSent: sum('outputsSent') }
  }

  count(type: WorkerLine['type']): number {
    return this.all.reduce((total, worker) => total + worker.count(type), 0)
  }

  /** What no fault may bring about: a lease that waits for a person. */
  get stops(): readonly string[] {
    return this.all.flatMap(({ name, lines }) =>
      lines
        .filter(({ type }) => type === 'stopped' || type === 'failed' || type === 'parked')
        .map(line => `${name}: ${JSON.stringify(line)}`),
    )
  }

  async start(): Promise<WorkerProcess> {
    const links = new Map<string, Link>()
    for (const broker of this.#brokers) links.set(broker, await Link.to(broker))
    const routes = Object.fromEntries([...links].map(([broker, { port }]) => [broker, port]))
    const task = { ...this.task, name: `worker-${this.#next++}`, brokers: this.#brokers, routes }
    const worker = new WorkerProcess(task, links, () => this.#heard())
    this.all.push(worker)
    return worker
  }

  /** Which partitions the worker has claimed last of all, and has not given back. */
  held(worker: WorkerProcess): readonly number[] {
    return [...this.#owners()].flatMap(([partition, owner]) => (owner === worker ? [partition] : []))
  }

  /** Resolves when every partition was claimed last by one of `workers`. */
  async covered(workers: readonly WorkerProcess[] = this.running): Promise<void> {
    await this.until('every partition has its owner', () => {
      const owners = this.#owners()
      return owners.size === this.#partitions && [...owners.values()].every(owner => workers.includes(owner))
    })
  }

  /** Resolves when every partition has an owner, and every worker a partition. */
  async settled(): Promise<void> {
    await this.until('every worker has its share', () => {
      const owners = this.#owners()
      return owners.size === this.#partitions && this.running.every(worker => [...owners.values()].includes(worker))
    })
  }

  /** Resolves when so many more outputs were acknowledged. */
  async progressed(outputs: number): Promise<void> {
    const goal = this.counts.outputsSent + outputs
    await this.until(`${outputs} more results are there`, () => this.counts.outputsSent >= goal)
  }

  /** Resolves when it is so: looked at whenever a worker says something. */
  until(what: string, isSo: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        if (this.stops.length > 0) end(() => reject(new Error(`A lease stands: ${this.stops.join('\n')}`)))
        else if (isSo()) end(resolve)
      }
      const end = (settle: () => void): void => {
        clearTimeout(late)
        this.#waiting.delete(look)
        settle()
      }
      const late = setTimeout(
        () => end(() => reject(new Error(`${patience / 1000} s, and not: ${what}.\n${this.told()}`))),
        patience,
      )
      this.#waiting.add(look)
      look()
    })
  }

  /** The last words of everybody. */
  told(): string {
    return this.all
      .map(({ name, isRunning, lines, counts }) => {
        const last = lines.slice(-12).map(line => JSON.stringify(line))
        return [`${name} ${isRunning ? 'runs' : 'is gone'} ${JSON.stringify(counts)}`, ...last].join('\n  ')
      })
      .join('\n')
  }

  /** Resolves when all that is in the topic is done, and the fleet has left. */
  async finish(): Promise<void> {
    const workers = this.running
    for (const worker of workers) worker.tell({ type: 'catch-up' })
    await this.until('the fleet is caught up', () => workers.every(worker => worker.count('caught-up') > 0))
    for (const worker of workers) worker.tell({ type: 'close' })
    await this.until('the fleet has left', () => workers.every(({ isRunning }) => !isRunning))
  }

  killAll(): void {
    for (const worker of this.running) worker.signal('SIGKILL')
  }

  #heard(): void {
    for (const look of [...this.#waiting]) look()
  }

  #owners(): Map<number, WorkerProcess> {
    const owners = new Map<number, { readonly worker: WorkerProcess; readonly epoch: number }>()
    for (const worker of this.all) {
      const own = new Map<number, number>()
      for (const { type, partition, epoch } of worker.lines as readonly {
        type: string
        partition?: number
        epoch?: number
      }[]) {
        if (partition === undefined) continue
        if (type === 'claimed') own.set(partition, epoch!)
        else if (type === 'released' || type === 'lost') own.delete(partition)
      }
      for (const [partition, epoch] of own)
        if (epoch > (owners.get(partition)?.epoch ?? 0)) owners.set(partition, { worker, epoch })
    }
    return new Map([...owners].map(([partition, { worker }]) => [partition, worker]))
  }
}
