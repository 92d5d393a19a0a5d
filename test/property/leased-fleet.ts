import { defineMachine, invocation, type Run, type Store, type Supervisor, spawnRun, tell } from 'xmachines'
import { type MemoryBroker, memoryBroker } from 'xmachines/transports/memory'
import { emit, enqueueActions, fromPromise, setup } from 'xstate'
import { openRunIn } from '../../src/actors/run/open.ts'
import { residencyOf } from '../../src/actors/run/residency.ts'
import { superviseIn } from '../../src/actors/supervisor/index.ts'
import { type FaultyStore, faultyStore } from '../../src/testing/faulty-store.ts'
import { VirtualEnvironment } from '../actors/supervisor/virtual-environment.ts'
import { override } from '../persistence/store-door.ts'

/** What records and handles send. Each has a number of its own, so that whatever is lost or taken twice shows. */
export interface Said {
  readonly type: 'NOTE' | 'CHARGE' | 'PAY' | 'LEAVE' | 'ARM' | 'TELL' | 'SAY' | 'SPAWN'
  readonly n: number
  readonly to: string
}

/** One attempt of an invocation, as its logic sees it. */
export interface Attempt {
  readonly logic: 'charge' | 'pay'
  readonly key: string
  readonly attempt: number
  readonly signal: AbortSignal
  /** Whether a test has ended it. */
  ended(): boolean
  finish(value: string): void
  fail(error: Error): void
}

/** After so many ms an armed timer rings. */
export const delay = 500

/** A child run: it takes a while, and is done. */
const errand = setup({ types: {} as { context: { n: number }; input: { n: number } } }).createMachine({
  id: 'errand',
  context: ({ input }) => input,
  initial: 'on',
  states: { on: { after: { 70: 'done' } }, done: { type: 'final' } },
  output: ({ context }) => context,
})

/** Charges are tried again, payments at most once; timers ring, mail goes to other runs. */
function ledger(begin: (attempt: Attempt) => void) {
  const logic = (name: Attempt['logic']) =>
    fromPromise<string>(() => {
      const info = invocation()
      let over = false
      const ending = <T>(end: (value: T) => void) => {
        return (value: T): void => {
          over = true
          end(value)
        }
      }
      return new Promise((finish, fail) =>
        begin({ ...info, logic: name, ended: () => over, finish: ending(finish), fail: ending(fail) }),
      )
    })
  const rest = { NOTE: {}, CHARGE: {}, PAY: {}, LEAVE: {}, GOT: {}, RING: {} }
  const work = (event: 'CHARGE' | 'PAY', src: 'charge' | 'pay') =>
    ({
      initial: 'idle',
      states: {
        idle: { on: { [event]: 'busy' } },
        busy: { on: { LEAVE: 'idle' }, invoke: { src, id: src, onDone: 'idle', onError: 'idle' } },
      },
    }) as const
  const machine = setup({
    types: {} as {
      events: Said | { type: 'GOT' | 'RING'; n: number; to: string }
      emitted: { type: 'SAID'; n: number }
    },
    actors: { charge: logic('charge'), pay: logic('pay') },
  }).createMachine({
    id: 'ledger',
    type: 'parallel',
    on: {
      ...rest,
      ARM: {
        actions: enqueueActions(({ enqueue, event: { n } }) => {
          enqueue.raise({ type: 'RING', n, to: '' }, { delay, id: `ring ${n}` })
        }),
      },
      SAY: { actions: emit(({ event }) => ({ type: 'SAID', n: event.n }) as const) },
      SPAWN: {
        actions: spawnRun(errand, { key: ({ event }) => String(event.n), input: ({ event }) => ({ n: event.n }) }),
      },
      TELL: {
        actions: tell(
          ({ event }) => ({ namespace: 't', key: event.to }),
          ({ event }) => ({ type: 'GOT', n: event.n, to: '' }),
        ),
      },
    },
    states: { charges: work('CHARGE', 'charge'), payments: work('PAY', 'pay') },
  })
  return defineMachine(machine, {
    invocations: { charge: { crash: 'retry', attempts: 3 }, pay: 'at-most-once' },
  })
}

export type Ledger = ReturnType<typeof ledger>

/** One process: its own view of the store, a consumer, a supervisor, and the attempts that it has begun. */
export class Member {
  readonly store: FaultyStore
  readonly supervisor: Supervisor
  readonly consumer
  readonly attempts: Attempt[] = []
  readonly machine: Ledger
  readonly #fleet: Fleet
  readonly #environment

  constructor(fleet: Fleet, name: string, residents: number) {
    this.#fleet = fleet
    this.#environment = fleet.time.fork(name)
    this.machine = ledger(attempt => this.#begins(attempt))
    this.store = faultyStore(fleet.openStore())
    this.consumer = fleet.broker.consumer({ topic: 't', group: 'g' })
    this.supervisor = superviseIn(this.#environment, {
      machine: [this.machine, errand] as never,
      store: this.store,
      consumer: this.consumer,
      deadLetters: fleet.broker.producer({ topic: 'd' }),
      results: fleet.broker.producer({ topic: 'r' }),
      residents,
      idle: 50,
    })
  }

  /** A handle in the same process. */
  open(key: string): Promise<Run> {
    const { machine, store } = this
    return openRunIn(this.#environment, machine, { store, namespace: 't', key }) as unknown as Promise<Run>
  }

  /** At the very moment that an effect starts, its attempt is durable, and the lease that made it so is not known to be lost. */
  #begins(attempt: Attempt): void {
    const { violations, durable } = this.#fleet
    this.attempts.push(attempt)
    const what = `${attempt.key} ${attempt.attempt}`
    const made = durable.get(what)
    if (made === undefined) return void violations.push(`${what} is not durable`)
    if (attempt.signal.aborted) violations.push(`${what} begins aborted`)
    if (this.#fleet.begun.has(what)) violations.push(`${what} begins twice`)
    this.#fleet.begun.add(what)
    // A handle may go on with a run while nobody owns its partition.
    if (made.epoch === undefined) return
    const lease = this.supervisor.status().leases.find(({ partition }) => partition === made.partition)
    if (lease?.epoch !== made.epoch || !/running|draining/.test(lease.state))
      violations.push(`${what} of epoch ${made.epoch} begins under ${lease?.epoch} ${lease?.state}`)
  }
}

/** Processes that share a topic of two partitions and a store, in one virtual time. */
export class Fleet {
  readonly time = new VirtualEnvironment()
  readonly kept: Store
  readonly broker: MemoryBroker
  readonly members: Member[] = []
  /** Members that are cut off: their leases went to others, and they know nothing of it. */
  readonly zombies: { readonly member: Member; readonly resume: () => void }[] = []
  /** Attempts as they became durable, and under which epoch. */
  readonly durable = new Map<string, { readonly epoch: number | undefined; readonly partition: number | undefined }>()
  readonly begun = new Set<string>()
  readonly violations: string[] = []
  #names = 0

  /** The store for one more process. */
  readonly openStore: () => Store
  /** By partition: the newest epoch that was answered to a claim. */
  readonly #epochs = new Map<number, number>()

  /** @param store empty @param elsewhere the same, as another process has it */
  constructor(store: Store, elsewhere = (store: Store) => store) {
    this.kept = this.#heard(store)
    this.openStore = () => this.#heard(elsewhere(store))
    this.broker = memoryBroker({ partitions: 2, id: 'cluster', timers: this.time, clock: () => this.time.now() })
  }

  /** A store of which is heard when an attempt becomes durable, and when an append passes that a claim before it fenced. */
  #heard(store: Store): Store {
    const claim = async (...args: Parameters<Store['claim']>) => {
      const row = await store.claim(...args)
      this.#epochs.set(row.partition, Math.max(row.epoch, this.#epochs.get(row.partition) ?? 0))
      return row
    }
    const append = async (...args: Parameters<Store['append']>) => {
      const epochs = new Map(this.#epochs)
      const outcomes = await store.append(...args)
      for (const [n, { run, beside, lease }] of args[0].entries()) {
        if (outcomes[n]!.status !== 'appended') continue
        if (lease !== undefined && lease.epoch < epochs.get(lease.partition)!)
          this.violations.push(`${run} is appended to under epoch ${lease.epoch} of ${epochs.get(lease.partition)}`)
        for (const [key, attempt] of Object.entries(beside?.attempts ?? {}))
          if (attempt !== null)
            this.durable.set(`${key} ${attempt}`, { epoch: lease?.epoch, partition: lease?.partition })
      }
      return outcomes
    }
    return this.time.awaits(override(store, { claim, append }))
  }

  /** Runs in the memory of all processes there ever were. */
  get inMemory(): number {
    return this.#everybody.reduce((sum, { store }) => sum + residencyOf(store).size, 0)
  }

  get attempts(): readonly Attempt[] {
    return this.#everybody.flatMap(({ attempts }) => attempts)
  }

  readonly #everybody: Member[] = []

  join(residents = 100): Member {
    const member = new Member(this, `process-${++this.#names}`, residents)
    this.members.push(member)
    this.#everybody.push(member)
    return member
  }

  /** Cuts a member off for so long that its partitions go to others. */
  cutOff(member: Member): void {
    this.members.splice(this.members.indexOf(member), 1)
    const pause = this.broker.faults.pause(member.consumer)
    pause.expire()
    this.zombies.push({ member, resume: () => pause.resume() })
  }

  async send(key: string, event: Said): Promise<void> {
    await this.broker.producer({ topic: 't' }).send([{ key, value: JSON.stringify(event) }])
  }

  /** Lets time pass until it is done. @throws where it hangs */
  async until<T>(what: string, work: Promise<T>): Promise<T> {
    let done = false
    const finish = (): void => void (done = true)
    work.then(finish, finish)
    for (let turn = 0; turn < 60 && !done; turn++) await this.time.advance(1_000)
    await this.time.settled()
    if (!done) throw new Error(`${what} hangs`)
    return work
  }
}
