import type { SentSpawn } from '../contracts/unit.ts'
import { nurseryOf } from '../run/nursery.ts'
import type { LeaseHappening } from './events.ts'
import type { LaneNames } from './lane-home.ts'
import type { Settings } from './options.ts'

/** Kinds of child runs that nobody looks after: each is told once. */
export class Unattended {
  readonly #store: Settings['store']
  readonly #tell: (happening: LeaseHappening) => void
  readonly #told = new Set<string>()

  constructor(store: Settings['store'], tell: (happening: LeaseHappening) => void) {
    this.#store = store
    this.#tell = tell
  }

  /** A run has spawned a child. */
  spawned(parent: LaneNames, { spawn, machine }: SentSpawn): void {
    const name = `${spawn.namespace} ${machine}`
    if (this.#told.has(name) || nurseryOf(this.#store).attends(spawn.namespace, machine)) return
    this.#told.add(name)
    this.#tell({ type: 'unattended', ...parent, child: { ...spawn, machine } })
  }
}
