import type { Store } from '../../actors/contracts/store.ts'
import { createHostIn, type Host } from '../../actors/host/index.ts'
import type { Strictness } from '../../actors/machine/strict/strictness.ts'
import type { Machines, Run } from '../../actors/run/types.ts'
import { Life } from './life.ts'
import { RemoteStore, type StorePlan } from './remote-store.ts'
import type { Scheduler } from './scheduler.ts'

/** A process that hosts the runs of all machines: its store, its hosts, and the runs it has open. */
export class SimulatedProcess {
  readonly life: Life
  readonly #store: RemoteStore
  readonly #hosts = new Map<Machines, Host>()
  readonly #open = new Set<Run>()
  readonly #strict: Strictness | undefined
  readonly #residents: number
  readonly #idle: number
  /** It is being ended in order: nobody sends to it any more. */
  #closing = false

  constructor(name: string, plan: StorePlan, machines: Iterable<Machines>, scheduler: Scheduler, strict?: Strictness) {
    const { random } = scheduler
    this.life = new Life(name, scheduler)
    this.#store = new RemoteStore(plan, this.life)
    this.#strict = strict
    this.#residents = random.pick([1, 10_000])
    this.#idle = random.pick([50, 1_000, 60_000])
    for (const machine of machines) this.#host(machine)
  }

  get store(): Store {
    return this.#store
  }

  /** Whether it takes what is sent. */
  get serves(): boolean {
    return this.life.alive && !this.#closing
  }

  async open(machine: Machines, key: string, input: unknown): Promise<Run> {
    const run = (await this.#host(machine).open({ key, input: input as never })) as Run
    this.#open.add(run)
    return run
  }

  async letGo(run: Run, timeout: number): Promise<void> {
    this.#open.delete(run)
    await run.close({ timeout })
  }

  /** Ends it in order. */
  async close(timeout: number): Promise<void> {
    this.#closing = true
    await Promise.all([...this.#open].map(run => run.close({ timeout })))
    await Promise.all([...this.#hosts.values()].map(host => host.close()))
  }

  /** All of its memory is lost. */
  die(): void {
    this.life.end()
    this.#store.abandon()
  }

  #host(machine: Machines): Host {
    let host = this.#hosts.get(machine)
    if (host === undefined) {
      host = createHostIn(this.life, {
        machine,
        store: this.#store,
        residents: this.#residents,
        idle: this.#idle,
        strict: this.#strict,
      }) as unknown as Host
      this.#hosts.set(machine, host)
    }
    return host
  }
}
