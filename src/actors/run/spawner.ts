import { batchesOf } from '../batch-stream.ts'
import type { JsonValue, RecordedEvent } from '../contracts/json.ts'
import type { Mail, ParentLink, RunHead, Store } from '../contracts/store.ts'
import type { RunName, SentRestart, SentSpawn, TimeMode, TraceContext } from '../contracts/unit.ts'
import type { Environment } from '../environment.ts'
import { XMachinesError } from '../errors.ts'
import { failureEvent } from '../machine/child-end.ts'
import type { Program } from '../machine/program.ts'
import { childProgramOf, knownChild } from '../machine/programs.ts'
import { recover } from './history.ts'
import { restartName } from './kinship.ts'
import type { Letter } from './letters.ts'
import { Lineage } from './lineage.ts'
import { type Nursery, nurseryOf } from './nursery.ts'
import { residencyOf } from './residency.ts'
import type { Resident } from './resident.ts'

/** A child run as it is to be created. */
export interface Birth extends RunName {
  readonly program: Program
  readonly input: JsonValue | undefined
  readonly time: TimeMode
  /** Under source time. */
  readonly at: number
  readonly parent: ParentLink
  /** Of the unit that spawned it. */
  readonly trace: TraceContext | undefined
}

/** How child runs come into memory. Handed in: opening a run needs residents, and these need their children. */
export interface Midwife {
  /**
   * Creates a child, unless it is there already, and holds it. `undefined`: it has ended, or cannot be opened here.
   * @throws rejects with `RUN_EXISTS` when its key is another run's, and why it cannot be created
   */
  deliver(store: Store, environment: Environment, birth: Birth): Promise<Resident | undefined>
  /** Holds a child that is there. */
  open(store: Store, environment: Environment, program: Program, run: string): Promise<Resident>
}

/** What a spawner needs of its run. */
export interface SpawnerHome {
  readonly run: string
  readonly store: Store
  readonly environment: Environment
  readonly program: Program
  readonly time: TimeMode
  /** Whose child the run is itself. */
  readonly parent: ParentLink | null
  readonly midwife: Midwife
}

/** Starts the child runs that a run has spawned, and stops them when it has ended. */
export class Spawner {
  readonly #home: SpawnerHome
  readonly #nursery: Nursery

  constructor(home: SpawnerHome) {
    this.#home = home
    const { run, store, environment, program, midwife } = home
    this.#nursery = nurseryOf(store)
    this.#nursery.enter(run, environment, (head: RunHead) => {
      const child = knownChild(program, head.machine)
      return child && midwife.open(store, environment, child, head.run)
    })
  }

  /** Children have something under way. */
  get busy(): boolean {
    return this.#nursery.busy(this.#home.run)
  }

  /** Lets go of the children that are in memory for this run. */
  close(timeout: number): Promise<void> {
    return this.#nursery.leave(this.#home.run, timeout)
  }

  /** Creates these, once, whatever happened before. Gives what is to be told of those that cannot be. */
  async spawn(letters: readonly Letter<SentSpawn | SentRestart>[]): Promise<readonly Mail[]> {
    const failures = await Promise.all(letters.map(letter => this.#spawn(letter)))
    return failures.filter(failure => failure !== undefined)
  }

  async #spawn(letter: Letter<SentSpawn | SentRestart>): Promise<Mail | undefined> {
    const { run: sender, store, environment, midwife, time } = this.#home
    const { sent, seq, index, at, trace } = letter
    const parent = this.#linkOf(letter)
    try {
      const { program, input } =
        'restart' in sent ? await this.#again() : await this.#first(letter as Letter<SentSpawn>)
      const birth: Birth = { ...sent.spawn, program, input, time, at, parent, trace }
      const child = await midwife.deliver(store, environment, birth)
      if (child !== undefined) await this.#nursery.keep(parent.run, sender, child)
      if ('restart' in sent && parent.linked) await this.#stopOrphan(letter, parent)
      return undefined
    } catch (thrown) {
      // The store is out of order: it is tried again, or given up, as with mail.
      if (!XMachinesError.is(thrown) || /^(STORE|LEASE)_|^OBJECT_FORMAT|^ABORTED/.test(thrown.code)) throw thrown
      const event = failureEvent(undefined, parent, thrown)
      return parent.run === sender
        ? { receiver: sender, sender, seq, index, failure: true, event }
        : { receiver: parent.run, sender, seq, index, event }
    }
  }

  #linkOf({ sent, seq, index }: Letter<SentSpawn | SentRestart>): ParentLink {
    if ('restart' in sent) return { ...this.#home.parent!, restarts: sent.restart }
    const { spawn: name, policy, linked } = sent
    return { name, run: this.#home.run, seq, index, policy, linked, restarts: 0 }
  }

  /** In the place of this run: the same machine and input. */
  async #again(): Promise<Pick<Birth, 'program' | 'input'>> {
    const { run, store, program } = this.#home
    for await (const batch of batchesOf(store.read(run, { from: 0, to: 0, ids: false })))
      for (const { creation } of batch) return { program, input: creation?.input }
    throw new XMachinesError('RUN_DAMAGED', `Run ${run} has no creation.`, { details: { run } })
  }

  async #first({ sent, seq }: Letter<SentSpawn>): Promise<Pick<Birth, 'program' | 'input'>> {
    const program = knownChild(this.#home.program, sent.machine) ?? (await this.#named(sent.spawn, seq))
    return { program, input: sent.input }
  }

  /**
   * Which machine the action names, where another process took the step: the unit is decided again. By a later machine, if the
   * run has gone over to that by its events: it may spawn the child among other things.
   */
  async #named({ namespace, key }: RunName, seq: number): Promise<Program> {
    const { run, store, program } = this.#home
    const head = await store.head(run)
    const lineage = new Lineage([program])
    for await (const batch of batchesOf(store.read(run, { from: seq, to: seq }))) {
      for (const unit of batch) {
        const { decided } = await (seq === 0
          ? recover(store, head!, lineage, { to: 0, seen: true })
          : recover(store, head!, lineage, { to: seq - 1, next: unit, seen: true }))
        for (const effect of decided?.effects ?? [])
          if (effect.kind === 'spawn' && effect.spawn.namespace === namespace && effect.spawn.key === key)
            return childProgramOf(program, effect.machine)
      }
    }
    const text = `Unit ${seq} of run ${run} spawned a child whose machine is not known here: the action that names it is gone.`
    throw new XMachinesError('MACHINE_MISMATCH', text, { details: { run, seq } })
  }

  /** The parent may have ended, and looked for its children, just before this one was there. */
  async #stopOrphan({ sent, seq, index }: Letter<SentSpawn | SentRestart>, parent: ParentLink): Promise<void> {
    const { run: sender, store } = this.#home
    const head = await store.head(parent.run)
    if (head?.status === 'active') return
    const receiver = await store.find(sent.spawn.namespace, sent.spawn.key)
    await this.#deliver([{ receiver: receiver!, sender, seq, index, event: stopEvent(parent.run) }])
  }

  /** The run has ended: stops the linked children that have not, as this run has spawned them. */
  async stopChildren({ seq, index }: Letter): Promise<void> {
    const { run: sender, store } = this.#home
    for await (const batch of batchesOf(store.read(sender, { to: seq, ids: false }))) {
      const found = await Promise.all(
        batch.flatMap(({ seq: spawned, mail = [] }) =>
          mail.map((sent, place) => ('linked' in sent && sent.linked ? this.#living(sent, spawned, place) : undefined)),
        ),
      )
      const living = found.filter(receiver => receiver !== undefined)
      await this.#deliver(living.map(receiver => ({ receiver, sender, seq, index, event: stopEvent(sender) })))
    }
  }

  /** The child of a spawn, or who has its place after restarts: each was there before the next one, which may be one of very many. */
  async #living({ spawn, policy }: SentSpawn, seq: number, index: number): Promise<string | undefined> {
    const { run, store } = this.#home
    const restarts = typeof policy === 'object' ? policy.restart : 0
    for (let restart = 0; restart <= restarts; restart++) {
      const { namespace, key } = restart === 0 ? spawn : restartName(spawn, restart)
      const child = await store.find(namespace, key)
      const head = child === undefined ? undefined : await store.head(child)
      const link = head?.beside.parent
      if (link?.run !== run || link.seq !== seq || link.index !== index) return undefined
      if (head?.status === 'active') return child
    }
    return undefined
  }

  async #deliver(mail: readonly Mail[]): Promise<void> {
    if (mail.length === 0) return
    const { store } = this.#home
    await store.deliver(mail)
    for (const { receiver } of mail) residencyOf(store).notice(receiver)
  }
}

function stopEvent(parent: string): RecordedEvent {
  return { type: 'xmachines.stop', reason: `its parent ${parent} has ended` }
}
