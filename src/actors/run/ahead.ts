import { batchesOf } from '../batch-stream.ts'
import type { Beside, ParentLink, Store } from '../contracts/store.ts'
import type { NewUnit, Origin, Sent, SourcePosition, TimeMode } from '../contracts/unit.ts'
import type { Environment } from '../environment.ts'
import { XMachinesError } from '../errors.ts'
import { type UnitChain, unitChain } from '../identity/unit-chain.ts'
import type { Effect } from '../machine/effect.ts'
import type { Program } from '../machine/program.ts'
import { findInvocation, findTimer, nextTimer, type RunState, type Timer, timerOrigin } from '../machine/state.ts'
import { StateHash } from '../machine/state-hash.ts'
import type { ActorSystem } from '../machine/system.ts'
import type { Command, Pending } from './command.ts'
import { seedOf } from './history.ts'
import { links, sentBy, sentOf } from './kinship.ts'

/** Where a run stands once everything decided so far is durable. */
interface AheadPlace {
  readonly state: RunState
  readonly seq: number
  readonly at: number
}

/** What is remembered of a request that had an id. */
type Answer = Pick<NewUnit, 'seq' | 'at' | 'outputs'>

/** How many requests with an id are remembered (api: the last 1,000 of a run). */
const requestsKept = 1000
const none: readonly never[] = Object.freeze([])

/**
 * Decides commands on top of one another, ahead of what is durable: the state, the taken positions and the head's id that
 * the next command meets.
 */
export class Ahead {
  readonly #run: string
  readonly #program: Program
  readonly #system: ActorSystem
  readonly #time: TimeMode
  readonly #environment: Environment
  readonly #hash = new StateHash()
  readonly #parent: ParentLink | null
  /** It has child runs that end with it. */
  #linked: boolean
  #state: RunState
  #seq: number
  #at: number
  #sources: Map<string, bigint | number> | undefined
  /** The answers to the last requests that had an id; read when the first one comes. */
  #requests: Map<string, Answer> | undefined
  /** How often it fell back. */
  #stood = 0
  /** Kept only where the machine draws randomness: hashing costs as much as a step. */
  #chain: UnitChain | undefined

  constructor(
    start: AheadPlace & {
      readonly run: string
      readonly program: Program
      readonly system: ActorSystem
      readonly time: TimeMode
      readonly environment: Environment
      readonly sources: Readonly<Record<string, bigint | number>>
      readonly parent: ParentLink | null
      readonly kept?: Pick<Beside, 'linked'> | undefined
    },
  ) {
    this.#run = start.run
    this.#program = start.program
    this.#system = start.system
    this.#time = start.time
    this.#environment = start.environment
    this.#parent = start.parent
    this.#linked = start.kept?.linked === true
    this.#state = start.state
    this.#seq = start.seq
    this.#at = start.at
    this.#take(start.sources)
  }

  /** Falls back to what is durable: everything decided on top of it is dropped. */
  reset(place: AheadPlace, { sources, linked }: Pick<Beside, 'sources' | 'linked'>): void {
    this.#linked ||= linked
    this.stand(place)
    this.#requests = undefined
    this.#take(sources)
  }

  /** What the next command meets. */
  get place(): AheadPlace {
    return { state: this.#state, seq: this.#seq, at: this.#at }
  }

  /** Stands there again: of what was decided on top of it, nothing had a source or an id. */
  stand({ state, seq, at }: AheadPlace): void {
    this.#stand(state, seq, at)
    this.#chain = undefined
    this.#stood++
  }

  #stand(state: RunState, seq: number, at: number): void {
    this.#state = state
    this.#seq = seq
    this.#at = at
  }

  #take(sources: Readonly<Record<string, bigint | number>>): void {
    const entries = Object.entries(sources)
    this.#sources = entries.length > 0 ? new Map(entries) : undefined
  }

  /** Under source time: the timer that falls due before the command, as a command of its own (semantics 10). A repetition lets no time pass. */
  dueBefore(command: Command): Command | undefined {
    if (this.#time !== 'source' || command.origin.kind === 'timer' || this.#state.table.timers.size === 0)
      return undefined
    if (command.beforeTimers === true) return undefined
    const timer = nextTimer(this.#state)
    if (timer === undefined || timer.due > this.#stamp(command) || this.#isRepeated(command)) return undefined
    return timerCommand(timer)
  }

  /** `undefined`: what it belongs to is gone, there is no unit. `'starved'`: the head's id is needed first. */
  decide(command: Command): Pending | 'starved' | undefined {
    const { origin, events, source, requestId, refused } = command
    const state = this.#state
    const seq = this.#seq + 1
    if (origin.kind === 'timer' && findTimer(state, origin) === undefined) return undefined
    if (origin.kind === 'effect' && findInvocation(state, origin) === undefined) return undefined
    if (source !== undefined && this.#isTaken(source)) return this.#unchanged(command, true)
    const asked = requestId === undefined ? undefined : this.#requests?.get(requestId)
    if (asked !== undefined) return this.#unchanged(command, true, asked)
    if (refused !== undefined) return this.#refuse(command, refused)
    if (events.length === 0 && origin.kind === 'outside') return this.#unchanged(command, false)
    const at = this.#stamp(command)
    const seed = this.#chain === undefined ? undefined : () => seedOf(this.#chain!.id, seq)
    const decision = this.#program.decide(this.#system, state, { seq, at, events, origin, seed })
    if (decision.kind === 'starved') return 'starved'
    if (decision.kind === 'refused') return this.#refuse(command, decision.error)
    const { outputs } = decision
    const hash = this.hashOf(decision.state, decision.effects)
    const mail = this.sentBy(decision.effects, decision.state, origin)
    const unit: NewUnit =
      source === undefined && requestId === undefined && mail === undefined && command.beside === undefined
        ? { seq, at, events, origin, outputs, state: hash }
        : { seq, at, events, origin, outputs, ...(mail && { mail }), state: hash, ...besideOf(command) }
    if (source !== undefined) this.#taken(source)
    if (this.#requests !== undefined) remember(this.#requests, unit)
    this.#stand(decision.state, seq, at)
    if (this.#chain !== undefined) this.#chain.next(unit)
    const { effects, fatal } = decision
    return { kind: 'applied', command, unit, state: decision.state, effects, fatal, refusal: undefined }
  }

  /** What a unit sends: what its step sent, and the run's last words where it ends it. */
  sentBy(effects: readonly Effect[], state: RunState, origin: Origin): readonly Sent[] | undefined {
    const sent = sentBy(this.#program, effects)
    if (sent !== undefined) this.#linked ||= links(sent)
    if (state.snapshot.status === 'active') return sent
    return sentOf({ run: this.#run, parent: this.#parent, linked: this.#linked }, sent, state, origin)
  }

  /** The hash that is kept beside a unit. */
  hashOf(state: RunState, effects: readonly Effect[]): string {
    return this.#hash.of(state, effects)
  }

  /** Whether the ids of earlier requests are at hand. */
  get remembersRequests(): boolean {
    return this.#requests !== undefined
  }

  /**
   * Reads the ids of earlier requests from the history: runs that never see one do not pay for it. What was learned of a place that
   * was left meanwhile is forgotten: whoever needs it asks again.
   */
  async rememberRequests(store: Store, durable: boolean, pending: readonly Pending[]): Promise<void> {
    const stood = this.#stood
    const units = unitsOf(pending)
    const requests = new Map<string, Answer>()
    if (durable) {
      for await (const batch of batchesOf(store.read(this.#run, { ids: false })))
        for (const unit of batch) remember(requests, unit)
    }
    for (const unit of units) remember(requests, unit)
    if (this.#stood === stood) this.#requests = requests
  }

  /**
   * Computes the head's id: from the durable history up to `durable` (nothing: not even the creation is), then what is pending. That of
   * a place that was left meanwhile is forgotten, as above.
   */
  async identify(store: Store, durable: number | undefined, pending: readonly Pending[]): Promise<void> {
    const stood = this.#stood
    // As they are now: what becomes durable meanwhile is no longer among them.
    const units = unitsOf(pending)
    const anchored = await anchor(store, this.#run, this.#program.record.oid, durable, units)
    for (const unit of units) if (unit.creation === undefined && unit.seq > (durable ?? 0)) anchored.next(unit)
    if (this.#stood === stood) this.#chain = anchored
  }

  /** Semantics 8: never before the unit before. */
  #stamp(command: Command): number {
    const last = this.#at
    const stamp = command.at ?? (this.#time === 'arrival' ? this.#environment.now() : last)
    return Math.max(stamp, last)
  }

  #isRepeated({ source, requestId }: Command): boolean {
    if (source !== undefined && this.#isTaken(source)) return true
    return requestId !== undefined && this.#requests?.has(requestId) === true
  }

  #isTaken(source: SourcePosition): boolean {
    const taken = this.#sources?.get(source.id)
    return taken !== undefined && source.position <= taken
  }

  #taken(source: SourcePosition): void {
    this.#sources ??= new Map()
    this.#sources.set(source.id, source.position)
  }

  #refuse(command: Command, error: XMachinesError): Pending {
    const refusal = command.refusal?.(error)
    if (command.source !== undefined && refusal !== null) this.#taken(command.source)
    const seq = this.#seq
    return { kind: 'refused', command, unit: undefined, state: this.#state, effects: none, seq, error, refusal }
  }

  #unchanged(command: Command, duplicate: boolean, answer?: Answer): Pending {
    const { seq, at, outputs } = answer ?? { seq: this.#seq, at: this.#at, outputs: none }
    const unchanged = { kind: 'unchanged', seq, at, outputs, duplicate } as const
    return { ...unchanged, command, unit: undefined, state: this.#state, effects: none, refusal: undefined }
  }
}

function unitsOf(pending: readonly Pending[]): readonly NewUnit[] {
  return pending.flatMap(({ unit }) => unit ?? [])
}

/** The last answer of an id counts. */
function remember(
  requests: Map<string, Answer>,
  { requestId, seq, at, outputs }: Answer & Pick<NewUnit, 'requestId'>,
): void {
  if (requestId === undefined) return
  requests.delete(requestId)
  requests.set(requestId, { seq, at, outputs })
  if (requests.size > requestsKept) for (const oldest of requests.keys()) return void requests.delete(oldest)
}

function besideOf({ source, requestId, beside }: Command): Partial<NewUnit> {
  return {
    ...(source === undefined ? undefined : { sources: [source] }),
    ...(requestId === undefined ? undefined : { requestId }),
    ...beside,
  }
}

/** A timer falling due, as a command. */
export function timerCommand(timer: Timer, settle: () => void = () => {}): Command {
  return {
    origin: timerOrigin(timer),
    events: [],
    at: timer.due,
    settle,
    reject: settle,
  }
}

/** A chain that stands at the durable head. */
async function anchor(
  store: Store,
  run: string,
  machine: string,
  durable: number | undefined,
  pending: readonly NewUnit[],
): Promise<UnitChain> {
  const format = store.objectFormat
  if (durable === undefined) return unitChain(format, { id: run, machine, created: pending[0]!.at })
  for await (const batch of batchesOf(store.read(run, { from: durable, to: durable }))) {
    for (const unit of batch) {
      if (unit.run === run && unit.creation === undefined) return unitChain(format, { id: unit.id, machine })
      // The creation, or a fork without units of its own: the run's commit is the anchor, and the next unit tells its time.
      return unitChain(format, { id: run, machine, created: unit.at })
    }
  }
  throw new XMachinesError('RUN_DAMAGED', `Run ${run} has no unit ${durable}.`, { details: { run, seq: durable } })
}
