import type { RunHead } from '../contracts/store.ts'
import { KeyTable } from './key-table.ts'
import { Lane } from './lane.ts'
import type { LaneHome } from './lane-home.ts'

/** The lanes of a lease: one for each run that records, or needs of its own, have come upon. */
export class Lanes {
  readonly #home: LaneHome
  readonly #byKey = new Map<string, Lane>()
  /** By the bytes of the key: spares most records the decoding. */
  readonly #byBytes = new KeyTable<Lane>()
  readonly #byRun = new Map<string, Lane>()

  constructor(home: LaneHome) {
    this.#home = home
  }

  /** Runs that are in memory or on their way. */
  get size(): number {
    return this.#byRun.size
  }

  has(run: string): boolean {
    return this.#byRun.has(run)
  }

  /** The store says that the run needs something. */
  notice(run: string): void {
    this.#byRun.get(run)?.notice()
  }

  /** The lane of the records with this key, if it is open. */
  find(bytes: Uint8Array): Lane | undefined {
    return this.#byBytes.get(bytes)
  }

  /** The lane of a key. @param bytes the key as records have it, where it is decoded the default way */
  of(key: string, bytes?: Uint8Array): Lane {
    let lane = this.#byKey.get(key)
    if (lane === undefined) this.#byKey.set(key, (lane = new Lane(this.#home, key)))
    if (bytes !== undefined && lane.bytes === undefined) {
      lane.bytes = new Uint8Array(bytes)
      this.#byBytes.set(lane.bytes, lane)
    }
    return lane
  }

  /** The lane of a run that is known by its head. */
  ofRun(head: RunHead): Lane {
    const lane = head.key === undefined ? new Lane(this.#home, undefined) : this.of(head.key)
    this.name(lane, head.run)
    return lane
  }

  /** The lane's run is known. */
  name(lane: Lane, run: string): void {
    lane.run = run
    this.#byRun.set(run, lane)
  }

  /** The lane has nothing in memory and nothing to do. */
  remove(lane: Lane): void {
    if (lane.key !== undefined) this.#byKey.delete(lane.key)
    if (lane.bytes !== undefined) this.#byBytes.delete(lane.bytes)
    if (lane.run !== undefined) this.#byRun.delete(lane.run)
  }

  /** Nothing more is handed over, and no run comes into memory. */
  halt(): void {
    for (const lane of this.#all()) lane.halt()
  }

  /** Lets all runs go out of memory, once they have nothing to do. */
  async close(): Promise<void> {
    await Promise.all(this.#all().map(lane => lane.close()))
  }

  /** All of them, now. */
  #all(): readonly Lane[] {
    return [...new Set([...this.#byKey.values(), ...this.#byRun.values()])]
  }
}
