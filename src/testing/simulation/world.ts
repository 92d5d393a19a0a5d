import type { AppendItem, AppendOutcome, Mail, RunHead, Store } from '../../actors/contracts/store.ts'
import { type ErrorCode, messageOf, XMachinesError } from '../../actors/errors.ts'
import type { Machines, Run, RunSnapshot } from '../../actors/run/types.ts'
import { memoryStore } from '../../persistence/memory.ts'
import { Children, type Member } from './children.ts'
import { hold, SimulationFailure } from './failure.ts'
import { checkAnswers, checkHistory } from './laws.ts'
import type { Life } from './life.ts'
import { SimulatedProcess } from './process.ts'
import { quiescence } from './quiescence.ts'
import { type Random, randomOf } from './random.ts'
import type { StoreFault, StorePlan } from './remote-store.ts'
import type { Scenario, SimulatedWorld, Simulation } from './scenario.ts'
import { Scheduler } from './scheduler.ts'
import { checkRuns, deliveriesOf } from './script.ts'
import { type Delivery, Sender, type SenderHome } from './sender.ts'
import type { Settings } from './settings.ts'
import { type Heads, isQuiet, Termination } from './termination.ts'
import { Trace } from './trace.ts'

/** Steps within one instant, beyond which something goes round in circles. */
const stillLimit = 20_000

/** Refusals that no machine means: a mistake in its code, which would else pass as an event that it does not take. */
const mistakes: ReadonlySet<ErrorCode> = new Set([
  'STEP_IMPURE',
  'STEP_MUTATES',
  'STEP_NOT_DETERMINISTIC',
  'STATE_NOT_JSON',
  'OUTPUT_NOT_JSON',
])

/** What happened in one seed. */
export interface Counts {
  units: number
  crashes: number
  closes: number
  faults: number
}

/** One seed of a simulation: the processes, the store behind them, who sends to them, and what befalls them. */
export class World implements StorePlan, SenderHome {
  readonly seed: number
  readonly store: Store
  readonly scheduler: Scheduler
  readonly counts: Counts = { units: 0, crashes: 0, closes: 0, faults: 0 }
  readonly #settings: Settings
  readonly #scenario: Scenario
  readonly #random: Random
  readonly #senders = new Map<string, Sender>()
  readonly #sent: Delivery[] = []
  readonly #machines: ReadonlySet<Machines>
  readonly #trace: Trace
  readonly #termination: Termination
  /** The keys of runs, by their ids. */
  readonly #names = new Map<string, string>()
  readonly #opened = new Map<Sender, string>()
  readonly #children: Children
  readonly created: Promise<void>
  #allCreated!: () => void
  /** How likely something befalls a process at a step, and a write. */
  readonly #misfortune: number
  readonly #failing: number
  #processes: SimulatedProcess[] = []
  #lives = 0
  #served = new Map<Sender, SimulatedProcess>()
  #failure: { readonly thrown: unknown } | undefined
  /** No misfortune any more. */
  #calm = false
  /** Steps since time last passed. */
  #still = 0

  constructor(seed: number, simulation: Simulation, settings: Settings, traced: boolean) {
    this.seed = seed
    this.#settings = settings
    this.store = settings.store?.() ?? memoryStore()
    this.#children = new Children(this.store, settings)
    this.#random = randomOf(seed, 0)
    this.scheduler = new Scheduler(this.#random)
    this.#trace = new Trace(this.scheduler, this.#names, traced)
    this.#termination = new Termination(this.store, this.scheduler, this.#sent, settings)
    this.created = new Promise(resolve => (this.#allCreated = resolve))
    this.#scenario = 'scenario' in simulation ? simulation.scenario(this.#outside()) : (simulation as Scenario)
    this.#misfortune = this.#random.pick([0.01, 0.03, 0.1])
    this.#failing = this.#random.pick([0.02, 0.1, 0.3])
    const { machine, runs = [{ key: 'run' }], events } = this.#scenario ?? {}
    checkRuns(runs)
    for (const run of runs) this.#senders.set(run.key, new Sender(run.key, run.machine ?? machine, run.input, this))
    this.#machines = new Set([...this.#senders.values()].map(sender => sender.machine))
    this.#write(typeof events === 'function' ? events(randomOf(seed, 1)) : events)
  }

  get trace(): readonly string[] {
    return this.#trace.lines
  }

  /** How much is sent. */
  get script(): readonly Delivery[] {
    return this.#sent
  }

  /** Lets it all happen. Rejects with a {@link SimulationFailure}. */
  async run(): Promise<void> {
    for (let process = 0; process < this.#settings.processes; process++) this.#start()
    do await this.#step()
    while (!(this.scheduler.idle && (await this.#termination.reached(await this.#heads()))))
    await this.#check()
  }

  async #step(): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure.thrown
    if (!this.#calm && this.#random() < this.#misfortune) this.#befall()
    const before = this.scheduler.now
    this.scheduler.step()
    this.#still = this.scheduler.now > before ? 0 : this.#still + 1
    if (this.#still > stillLimit)
      throw new SimulationFailure(
        'stuck',
        `${stillLimit} things have happened, and no time has passed. Under way: ${this.scheduler.underWay.join(', ')}.`,
      )
    await quiescence()
  }

  // What is sent.

  #write(script: readonly unknown[]): void {
    for (const delivery of deliveriesOf(script, [...this.#senders.keys()], this.#settings.keep)) {
      this.#sent.push(delivery)
      this.#senders.get(delivery.run)!.waiting.push(delivery)
    }
  }

  opened(sender: Sender, run: Run): void {
    this.#names.set(run.id, sender.key)
    this.#opened.set(sender, run.id)
    if (this.#opened.size === this.#senders.size) this.#allCreated()
  }

  /** As requests come to one process or another, whichever had the one before. */
  next(sender: Sender, process: SimulatedProcess): SimulatedProcess {
    const serving = this.#processes.filter(({ serves }) => serves)
    if (this.#settings.processes === 1 || !process.serves || serving.length < 2) return process
    const next = this.#random.pick(serving)
    this.#served.set(sender, next)
    return next
  }

  answered({ id, run, receipt }: Delivery): void {
    this.#termination.answered()
    this.note(() => `event ${id} of ${run}: ${receipt!.ok ? `unit ${receipt!.seq}` : receipt!.error.code}`)
    if (!receipt!.ok && mistakes.has(receipt!.error.code))
      this.#fail(receipt!.error, `taking event ${id} of run ${run}`)
  }

  #outside(): SimulatedWorld {
    const { scheduler, seed } = this
    return {
      seed,
      random: randomOf(seed, 2),
      now: () => scheduler.now,
      sleep: ms => new Promise(resolve => scheduler.add('work', undefined, 'a sleep', ms, resolve)),
    }
  }

  // What befalls processes.

  #start(): void {
    const name = `process ${++this.#lives}`
    this.note(() => `${name} starts`)
    this.#processes.push(new SimulatedProcess(name, this, this.#machines, this.scheduler, this.#settings.strict))
    this.#serve()
  }

  /** Every sender has a process. */
  #serve(): void {
    const serving = this.#processes.filter(process => process.serves)
    if (serving.length === 0) return
    for (const sender of this.#senders.values()) {
      if (this.#served.get(sender)?.serves === true) continue
      const process = this.#random.pick(serving)
      this.#served.set(sender, process)
      sender.sendTo(process).catch(thrown => this.#fail(thrown, `sending to run ${sender.key}`))
    }
  }

  #befall(): void {
    const { counts } = this
    if (counts.crashes + counts.closes >= this.#settings.crashes) return
    const serving = this.#processes.filter(process => process.serves)
    if (serving.length === 0) return
    const process = this.#random.pick(serving)
    if (this.#random() < 0.7) {
      counts.crashes++
      return this.#end(process, 'dies')
    }
    counts.closes++
    this.note(() => `${process.life.process} is closed`)
    process.close(this.#random.pick([0, 100, 5_000])).then(
      () => process.life.alive && this.#end(process, 'ends'),
      thrown => this.#fail(thrown, `closing ${process.life.process}`),
    )
  }

  #end(process: SimulatedProcess, how: string): void {
    this.note(() => `${process.life.process} ${how}`)
    process.die()
    this.#processes = this.#processes.filter(other => other !== process)
    this.scheduler.add('work', undefined, 'a start', this.#random.pick([0, 10, 1_000, 100_000]), () => this.#start())
    this.#serve()
  }

  #fail(thrown: unknown, what: string): void {
    this.#failure ??= { thrown: new SimulationFailure('error', `While ${what}: ${told(thrown)}`, thrown) }
  }

  // The store's side.

  fault(write: string): StoreFault | undefined {
    const { counts } = this
    if (this.#calm || counts.faults >= this.#settings.faults || this.#random() >= this.#failing) return undefined
    counts.faults++
    const faults: readonly StoreFault[] =
      write === 'append' || write === 'deliver' ? ['unavailable', 'unknown', 'torn'] : ['unavailable', 'unknown']
    const fault = this.#random.pick(faults)
    this.note(() => `${write} is going to fail: ${fault}`)
    return fault
  }

  orphaned(write: string, arrive: () => void): void {
    if (this.#random() >= 0.2) return
    this.scheduler.add('work', undefined, `a late ${write}`, this.scheduler.delay() * 3, arrive)
  }

  written(life: Life, write: string, given: unknown, answer: unknown): void {
    if (write === 'append') {
      const items = given as readonly AppendItem[]
      this.#termination.progressed()
      for (const { run, units } of items) {
        const key = units[0]?.creation?.key
        if (key !== undefined) this.#names.set(run, key)
      }
      this.#children.written(items, answer as readonly AppendOutcome[])
      this.#trace.appended(life, items, answer as readonly AppendOutcome[])
    } else if (write === 'deliver') {
      this.#termination.progressed()
      this.#trace.delivered(life, given as readonly Mail[], answer)
    }
  }

  // The end.

  async #heads(): Promise<Heads> {
    const heads = new Map<Member, RunHead | undefined>([...this.#senders.values()].map(sender => [sender, undefined]))
    const senders = new Map<string, Sender>()
    for (const [run, key] of this.#names) {
      const sender = this.#senders.get(key)
      // A child may have the key of a run of another machine.
      if (sender === undefined || (this.#children.has(run) && this.#opened.get(sender) !== run)) continue
      senders.set(run, sender)
      heads.set(sender, await this.store.head(run))
    }
    for (const [child, head] of await this.#children.heads(senders)) heads.set(child, head)
    return heads
  }

  async #check(): Promise<void> {
    const { store, seed } = this
    const heads = await this.#heads()
    const runs: Record<string, RunSnapshot> = {}
    for (const [member, head] of heads) {
      const isSent = member instanceof Sender
      const last = await checkHistory(store, head!, member, isSent ? this.#scenario.invariant : undefined, seed)
      this.counts.units += head!.seq
      if (!isSent) continue
      runs[member.key] = last
      await checkAnswers(store, head!, member.key, this.#sent)
    }
    if ([...heads.values()].every(isQuiet)) await this.#reopen(heads)
    const { atEnd } = this.#scenario
    const sent = this.#sent.map(({ run, events, receipt }) => ({ run, events, receipt: receipt! }))
    if (atEnd !== undefined)
      await hold('end', 'What should hold at the end does not', () => atEnd({ runs: runs as never, sent }))
  }

  /** Nothing was left to be done, says the store: then a process that opens the runs now has nothing to do. */
  async #reopen(heads: Heads): Promise<void> {
    this.#calm = true
    for (const process of this.#processes) process.die()
    const name = 'the last process'
    const process = new SimulatedProcess(name, this, this.#machines, this.scheduler, this.#settings.strict)
    const opening = Promise.all(
      [...this.#senders.values()].map(({ machine, key, input }) => process.open(machine, key, input)),
    )
    let open = false
    opening.then(
      () => (open = true),
      thrown => this.#fail(thrown, 'opening the runs again'),
    )
    do await this.#step()
    while (!open || !this.scheduler.idle)
    for (const [{ key }, head] of heads) {
      const now = await this.store.head(head!.run)
      if (now!.seq !== head!.seq)
        throw new SimulationFailure(
          'lost',
          `Run ${key} stood at unit ${head!.seq}, and its store knew of nothing left to be done; opened again, it went on to unit ${now!.seq}.`,
        )
    }
    process.die()
  }

  note(line: () => string): void {
    this.#trace.note(line)
  }
}

function told(thrown: unknown): string {
  return XMachinesError.is(thrown) ? `${thrown.code}: ${thrown.message}` : messageOf(thrown)
}
