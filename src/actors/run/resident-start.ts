import type { RecordedEvent } from '../contracts/json.ts'
import type { Beside, LeaseKey, ParentLink, Store } from '../contracts/store.ts'
import type { Telemetry } from '../contracts/telemetry.ts'
import type { Creation, SourcePosition, TimeMode, TraceContext } from '../contracts/unit.ts'
import type { Environment } from '../environment.ts'
import type { Effect } from '../machine/effect.ts'
import type { Program } from '../machine/program.ts'
import type { RunState } from '../machine/state.ts'
import type { ActorSystem } from '../machine/system.ts'
import type { RunOutbox } from './outbox.ts'
import type { Midwife } from './spawner.ts'

/** The lease under which a resident appends. */
export interface Leased extends LeaseKey {
  readonly epoch: number
}

/** What a resident starts from. */
export interface ResidentStart {
  readonly run: string
  readonly program: Program
  readonly store: Store
  readonly environment: Environment
  readonly time: TimeMode
  /** What senders of mail call it. */
  readonly name: { readonly namespace: string; readonly key?: string | undefined }
  readonly system: ActorSystem
  readonly state: RunState
  readonly seq: number
  readonly at: number
  /** `undefined`: the creation is still to be appended. */
  readonly revision: number | undefined
  readonly sources: Readonly<Record<string, bigint | number>>
  readonly held: boolean
  /** Whose child the run is. */
  readonly parent: ParentLink | null
  readonly midwife: Midwife
  /** What else is kept beside the run, if it is not new. */
  readonly kept?: Beside | undefined
  readonly lease: Leased | undefined
  /** What it appended when it was in memory before may become durable yet. */
  readonly returns?: boolean
  /** What is to be sent out for the run, under a supervisor. */
  readonly outbox?: RunOutbox | undefined
  /** Measures the run. */
  readonly telemetry?: Telemetry | undefined
  /** A run that is new: its creation, with what the first step left to be done. */
  readonly first:
    | {
        readonly creation: Creation
        readonly outputs: readonly RecordedEvent[]
        readonly effects: readonly Effect[]
        /** A run that is there already ends this one with `RUN_EXISTS`, also if it is the same: it may have begun at another time. */
        readonly exclusive?: boolean | undefined
        /** Its creation takes this position: what stands up to there was before the run. */
        readonly behind?: SourcePosition | undefined
        /** What the unit that spawned it stands in. */
        readonly trace?: TraceContext | undefined
      }
    | undefined
}
