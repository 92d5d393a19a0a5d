import type { Store } from '../../actors/contracts/store.ts'
import type { ObjectFormat } from '../../actors/contracts/unit.ts'

/** A place of its own for one check, and what the store at that place can do. */
export interface StorePlace {
  /**
   * Opens the store; it may open itself lazily. With `durable`, opening again after `close` is opening the same store.
   * The suite closes what it opened. @param options.objectFormat @default 'sha1'
   */
  open(options?: { readonly objectFormat?: ObjectFormat }): Promise<Store>
  /** Removes the place, after everything is closed. */
  cleanup(): Promise<void>
  /** What was written survives `close`. */
  readonly durable: boolean
  /** Several stores may be open at this place and write at once. @default false */
  readonly shared?: boolean
  /** Whether the newest snapshot that was saved is found again. @default true */
  readonly snapshots?: boolean
}

/** Makes a new, empty place. */
export type StoreFactory = () => Promise<StorePlace>

/** The caller's own: `test` of any runner, or a loop. */
export type ConformanceTest = (name: string, run: () => Promise<void>) => void

/** One check of the suite. */
export interface StoreCheck {
  readonly name: string
  /** Places that cannot do this are passed over. */
  readonly needs?: 'durable' | 'shared'
  run(bench: Bench): Promise<void>
}

/** What a check works on: the place, and the stores that it opened there. */
export class Bench {
  readonly place: StorePlace
  readonly #opened: Store[] = []

  constructor(place: StorePlace) {
    this.place = place
  }

  /** Opens the store; closed at the end of the check at the latest. */
  async open(objectFormat?: ObjectFormat): Promise<Store> {
    const store = await this.place.open(objectFormat === undefined ? {} : { objectFormat })
    this.#opened.push(store)
    return store
  }

  /** Closes `store` and opens its place again. */
  async reopen(store: Store): Promise<Store> {
    await store.close()
    return this.open(store.objectFormat)
  }

  /** Closes what is open and removes the place. */
  async end(): Promise<void> {
    for (const store of this.#opened) await store.close()
    await this.place.cleanup()
  }
}

/** A check on one open store. */
export function on(
  name: string,
  run: (store: Store, bench: Bench) => Promise<void>,
  needs?: 'durable' | 'shared',
): StoreCheck {
  const check = { name, run: async (bench: Bench) => run(await bench.open(), bench) }
  return needs === undefined ? check : { ...check, needs }
}
