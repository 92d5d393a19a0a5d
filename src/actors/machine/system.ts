import type { AnyStateMachine, EventObject } from 'xstate'
import { XMachinesError } from '../errors.ts'
import { type ActorRef, adoptActor, RootRef } from './actor-ref.ts'
import type { Draft } from './draft.ts'
import { readSends } from './send-action.ts'
import { emptyTable, type RunState } from './state.ts'
import {
  type ExecutableAction,
  isBuiltIn,
  type LiveRef,
  type LiveScope,
  type LiveSnapshot,
  ProcessingStatus,
} from './xstate.ts'

/** Where an event goes that author code sends to an actor outside of a step, from a custom action say. */
export type ActionSender = (event: EventObject) => void

/**
 * One run's actor system, as XState's built-in actions see it. It holds no state of its own: while a step runs it looks
 * into the {@link Draft}, otherwise into the state that the run shows.
 *
 * It is also XState's `system.scheduler`: one object less for each resident run.
 */
export class ActorSystem {
  readonly machine: AnyStateMachine
  readonly root: RootRef
  /** The step that runs, if one does. */
  draft: Draft | undefined = undefined
  /** The state that references show between steps: the last durable one. */
  visible: RunState | undefined = undefined
  /** Takes what custom actions send to the root. */
  sender: ActionSender | undefined = undefined
  /** The session id of an actor that is being rebuilt. */
  #revived: string | undefined = undefined

  constructor(machine: AnyStateMachine, input: unknown) {
    this.machine = machine
    this.root = new RootRef(this, machine.id, input)
  }

  /** Lets `construct` make an actor outside of a step, under a session id that was given out before. */
  revive(session: string, construct: () => LiveRef): ActorRef {
    this.#revived = session
    try {
      return construct() as ActorRef
    } finally {
      this.#revived = undefined
    }
  }

  /** Whether an actor is being rebuilt whose state is known. */
  get reviving(): boolean {
    return this.#revived !== undefined
  }

  // What XState's built-in actions and its Actor constructor use.

  get scheduler(): this {
    return this
  }
  _bookId(): string {
    return this.#revived ?? this.step().book()
  }
  _register(): void {}
  _unregister(ref: LiveRef): void {
    this.step().unregister(ref as ActorRef)
  }
  _set(systemId: string, ref: LiveRef): void {
    if (this.#revived === undefined) this.step().register(systemId, ref as ActorRef)
  }
  get(systemId: string): ActorRef | undefined {
    return this.#systemIds().get(systemId)
  }
  getAll(): Record<string, ActorRef> {
    return Object.fromEntries(this.#systemIds())
  }
  #systemIds(): ReadonlyMap<string, ActorRef> {
    return this.draft?.systemIds ?? (this.visible?.table ?? emptyTable).systemIds
  }
  _relay(_source: LiveRef | undefined, target: LiveRef, event: EventObject): void {
    target._send(event)
  }
  _sendInspectionEvent(event: { readonly type: string; readonly actorRef: LiveRef }): void {
    if (event.type !== '@xstate.actor') return
    const ref = adoptActor(event.actorRef, this)
    if (this.#revived === undefined) this.step().adopt(ref)
  }
  get _logger(): (...args: unknown[]) => void {
    return console.log
  }
  get _clock(): undefined {
    return undefined
  }
  schedule(source: LiveRef, target: LiveRef, event: EventObject, delay: number, id?: string): void {
    this.step().arm(source as ActorRef, target as ActorRef, event, delay, id)
  }
  cancel(source: LiveRef, id: string): void {
    this.step().disarm(source as ActorRef, id)
  }
  cancelAll(source: LiveRef): void {
    this.step().disarmAll(source as ActorRef)
  }
  inspect(): never {
    throw new XMachinesError('MACHINE_UNSUPPORTED', 'The machine inspects its own system. Inspect a run from outside.')
  }
  getSnapshot(): { readonly _scheduledEvents: Record<string, never> } {
    return { _scheduledEvents: {} }
  }

  // What references use.

  statusOf(ref: ActorRef): ProcessingStatus {
    if (this.draft !== undefined) return this.draft.statusOf(ref)
    if (ref === this.root)
      return this.visible?.snapshot.status === 'active' ? ProcessingStatus.Running : ProcessingStatus.Stopped
    if (this.visible?.table.actors.has(ref) === true) return ProcessingStatus.Running
    return ref.last?.status ?? ProcessingStatus.Stopped
  }
  snapshotOf(ref: ActorRef): LiveSnapshot {
    if (this.#revived !== undefined) return { status: 'active' }
    const snapshot =
      this.draft !== undefined
        ? this.draft.snapshotOf(ref)
        : ref === this.root
          ? this.visible?.snapshot
          : (this.visible?.table.actors.get(ref) ?? ref.last?.snapshot)
    if (snapshot === undefined) throw new Error(`Snapshot can't be read while the actor '${ref.id}' initializes itself`)
    return snapshot
  }
  begin(ref: ActorRef, snapshot: LiveSnapshot): void {
    if (this.#revived === undefined) this.step().begin(ref, snapshot)
  }
  start(ref: ActorRef): void {
    this.step().start(ref)
  }
  send(ref: ActorRef, event: EventObject): void {
    this.step().send(ref, event)
  }
  stop(ref: ActorRef): void {
    this.step().stop(ref)
  }
  /** `ref.send(…)` by author code: part of the step inside one; outside, only the root has a mailbox. */
  sendFromAction(ref: ActorRef, event: EventObject): void {
    if (this.draft !== undefined) return this.draft.send(ref, event)
    if (ref === this.root && this.sender !== undefined) return this.sender(event)
    throw new XMachinesError(
      'CHILD_SEND_OUTSIDE_STEP',
      `An event '${event.type}' was sent to the child actor '${ref.id}' outside a step, where no history can hold it. Send to the run, and let the machine pass it on with sendTo.`,
      { details: { actor: ref.id, type: event.type } },
    )
  }

  /** The scope that logic is stepped with: one for each reference, for its whole life. */
  scopeOf(ref: ActorRef): LiveScope {
    return new Scope(this, ref)
  }

  step(): Draft {
    if (this.draft === undefined) {
      throw new XMachinesError(
        'CHILD_SEND_OUTSIDE_STEP',
        'An actor of a run was started, stopped or scheduled outside a step. Use the actions of XState.',
      )
    }
    return this.draft
  }
}

/** XState's actor scope over a draft. */
class Scope implements LiveScope {
  readonly self: ActorRef
  readonly system: ActorSystem
  actionExecutor: (action: ExecutableAction) => void

  constructor(system: ActorSystem, self: ActorRef) {
    this.system = system
    this.self = self
    this.actionExecutor = execute.bind(this)
  }
  get id(): string {
    return this.self.id
  }
  get sessionId(): string {
    return this.self.sessionId
  }
  get logger(): (...args: unknown[]) => void {
    return console.log
  }
  // As functions of their own: reducers and custom logic take them out of the scope (`(state, event, { emit }) => …`), as XState's can be.
  get defer(): LiveScope['defer'] {
    return work => this.system.step().defer(this.self, work)
  }
  get stopChild(): LiveScope['stopChild'] {
    return child => {
      if (child._parent !== this.self) {
        throw new Error(`Cannot stop child actor ${child.id} of ${this.id} because it is not a child`)
      }
      this.system.stop(child as ActorRef)
    }
  }
  /** Only the root's are outputs: a live actor's `emit` is heard at that actor only. */
  get emit(): LiveScope['emit'] {
    return event => {
      if (this.self === this.system.root) this.system.step().output(event)
    }
  }
}

/** Built-in actions, `tell` and `spawnRun` move the draft; the author's own are kept for after the append. Before an actor's start, both wait for it. */
function execute(this: Scope, action: ExecutableAction): void {
  const draft = this.system.step()
  const run = (): void => {
    if (action.exec === undefined) return
    const sends = readSends(action.exec)
    if (isBuiltIn(action)) action.exec(action.info, action.params)
    else if (sends !== undefined) draft.post(this.self, () => sends(action.info, action.params))
    else draft.effect({ kind: 'action', actor: this.self, action })
  }
  if (draft.statusOf(this.self) === ProcessingStatus.Running) run()
  else draft.defer(this.self, run)
}
