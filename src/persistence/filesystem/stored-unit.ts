import type { RecordedEvent } from '../../actors/contracts/json.ts'
import type {
  Creation,
  ObjectFormat,
  Origin,
  Sent,
  SourcePosition,
  TraceContext,
  Unit,
} from '../../actors/contracts/unit.ts'
import { XMachinesError } from '../../actors/errors.ts'
import { type ChainAnchor, type UnitChain, unitChain } from '../../actors/identity/index.ts'
import { stride } from './line.ts'
import { deepFreeze, parseRest, readPositions, type WrittenRest } from './record.ts'

const outside: Origin = Object.freeze({ kind: 'outside' })
const none: readonly never[] = Object.freeze([])
/** How the rest of a unit begins that has a state. */
const stateKey = ',"state":"'

/** A unit as it stands in the log. What is rarely asked for stays text until it is. */
class StoredUnit {
  readonly run: string
  readonly seq: number
  readonly at: number
  readonly events: readonly RecordedEvent[]
  readonly #ids: UnitIds | undefined
  #text: string
  #rest: WrittenRest | undefined
  #id: string | undefined

  constructor(
    run: string,
    seq: number,
    at: number,
    events: readonly RecordedEvent[],
    text: string,
    ids: UnitIds | undefined,
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
    const content = { run, seq, id, at, events, origin, outputs, mail, sources, requestId, trace, attempts }
    return { ...content, state, creation, machine, epoch }
  }

  #read(): WrittenRest {
    if (this.#rest !== undefined) return this.#rest
    this.#rest = deepFreeze(parseRest(this.#text))
    this.#text = ''
    return this.#rest
  }
}

/** A unit of a line that was read. @param rest what follows the events */
export function unitFromLine(
  run: string,
  seq: number,
  at: number,
  events: readonly RecordedEvent[],
  rest: string,
  ids: UnitIds | undefined,
): Unit {
  return new StoredUnit(run, seq, at, events, rest, ids) as Unit
}

/** A unit from which a chain of ids can start: its own id is known. */
export interface KnownId extends ChainAnchor {
  readonly seq: number
}

/** What the ids of a run's own units are computed from. */
export interface IdSource {
  /** The last unit at or before `seq` of which the id is known; the run's commit at the earliest. */
  known(seq: number): KnownId
  /** The units `from` … `to`. */
  units(from: number, to: number): Iterable<readonly Unit[]>
}

/** What the chain takes of a unit. */
type Link = Pick<Unit, 'seq' | 'at' | 'events' | 'origin' | 'machine'>

/**
 * The ids of a run's own units, computed when asked for. In order, each costs one step of the chain. Out of order, the
 * chain goes on from the nearest unit that it passed before; what it passed since the last 1024th stays at hand.
 */
export class UnitIds {
  readonly #format: ObjectFormat
  readonly #source: IdSource
  /** Every 1024th unit that the chain passed. */
  readonly #passed = new Map<number, KnownId>()
  #chain: UnitChain | undefined
  /** The unit that the chain has come to, and the ids from the unit `#from` up to it. */
  #last = 0
  #from = 0
  #ids: string[] = []

  constructor(format: ObjectFormat, source: IdSource) {
    this.#format = format
    this.#source = source
  }

  idOf(unit: Link): string {
    const { seq } = unit
    if (this.#chain !== undefined && seq === this.#last + 1) return this.#next(this.#chain, unit)
    if (this.#chain === undefined || seq < this.#from) this.#begin(seq)
    if (seq > this.#last) {
      for (const batch of this.#source.units(this.#last + 1, seq))
        for (const next of batch) this.#next(this.#chain!, next)
    }
    return this.#ids[seq - this.#from]!
  }

  #begin(seq: number): void {
    const start = this.#passed.get(seq - (seq % stride)) ?? this.#source.known(seq)
    this.#chain = unitChain(this.#format, start)
    this.#last = this.#from = start.seq
    this.#ids = [start.id]
  }

  #next(chain: UnitChain, unit: Link): string {
    const { seq } = unit
    const id = chain.next(unit)
    this.#last = seq
    if (seq % stride === 0) {
      this.#passed.set(seq, { seq, id, machine: chain.machine })
      this.#from = seq
      this.#ids = []
    }
    this.#ids.push(id)
    return id
  }
}
