import type { NewUnit, ObjectFormat, Unit } from '../../actors/contracts/unit.ts'
import { XMachinesError } from '../../actors/errors.ts'
import { type ChainAnchor, unitChain } from '../../actors/identity/index.ts'
import { type IdOf, type Link, storedUnit, unreadable } from '../stored-unit.ts'
import { parseEvents } from '../unit-text.ts'
import type { RunRow, WrittenUnit } from './run-row.ts'

/** What histories are read from. */
export interface HistorySource {
  readonly objectFormat: ObjectFormat
  row(run: string): Promise<RunRow | undefined>
  /** Of the own units `from` … `to` some of the first. */
  units(run: string, from: number, to: number): Promise<readonly WrittenUnit[]>
}

/** A part of a history: units that one run has of its own. */
interface Span {
  readonly row: RunRow
  readonly first: number
  readonly from: number
  readonly to: number
}

/** The units `from` … `to` of a run, oldest first: of a fork, the shared ones first. */
export async function* readUnits(
  source: HistorySource,
  row: RunRow,
  from: number,
  to: number,
  ids: boolean,
): AsyncGenerator<Unit[], void, void> {
  for (const span of await spansOf(source, row, Math.max(0, from), Math.min(to, row.seq))) {
    yield* ids ? named(source, span) : unnamed(source, span)
  }
}

async function spansOf(source: HistorySource, row: RunRow, from: number, to: number): Promise<Span[]> {
  const spans: Span[] = []
  let current = row
  for (let last = to; from <= last; ) {
    const fork = current.fork?.creation?.fork
    const first = fork === undefined ? 0 : fork.at + 1
    if (first <= last) spans.push({ row: current, first, from: Math.max(from, first), to: last })
    if (fork === undefined || from >= first) break
    last = Math.min(last, fork.at)
    current = (await source.row(fork.run)) ?? missing(row, fork.run)
  }
  return spans.reverse()
}

function missing(row: RunRow, run: string): never {
  throw new XMachinesError('RUN_DAMAGED', `The run ${row.run} is a fork of ${run}, which the store has not got.`, {
    details: { run: row.run, seq: row.fork?.seq, missing: run },
  })
}

async function* unnamed(source: HistorySource, span: Span): AsyncGenerator<Unit[], void, void> {
  for await (const page of pages(source, span.row.run, span.from, span.to)) {
    yield page.map(unit => read(span.row.run, unit, undefined))
  }
}

/** The ids are computed as the units are read, from the first one on: each is made of the one before. */
async function* named(source: HistorySource, span: Span): AsyncGenerator<Unit[], void, void> {
  const { row, first, from, to } = span
  const { run, fork } = row
  let chain = fork && unitChain(source.objectFormat, beginning(run, fork))
  for await (const page of pages(source, run, first, to)) {
    const ids = new PageIds(page[0]!.seq)
    const units = page.map(written => {
      const unit = read(run, written, ids)
      if (chain === undefined) {
        chain = unitChain(source.objectFormat, beginning(run, unit))
        ids.push(run)
      } else ids.push(chain.next(unit))
      return unit
    })
    if (from <= units.at(-1)!.seq) yield from > units[0]!.seq ? units.filter(unit => unit.seq >= from) : units
  }
}

function beginning(run: string, { at, creation }: Pick<NewUnit, 'at' | 'creation'>): ChainAnchor {
  return { id: run, machine: creation!.machine, created: at }
}

/** The ids of the units of a page. */
class PageIds implements IdOf {
  readonly #first: number
  readonly #ids: string[] = []

  constructor(first: number) {
    this.#first = first
  }

  push(id: string): void {
    this.#ids.push(id)
  }

  idOf({ seq }: Link): string {
    return this.#ids[seq - this.#first]!
  }
}

async function* pages(
  source: HistorySource,
  run: string,
  from: number,
  to: number,
): AsyncGenerator<readonly WrittenUnit[], void, void> {
  for (let next = from; next <= to; ) {
    const page = await source.units(run, next, to)
    for (const { seq } of page) if (seq !== next++) throw gap(run, next - 1)
    if (page.length === 0) throw gap(run, next)
    yield page
  }
}

function gap(run: string, seq: number): XMachinesError {
  return new XMachinesError('RUN_DAMAGED', `The store has not got unit ${seq} of run ${run}, but later ones.`, {
    details: { run, seq },
  })
}

function read(run: string, { seq, at, events, rest }: WrittenUnit, ids: IdOf | undefined): Unit {
  try {
    return storedUnit(run, seq, at, parseEvents(events), rest, ids)
  } catch (cause) {
    throw unreadable(run, seq, cause)
  }
}
