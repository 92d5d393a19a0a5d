import type { SupervisorEvent, SupervisorStatus } from 'xmachines'
import type { StoreAt } from '../../processes/opened.ts'

/** Where a worker can be told to stop. `sent`: when what it asked for is on its way. */
export const places = ['step', 'append', 'append sent', 'commit', 'commit sent', 'send', 'send sent'] as const

export type Place = (typeof places)[number]

/** What all members of the fleet share. */
export interface FleetTask {
  readonly store: StoreAt
  readonly topic: string
  readonly results: string
  readonly deadLetters: string
  readonly group: string
  /** ms */
  readonly sessionTimeout: number
}

/** What a worker is told when it starts. */
export interface WorkerTask extends FleetTask {
  readonly name: string
  /** As the cluster names them. */
  readonly brokers: readonly string[]
  /** Which local port leads to which broker. */
  readonly routes: Readonly<Record<string, number>>
}

/** What a worker is told while it runs, one line of JSON each. */
export type WorkerOrder =
  /** Ends or stops itself the next time that it comes to the place. */
  | { readonly type: 'arm'; readonly place: Place; readonly signal: 'SIGKILL' | 'SIGSTOP' }
  | { readonly type: 'catch-up' }
  | { readonly type: 'close' }

export type Counts = Pick<SupervisorStatus, 'duplicates' | 'deadLettered' | 'outputsSent'>

/** What a worker says, one line of JSON each. */
export type WorkerLine =
  | {
      readonly type: SupervisorEvent['type']
      readonly partition?: number
      readonly epoch?: number
      readonly code?: string
      readonly message?: string
    }
  | ({ readonly type: 'counts' } & Counts)
  | { readonly type: 'caught-up' | 'closed' }
