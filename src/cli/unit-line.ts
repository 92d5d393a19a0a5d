import type { JsonValue } from '../actors/contracts/json.ts'
import type { Beside, MachineRecord, RunHead } from '../actors/contracts/store.ts'
import type { NewUnit, SourcePosition, Unit } from '../actors/contracts/unit.ts'
import { writtenPosition } from '../persistence/unit-text.ts'

/** A position as JSON holds it: a bigint as its digits in a string. */
export interface WrittenPosition {
  readonly id: string
  readonly position: number | string
}

/** A unit as a line of JSON: what `export` and `log --json` print and `import` reads. What is absent is left out. */
export interface UnitLine extends Omit<NewUnit, 'sources' | 'epoch'> {
  readonly run: string
  readonly id: string
  readonly epoch?: number
  readonly sources?: readonly WrittenPosition[]
  /** With the first unit of an export that is of a machine: the machine. */
  readonly machineRecord?: MachineRecord
}

/** What is kept beside a run's history: the line that ends each run of an export. */
export interface BesideLine {
  readonly run: string
  readonly beside: Omit<Beside, 'sources' | 'refusals'> &
    Pick<RunHead, 'status' | 'due'> & {
      readonly sources: Readonly<Record<string, number | string>>
      readonly refusals: readonly JsonValue[]
      readonly value?: JsonValue
      readonly lease?: RunHead['lease']
    }
}

/** The line of a unit. */
export function unitLine(unit: Unit): UnitLine {
  const { run, seq, id, at, events, origin, epoch, sources, outputs, mail, requestId, trace, attempts } = unit
  const { state, creation, machine } = unit
  const line = {
    run,
    seq,
    id,
    at,
    events,
    origin,
    epoch,
    sources: sources?.map(written),
    outputs,
    mail,
    requestId,
    trace,
    attempts,
    state,
    creation,
    machine,
  }
  return line as UnitLine // JSON leaves out what is undefined
}

/** The line of a fork's creation, which is no unit of its history. */
export function forkLine(head: RunHead & { readonly fork: NewUnit }): UnitLine {
  const { epoch: _, ...creation } = head.fork
  return unitLine({ ...creation, run: head.run, id: head.run })
}

/** The line that ends a run. */
export function besideLine({ run, status, value, due, lease, beside }: RunHead): BesideLine {
  const sources = Object.fromEntries(Object.entries(beside.sources).map(([id, at]) => [id, writtenPosition(at)]))
  const refusals = beside.refusals.map(entry => ({
    ...entry,
    position: writtenPosition(entry.position),
  })) as unknown as JsonValue[]
  return { run, beside: { status, value, due, lease, ...beside, sources, refusals } } as BesideLine
}

function written({ id, position }: SourcePosition): WrittenPosition {
  return { id, position: writtenPosition(position) }
}

/** A position as it was before it was written; `undefined`: it is none. */
export function readPosition(position: unknown): bigint | number | undefined {
  if (typeof position === 'string') return /^-?\d+$/.test(position) ? BigInt(position) : undefined
  return typeof position === 'number' && Number.isFinite(position) ? position : undefined
}
