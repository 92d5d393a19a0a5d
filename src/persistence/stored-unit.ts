import type { RecordedEvent } from '../actors/contracts/json.ts'
import type { Creation, Origin, Sent, SourcePosition, TraceContext, Unit } from '../actors/contracts/unit.ts'
import { messageOf, XMachinesError } from '../actors/errors.ts'
import { deepFreeze } from './deep-freeze.ts'
import { parseRest, readPositions, type WrittenRest, withPosition } from './unit-text.ts'

const outside: Origin = Object.freeze({ kind: 'outside' })
const none: readonly never[] = Object.freeze([])
/** How the rest of a unit begins that has a state. */
const stateKey = ',"state":"'

/** What the id of a unit is made of, and which unit it is. */
export type Link = Pick<Unit, 'seq' | 'at' | 'events' | 'origin' | 'machine'>

/** Tells the ids of the units of a reading. */
export interface IdOf {
  idOf(unit: Link): string
}

/** A unit as its store has it. What is rarely asked for stays text until it is. */
class StoredUnit {
  readonly run: string
  readonly seq: number
  readonly at: number
  readonly events: readonly RecordedEvent[]
  readonly #ids: IdOf | undefined
  #text: string
  #rest: WrittenRest | undefined
  #id: string | undefined

  constructor(
    run: string,
    seq: number,
    at: number,
    events: readonly RecordedEvent[],
    text: string,
    ids: IdOf | undefined,
  ) {
    this.run = run
    this.seq = seq
    this.at = at
    this.events = events
    this.#text = text
    this.#ids = ids
    Object.freeze(this)
  }

  get id(): string {
    if (this.#ids === undefined) {
      throw new XMachinesError('UNIT_ID_UNKNOWN', 'The unit was read without ids. Read with `ids: true`.', {
        details: { run: this.run, seq: this.seq },
      })
    }
    this.#id ??= this.#ids.idOf(this as Link)
    return this.#id
  }

  get origin(): Origin {
    // Asked for by every replay: most units come from outside, and their text names no origin at all.
    if (this.#rest === undefined && !this.#text.includes('"origin":')) return outside
    return this.#read().origin ?? outside
  }

  get outputs(): readonly RecordedEvent[] {
    // Asked for by every verifying replay: most units have none. Within a string the key's quotes would be escaped.
    if (this.#rest === undefined && !this.#text.includes('"outputs":')) return none
    return this.#read().outputs ?? none
  }

  get mail(): readonly Sent[] | undefined {
    return this.#read().mail
  }

  get sources(): readonly SourcePosition[] | undefined {
    const { sources } = this.#read()
    return sources && deepFreeze(readPositions(sources))
  }

  get requestId(): string | undefined {
    return this.#read().requestId
  }

  get trace(): TraceContext | undefined {
    return this.#read().trace
  }

  get attempts(): number | undefined {
    return this.#read().attempts
  }

  get state(): string | undefined {
    // Asked for by every verifying replay.
    if (this.#rest === undefined && this.#text.startsWith(stateKey)) {
      const state = this.#text.slice(stateKey.length, this.#text.indexOf('"', stateKey.length))
      if (!state.includes('\\')) return state
    }
    return this.#read().state
  }

  get creation(): Creation | undefined {
    return this.#read().creation
  }

  get machine(): string | undefined {
    // Asked for of every unit: only migrations name one.
    if (this.#rest === undefined && !this.#text.includes('"machine":')) return undefined
    return this.#read().machine
  }

  get epoch(): number | undefined {
    return this.#read().epoch
  }

  toJSON(): object {
    const { run, seq, at, events, origin, outputs, mail, sources, requestId, trace, attempts } = this
    const { state, creation, machine, epoch } = this
    const id = this.#ids === undefined ? undefined : this.id
    const content = { run, seq, id, at, events, origin, outputs, mail, requestId, trace, attempts }
    return { ...content, sources: sources?.map(withPosition), state, creation, machine, epoch }
  }

  #read(): WrittenRest {
    if (this.#rest !== undefined) return this.#rest
    try {
      this.#rest = deepFreeze(parseRest(this.#text))
    } catch (cause) {
      throw unreadable(this.run, this.seq, cause)
    }
    this.#text = ''
    return this.#rest
  }
}

/** A unit whose text is no JSON any more: something else than its store wrote to it. */
export function unreadable(run: string, seq: number, cause: unknown): XMachinesError {
  const message = `Unit ${seq} of run ${run} cannot be read: ${messageOf(cause)}. Restore the run from a copy.`
  return new XMachinesError('RUN_DAMAGED', message, { cause, details: { run, seq } })
}

/** A unit that was read. @param rest what follows the events @param ids `undefined`: it tells no id */
export function storedUnit(
  run: string,
  seq: number,
  at: number,
  events: readonly RecordedEvent[],
  rest: string,
  ids: IdOf | undefined,
): Unit {
  return new StoredUnit(run, seq, at, events, rest, ids) as Unit
}
