import type { Beside, ParentLink } from '../actors/contracts/store.ts'
import type { ChildPolicy, RunName } from '../actors/contracts/unit.ts'
import { deepFreeze } from './deep-freeze.ts'
import { emptyBeside } from './judge.ts'
import { readPosition, writtenPosition } from './unit-text.ts'

/** What is kept beside a history, without what is as in a new run. */
export type WrittenBeside = Partial<Omit<Beside, 'sources' | 'refusals' | 'inbox' | 'waiting' | 'parent'>> & {
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

/** What is kept beside the history of a run, but for its inbox, as JSON. */
export function writtenBeside(beside: Beside, own: OwnName): WrittenBeside {
  const { sources, outbox, published, mailing, mailed, returns, refusals, attempts, parked, held } = beside
  const { process, owners, parent, linked } = beside
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
    ...(Object.keys(owners).length > 0 && { owners }),
    ...(parent !== null && { parent: writtenParent(parent, own) }),
    ...(linked && { linked }),
  }
}

/** The run's own name. */
export interface OwnName {
  readonly namespace: string
  readonly key?: string | undefined
}

function writtenParent(parent: ParentLink, own: OwnName): WrittenParent {
  const { run, seq, index, policy, linked, restarts, name } = parent
  const isOwn = name.namespace === own.namespace && name.key === own.key
  return isOwn && restarts === 0 ? [run, seq, index, policy, linked] : [run, seq, index, policy, linked, restarts, name]
}

function readParent([run, seq, index, policy, linked, restarts = 0, name]: WrittenParent, own: OwnName): ParentLink {
  return { name: name ?? { namespace: own.namespace, key: own.key! }, run, seq, index, policy, linked, restarts }
}

/** What is kept beside a history, as it was. */
export function readBeside(beside: WrittenBeside, own: OwnName): Beside {
  const { sources, refusals, attempts, owners, parent } = beside
  const read = {
    ...emptyBeside,
    ...beside,
    sources: emptyBeside.sources,
    parent: parent === undefined ? null : readParent(parent, own),
    refusals: refusals?.map(entry => ({ ...entry, position: readPosition(entry.position) })) ?? emptyBeside.refusals,
    attempts: attempts === undefined ? emptyBeside.attempts : Object.assign(Object.create(null), attempts),
    owners: owners === undefined ? emptyBeside.owners : Object.assign(Object.create(null), owners),
  }
  if (sources !== undefined) {
    const positions: Record<string, bigint | number> = Object.create(null)
    for (const [id, position] of sources) positions[id] = readPosition(position)
    read.sources = positions
  }
  return deepFreeze(read)
}
