import type { JsonValue } from '../../actors/contracts/json.ts'
import type { Beside } from '../../actors/contracts/store.ts'
import { emptyBeside } from '../judge.ts'
import { deepFreeze, readPosition, writtenPosition } from './record.ts'
import type { ForkAt, MailMarks, Row } from './row.ts'

/** What a row's JSON in the heap says. What is absent is as in a new run. */
export interface HeapEntry {
  readonly key?: string
  readonly value?: JsonValue
  readonly beside?: WrittenBeside
  readonly mails?: MailMarks
  readonly fork?: ForkAt
}

/** What is kept beside a history, without what is as in a new run. */
type WrittenBeside = Partial<Omit<Beside, 'sources' | 'refusals'>> & {
  readonly sources?: readonly (readonly [id: string, position: string | number])[]
  readonly refusals?: readonly (Omit<Beside['refusals'][number], 'position'> & { readonly position: string | number })[]
}

/** The heap's JSON of a row. */
export function heapText({ key, value, beside, mails, fork }: Row): string {
  return JSON.stringify({ key, value, beside: beside === emptyBeside ? undefined : written(beside), mails, fork })
}

function written({
  sources,
  outbox,
  published,
  inbox,
  mailing,
  mailed,
  returns,
  refusals,
  attempts,
  parked,
  held,
  process,
  parent,
  linked,
}: Beside): WrittenBeside {
  const positions = Object.entries(sources).map(([id, position]) => [id, writtenPosition(position)] as const)
  return {
    ...(positions.length > 0 && { sources: positions }),
    ...(outbox.length > 0 && { outbox }),
    ...(published !== null && { published }),
    ...(inbox.length > 0 && { inbox }),
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
    ...(parent !== null && { parent }),
    ...(linked && { linked }),
  }
}

/** What is kept beside a history, as it was. */
export function readWritten(beside: WrittenBeside): Beside {
  const { sources, refusals, attempts } = beside
  const read = {
    ...emptyBeside,
    ...beside,
    sources: emptyBeside.sources,
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
