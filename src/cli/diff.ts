import { Command } from 'commander'
import { batchesOf } from '../actors/batch-stream.ts'
import type { JsonValue } from '../actors/contracts/json.ts'
import type { RunHead, Store } from '../actors/contracts/store.ts'
import type { Unit } from '../actors/contracts/unit.ts'
import { firstDifference } from '../actors/json/differences.ts'
import { findRun, nameOf } from './find-run.ts'
import { withStore } from './open-store.ts'
import { perform } from './perform.ts'
import { storeArgument } from './store-doors.ts'
import type { Terminal } from './terminal.ts'
import { bothSides, brief, counted, printable, shortId } from './text.ts'
import { unitLine } from './unit-line.ts'

interface DiffOptions {
  readonly namespace?: string
  readonly time?: boolean
}

/** `xmachines diff STORE A B`: where two runs begin to differ. */
export function diffCommand(): Command {
  return new Command('diff')
    .description('show the first unit at which two runs differ, or that they end in different states')
    .argument('<store>', storeArgument)
    .argument('<a>', 'a key, an id, or the beginning of an id')
    .argument('<b>', 'another one')
    .option('--namespace <name>', 'where to look for the keys')
    .option('--time', 'the same events at another time are a difference too')
    .action(perform(diffRuns))
}

/** Where two runs differ. A side that has ended is `null`. */
interface Difference {
  readonly seq: number
  readonly kind: 'machine' | 'input' | 'events' | 'origin' | 'at' | 'outputs' | 'end' | 'state'
  readonly path: string
  readonly a: JsonValue
  readonly b: JsonValue
}

async function diffRuns(
  terminal: Terminal,
  location: string,
  a: string,
  b: string,
  { namespace, time = false }: DiffOptions,
): Promise<number> {
  const { signal } = terminal
  return withStore(terminal, location, { access: 'read' }, async store => {
    const heads = [
      await findRun(store, a, { namespace, signal }),
      await findRun(store, b, { namespace, signal }),
    ] as const
    const difference = await compare(store, heads, time, signal)
    const [one, other] = heads.map(({ run, key = null, seq }) => ({ run, key, seq }))
    await terminal.print({ same: difference === undefined, a: one, b: other, difference: difference ?? null }, () => {
      if (difference === undefined) return `The same ${counted(heads[0].seq, 'unit')}, the same state.`
      const texts = sideTexts(difference)
      const sides = heads.map((head, side) => `  ${shortId(head.run)} (${printable(nameOf(head))})  ${texts[side]}`)
      return [whereText(difference), ...sides].join('\n')
    })
    return difference === undefined ? 0 : 1
  })
}

function whereText({ seq, kind, path }: Difference): string {
  switch (kind) {
    case 'end':
      return `One ends before unit ${seq}.`
    case 'state':
      return `All ${counted(seq, 'unit')} are the same, and the states differ at ${path}.`
    default:
      return `Unit ${seq}: ${kind === 'at' ? 'its time' : kind}, at ${path}.`
  }
}

/** Of each side, what differs. */
function sideTexts({ kind, a, b }: Difference): readonly [a: string, b: string] {
  if (a === null) return ['(ended)', brief(partOf(kind, b), 400)]
  if (b === null) return [brief(partOf(kind, a), 400), '(ended)']
  return bothSides(partOf(kind, a), partOf(kind, b), 400)
}

function partOf(kind: Difference['kind'], side: JsonValue): JsonValue {
  const unit = side as {
    readonly [key: string]: JsonValue | undefined
    readonly creation?: { readonly [key: string]: JsonValue }
  }
  if (kind === 'end') return unit.events ?? null
  return kind === 'state' ? side : (unit[kind] ?? unit.creation?.[kind] ?? null)
}

/** Walks both histories side by side. */
async function compare(
  store: Store,
  [a, b]: readonly [RunHead, RunHead],
  time: boolean,
  signal: AbortSignal,
): Promise<Difference | undefined> {
  const left = unitsOf(store, a, signal)
  const right = unitsOf(store, b, signal)
  try {
    for (;;) {
      const one = (await left.next()).value as Unit | undefined
      const other = (await right.next()).value as Unit | undefined
      if (one === undefined && other === undefined) return differentEnds(a, b)
      if (one === undefined || other === undefined) {
        const { seq } = (one ?? other)!
        return { seq, kind: 'end', path: '$', a: sideOf(one), b: sideOf(other) }
      }
      const found = differentUnits(one, other, time)
      if (found !== undefined) return found
    }
  } finally {
    await Promise.all([left.return(), right.return()])
  }
}

async function* unitsOf(store: Store, { run, seq }: RunHead, signal: AbortSignal): AsyncGenerator<Unit, void, void> {
  for await (const batch of batchesOf(store.read(run, { to: seq, signal }))) yield* batch
}

function differentUnits(a: Unit, b: Unit, time: boolean): Difference | undefined {
  if (a.run === b.run) return undefined // what a fork shares
  const parts: readonly (readonly [Difference['kind'], JsonValue | undefined, JsonValue | undefined])[] = [
    ['machine', a.creation?.machine ?? a.machine, b.creation?.machine ?? b.machine],
    ['input', a.creation?.input, b.creation?.input],
    ['events', a.events, b.events],
    ['origin', a.origin as JsonValue, b.origin as JsonValue],
    ['outputs', a.outputs, b.outputs],
    ...(time ? [['at', a.at, b.at] as const] : []),
  ]
  for (const [kind, one, other] of parts) {
    const path = firstDifference(one, other, '$')
    if (path !== undefined) return { seq: a.seq, kind, path, a: sideOf(a), b: sideOf(b) }
  }
  return undefined
}

/** The same units, and yet another state: a machine without its version changed, or one of the runs is not what it says. */
function differentEnds(a: RunHead, b: RunHead): Difference | undefined {
  // A fork that nobody has opened yet does not know its state.
  if (a.value === undefined || b.value === undefined) return undefined
  const [one, other] = [
    { status: a.status, value: a.value },
    { status: b.status, value: b.value },
  ]
  const path = firstDifference(one, other, '$')
  return path === undefined ? undefined : { seq: a.seq, kind: 'state', path, a: one, b: other }
}

function sideOf(unit: Unit | undefined): JsonValue {
  return unit === undefined ? null : (JSON.parse(JSON.stringify(unitLine(unit))) as JsonValue)
}
