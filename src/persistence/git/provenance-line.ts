import type { Beside } from '../../actors/contracts/store.ts'
import type { ObjectFormat } from '../../actors/contracts/unit.ts'
import { messageOf, XMachinesError } from '../../actors/errors.ts'
import { runBesideFields, unitBesideFields } from '../../actors/history/recorded-fields.ts'
import {
  type Check,
  type Fields,
  isCount,
  isObject,
  isText,
  isTime,
  listOf,
  objectOf,
} from '../../actors/json/fields.ts'
import { deepFreeze } from '../deep-freeze.ts'
import { emptyBeside } from '../judge.ts'
import { readPosition, readPositions, type WrittenPosition } from '../unit-text.ts'
import { digitsOf, provenanceRef } from './layout.ts'
import type { RunProvenance, UnitProvenance } from './provenance.ts'

/*
 * Reading a line of the provenance branch. Whoever may push may write one by hand, and what it says is laid over units
 * whose ids say nothing of it: so only the fields that are ours are taken, and each has to be what it should be.
 */

/** How a line begins: of which run it is, and from which unit on; without `from` it is what is kept beside the run. */
export interface LineStart {
  readonly run: string
  readonly from: number | undefined
}

const start = /^\{"run":"([0-9a-f]{40}|[0-9a-f]{64})",(?:"from":(0|[1-9]\d{0,14}),"units":\[|"beside":\{)/

/** So many characters of a line are enough for {@link readLineStart}. */
export const longestStart = 128

/** Reads how a line begins. @param object its file @throws COMMIT_DAMAGED */
export function readLineStart(format: ObjectFormat, text: string, object: string): LineStart {
  const found = start.exec(text)
  if (found?.[1]?.length !== digitsOf[format])
    throw badProvenance(object, `it has a line that is none of ours: ${JSON.stringify(text.slice(0, 80))}`)
  return { run: found[1], from: found[2] === undefined ? undefined : Number(found[2]) }
}

/** What was recorded cannot be read. */
export function badProvenance(object: string, found: string): XMachinesError {
  return new XMachinesError(
    'COMMIT_DAMAGED',
    `The branch xmachines/provenance is bad at ${object}: ${found}. Fetch it again from a clone that has it whole.`,
    { details: { run: '-', commit: provenanceRef, object } },
  )
}

/** Reads the units of a line. @param object its file @throws COMMIT_DAMAGED */
export function readUnits(line: string, object: string): readonly UnitProvenance[] {
  return reading(line, object, ({ units }) => (units as unknown[]).map(readUnit))
}

function readUnit(written: unknown): UnitProvenance {
  const { outputs = none, sources, ...rest } = checked(written, unitFields) as WrittenUnit
  return deepFreeze({ outputs, ...(sources && { sources: readPositions(sources) }), ...rest })
}

/** Reads what is kept beside a run. @param object its file @throws COMMIT_DAMAGED */
export function readBeside(line: string, object: string): RunProvenance {
  return reading(line, object, ({ beside: written }) => {
    const found = checked(written, besideFields, requiredBeside) as unknown as WrittenBeside
    const { time, created, revision, status, value, due, lease, sources, refusals, attempts, owners, ...rest } = found
    const beside = {
      ...emptyBeside,
      ...rest,
      sources: bare(readPositions(sources).map(({ id, position }) => [id, position])),
      refusals: refusals.map(entry => ({ ...entry, position: readPosition(entry.position) })),
      attempts: bare(Object.entries(attempts)),
      owners: bare(Object.entries(owners ?? {})),
    } as unknown as Beside
    return {
      time,
      created,
      revision,
      status,
      due,
      beside,
      ...(value !== undefined && { value }),
      ...(lease && { lease }),
    }
  })
}

type WrittenUnit = Partial<Omit<UnitProvenance, 'sources'>> & { readonly sources?: readonly WrittenPosition[] }

type WrittenBeside = Omit<RunProvenance, 'beside'> &
  Omit<Beside, 'sources' | 'refusals' | 'owners'> & {
    readonly owners?: Beside['owners']
    readonly sources: readonly WrittenPosition[]
    readonly refusals: readonly WrittenPosition[]
  }

const none: readonly never[] = Object.freeze([])
const isPosition: Check = value => Number.isFinite(value) || (typeof value === 'string' && /^-?\d+$/.test(value))
const isAtPosition = objectOf({ id: isText, position: isPosition })

const unitFields: Fields = { ...unitBesideFields, sources: listOf(isAtPosition) }

const requiredBeside = ['time', 'created', 'revision', 'status', 'due', 'sources', 'refusals', 'attempts']

const besideFields: Fields = {
  ...runBesideFields,
  time: value => value === 'arrival' || value === 'source',
  created: isTime,
  revision: isCount,
  sources: listOf(isAtPosition),
  refusals: listOf(isAtPosition),
}

/** The fields that are ours, each as it should be. Others are not taken: they could stand for what an id is made of. */
function checked(written: unknown, fields: Fields, required: readonly string[] = []): Record<string, unknown> {
  if (!isObject(written)) throw new TypeError(`there is ${JSON.stringify(written)} where an object should be`)
  const found: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(written as object)) {
    if (!Object.hasOwn(fields, name)) continue
    if (!fields[name]!(value)) throw new TypeError(`its ${name} is ${JSON.stringify(value).slice(0, 80)}`)
    found[name] = value
  }
  for (const name of required) if (!Object.hasOwn(found, name)) throw new TypeError(`it has no ${name}`)
  return found
}

/** Whatever is wrong with a line is told alike. */
function reading<T>(line: string, object: string, read: (parsed: Record<string, unknown>) => T): T {
  try {
    return read(JSON.parse(line) as Record<string, unknown>)
  } catch (error) {
    throw badProvenance(object, `a line cannot be read (${messageOf(error)}): ${JSON.stringify(line.slice(0, 80))}`)
  }
}

/** An object without a prototype: any text may be a name in it. */
function bare<T>(entries: readonly (readonly [string, T])[]): Readonly<Record<string, T>> {
  const object: Record<string, T> = Object.create(null)
  for (const [name, value] of entries) object[name] = value
  return object
}
