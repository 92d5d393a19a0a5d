import type { JsonValue } from '../../actors/contracts/json.ts'
import type { Beside, ParentLink } from '../../actors/contracts/store.ts'
import type { ChildPolicy, RunName } from '../../actors/contracts/unit.ts'
import { emptyBeside } from '../judge.ts'
import type { WrittenMarks } from './mail-marks.ts'
import { deepFreeze, readPosition, writtenPosition } from './record.ts'
import type { ForkAt, Row, WaitingMail } from './row.ts'

/** What a row's JSON in the heap says. What is absent is as in a new run. */
export interface HeapEntry {
  readonly key?: string
  readonly value?: JsonValue
  readonly beside?: WrittenBeside
  /** Places of the mail that waits, with its keys. */
  readonly waiting?: readonly WrittenWaiting[]
  readonly mails?: WrittenMarks
  readonly fork?: ForkAt
}

/** What is kept beside a history, without what is as in a new run. */
type WrittenBeside = Partial<Omit<Beside, 'sources' | 'refusals' | 'inbox' | 'waiting' | 'parent'>> & {
  readonly sources?: readonly (readonly [id: string, position: string | number])[]
  readonly parent?: WrittenParent
  readonly refusals?: readonly (Omit<Beside['refusals'][number], 'position'> & { readonly position: string | number })[]
}

/** A link, short: there are stores of a million children. The first child of a name has its own name. */
type WrittenParent = readonly [
  run: string,
  seq: number,
  index: number,
  policy: ChildPolicy,
  linked: boolean,
  restarts?: number,
  name?: RunName,
]

type WrittenWaiting = readonly [position: number, sender: string, seq: number, index: number, failure?: boolean]

/** The heap's JSON of a row. */
export function heapText({ namespace, key, value, beside, waiting, mails, fork }: Row): string {
  return JSON.stringify({
    key,
    value,
    beside: beside === emptyBeside ? undefined : written(beside, { namespace, key }),
    waiting: waiting.size === 0 ? undefined : waiting.first().map(writtenWaiting),
    mails,
    fork,
  })
}

function writtenWaiting({ position, sender, seq, index, failure }: WaitingMail): WrittenWaiting {
  return failure === undefined ? [position, sender, seq, index] : [position, sender, seq, index, failure]
}

/** The mail that waits, as it was. */
export function readWaiting(waiting: readonly WrittenWaiting[] = []): WaitingMail[] {
  return waiting.map(([position, sender, seq, index, failure]) =>
    failure === undefined ? { position, sender, seq, index } : { position, sender, seq, index, failure },
  )
}

function written(beside: Beside, own: OwnName): WrittenBeside {
  const { sources, outbox, published, mailing, mailed, returns, refusals, attempts, parked, held } = beside
  const { process, parent, linked } = beside
  const positions = Object.entries(sources).map(([id, position]) => [id, writtenPosition(position)] as const)
  return {
    ...(positions.length > 0 && { sources: positions }),
    ...(outbox.length > 0 && { outbox }),
    ...(published !== null && { published }),
    ...(mailing.length > 0 && { mailing }),
    ...(mailed !== null && { mailed }),
    ...(returns.length > 0 && { returns }),
    ...(refusals.length > 0 && {
      refusals: refusals.map(refusal => ({ ...refusal, position: writtenPosition(refusal.position) })),
    }),
    ...(Object.keys(attempts).length > 0 && { attempts }),
    ...(parked !== null && { parked }),
    ...(held && { held }),
    ...(process !== null && { process }),
    ...(parent !== null && { parent: writtenParent(parent, own) }),
    ...(linked && { linked }),
  }
}

/** The run's own name, as the row has it. */
type OwnName = Pick<Row, 'namespace' | 'key'>

function writtenParent(parent: ParentLink, own: OwnName): WrittenParent {
  const { run, seq, index, policy, linked, restarts, name } = parent
  const isOwn = name.namespace === own.namespace && name.key === own.key
  return isOwn && restarts === 0 ? [run, seq, index, policy, linked] : [run, seq, index, policy, linked, restarts, name]
}

function readParent([run, seq, index, policy, linked, restarts = 0, name]: WrittenParent, own: OwnName): ParentLink {
  return { name: name ?? { namespace: own.namespace, key: own.key! }, run, seq, index, policy, linked, restarts }
}

/** What is kept beside a history, as it was. */
export function readWritten(beside: WrittenBeside, own: OwnName): Beside {
  const { sources, refusals, attempts, parent } = beside
  const read = {
    ...emptyBeside,
    ...beside,
    sources: emptyBeside.sources,
    parent: parent === undefined ? null : readParent(parent, own),
    refusals: refusals?.map(entry => ({ ...entry, position: readPosition(entry.position) })) ?? emptyBeside.refusals,
    attempts: attempts === undefined ? emptyBeside.attempts : Object.assign(Object.create(null), attempts),
  }
  if (sources !== undefined) {
    const positions: Record<string, bigint | number> = Object.create(null)
    for (const [id, position] of sources) positions[id] = readPosition(position)
    read.sources = positions
  }
  return deepFreeze(read)
}
