import type { EventObject } from 'xstate'
import type { ActorRef } from './actor-ref.ts'

/** A timer: armed and due are facts of the state, never of a process. */
export interface Timer {
  /** Who armed it: it is cancelled when this actor stops. */
  readonly source: ActorRef
  readonly target: ActorRef
  readonly event: EventObject
  readonly id: string
  /** Whether `cancel(id)` and the end of its source hit it: arming an id again leaves the first one running, unnamed, as in XState. */
  readonly named: boolean
  /** When it falls due, ms. */
  readonly due: number
  /** The seq of the unit that armed it, and which of that unit's it was. */
  readonly armed: number
  readonly index: number
}

/**
 * The pending timers of a run, in the order armed: read as a map by `<armed>:<index>`. Immutable: what changes them gives
 * others. A list, because runs have few: it is copied faster than a map, and a run without timers shares one.
 */
export class Timers {
  static readonly none: Timers = new Timers([])
  readonly #list: readonly Timer[]

  private constructor(list: readonly Timer[]) {
    this.#list = list
  }

  /** Timers as they were, in the order armed. */
  static of(list: readonly Timer[]): Timers {
    return list.length === 0 ? Timers.none : new Timers(list)
  }

  get size(): number {
    return this.#list.length
  }
  values(): readonly Timer[] {
    return this.#list
  }
  has(key: string): boolean {
    return this.#list.some(timer => keyOf(timer) === key)
  }
  *[Symbol.iterator](): Iterator<readonly [key: string, timer: Timer]> {
    for (const timer of this.#list) yield [keyOf(timer), timer]
  }
  find(armed: number, index: number): Timer | undefined {
    return this.#list.find(timer => timer.armed === armed && timer.index === index)
  }
  /** The one that falls due first: by due time, then in the order armed. */
  first(): Timer | undefined {
    let first: Timer | undefined
    for (const timer of this.#list) if (first === undefined || timer.due < first.due) first = timer
    return first
  }

  arm(timer: Timer): Timers {
    return Timers.of([...this.#unname(timer), timer])
  }
  /** The same timers, if none has the name. */
  cancel(source: ActorRef, id: string): Timers {
    const i = this.#list.findIndex(timer => isNamed(timer, source, id))
    return i === -1 ? this : Timers.of(this.#list.toSpliced(i, 1))
  }
  cancelAll(source: ActorRef): Timers {
    const left = this.#list.filter(timer => timer.source !== source || !timer.named)
    return left.length === this.#list.length ? this : Timers.of(left)
  }
  /** A timer that fell due is gone, and with it the name, also where a later one has it: as in XState. */
  fire(fired: Timer): Timers {
    return Timers.of(this.#unname(fired).filter(timer => timer.armed !== fired.armed || timer.index !== fired.index))
  }

  #unname({ source, id }: Timer): readonly Timer[] {
    const i = this.#list.findIndex(timer => isNamed(timer, source, id))
    return i === -1 ? this.#list : this.#list.with(i, { ...this.#list[i]!, named: false })
  }
}

function keyOf({ armed, index }: Timer): string {
  return `${armed}:${index}`
}

function isNamed(timer: Timer, source: ActorRef, id: string): boolean {
  return timer.named && timer.source === source && timer.id === id
}
