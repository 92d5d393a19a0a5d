import type { NewUnit, ObjectFormat, Unit } from '../../actors/contracts/unit.ts'
import { XMachinesError } from '../../actors/errors.ts'
import type { Segments } from './files.ts'
import { OwnUnits } from './history.ts'
import type { Row } from './row.ts'
import { type IdSource, type KnownId, UnitIds } from './unit-ids.ts'

/** What a history is read from. */
export interface HistorySource {
  readonly objectFormat: ObjectFormat
  readonly segments: Segments
  row(run: string): Row | undefined
  /** The id of some unit at or before `seq`, if one is kept. */
  knownId(row: Row, seq: number): KnownId | undefined
}

/** A part of a history: units that one run has of its own. */
interface Span {
  readonly row: Row
  readonly from: number
  readonly to: number
}

/** The units `from` … `to` of a run, oldest first: of a fork, the shared ones first. */
export function* readUnits(
  source: HistorySource,
  row: Row,
  from: number,
  to: number,
  ids: boolean,
): Generator<Unit[], void, void> {
  const { segments, objectFormat } = source
  for (const span of spansOf(source, row, Math.max(0, from), Math.min(to, row.seq))) {
    const chain = ids ? new UnitIds(objectFormat, new RowIds(source, span.row)) : undefined
    yield* new OwnUnits(segments, objectFormat, span.row, chain).units(span.from, span.to)
  }
}

/** The creation of a fork, as plain data. */
export function readForkCreation({ segments, objectFormat }: HistorySource, row: Row): NewUnit | undefined {
  if (row.fork === undefined) return undefined
  const { seq, at, events, origin, outputs, sources, requestId, state, creation, machine } = new OwnUnits(
    segments,
    objectFormat,
    row,
    undefined,
  ).unitAt(row.fork.position)
  return Object.freeze({
    seq,
    at,
    events,
    origin,
    outputs,
    ...(sources === undefined ? {} : { sources }),
    ...(requestId === undefined ? {} : { requestId }),
    ...(state === undefined ? {} : { state }),
    ...(creation === undefined ? {} : { creation }),
    ...(machine === undefined ? {} : { machine }),
  })
}

function spansOf(source: HistorySource, row: Row, from: number, to: number): Span[] {
  const spans: Span[] = []
  let current = row
  for (let last = to; from <= last; ) {
    const { fork } = current
    const first = fork === undefined ? 0 : fork.at + 1
    if (first <= last) spans.push({ row: current, from: Math.max(from, first), to: last })
    if (fork === undefined || from >= first) break
    last = Math.min(last, fork.at)
    current = source.row(fork.run) ?? missing(row, fork.run)
  }
  return spans.reverse()
}

function missing(row: Row, run: string): never {
  throw new XMachinesError('RUN_DAMAGED', `The run ${row.run} is a fork of ${run}, which the store has not got.`, {
    details: { run: row.run, seq: row.fork?.at, missing: run },
  })
}

/** What the ids of a run's own units are computed from: its creation, and the units themselves. */
class RowIds implements IdSource {
  readonly #source: HistorySource
  readonly #row: Row

  constructor(source: HistorySource, row: Row) {
    this.#source = source
    this.#row = row
  }

  known(seq: number): KnownId {
    return this.#source.knownId(this.#row, seq) ?? this.#beginning()
  }

  units(from: number, to: number): Iterable<readonly Unit[]> {
    return this.#own().units(from, to)
  }

  #own(): OwnUnits {
    return new OwnUnits(this.#source.segments, this.#source.objectFormat, this.#row, undefined)
  }

  #beginning(): KnownId {
    const { fork, run } = this.#row
    const own = this.#own()
    const first = fork === undefined ? own.units(0, 0).next().value?.[0] : own.unitAt(fork.position)
    const { creation, at, seq } = first!
    return { seq, id: run, machine: creation!.machine, created: at }
  }
}
