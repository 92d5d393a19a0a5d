import type { Beside, BesideChange, Mail, MailKey, Refusal } from '../contracts/store.ts'
import { keyOf, nameOf } from '../run/inbox.ts'

/** What a store is told of a run so that it keeps beside it what another store keeps. Not the mail in its inbox. */
export function besideDifference(have: Beside | undefined, want: Beside): BesideChange {
  const returns = difference(have?.returns ?? [], want.returns, nameOf)
  const refusals = difference(have?.refusals ?? [], want.refusals, nameOfRefusal)
  return {
    sources: Object.entries(want.sources).map(([id, position]) => ({ id, position })),
    ...(want.published && { published: want.published }),
    ...(want.mailed && { mailed: want.mailed }),
    ...(returns.added.length > 0 && { returns: returns.added }),
    ...(returns.removed.length > 0 && { returned: returns.removed.map(keyOf) }),
    ...(refusals.added.length > 0 && { refused: refusals.added }),
    ...(refusals.removed.length > 0 && { acknowledged: refusals.removed }),
    attempts: named(have?.attempts, want.attempts),
    parked: want.parked,
    held: want.held,
    process: want.process,
    owners: named(have?.owners, want.owners),
    ...(want.linked && { linked: true }),
  }
}

/** Entries by the keys of invocations: those that are wanted, and which are to go. */
function named<T>(have: Readonly<Record<string, T>> = {}, want: Readonly<Record<string, T>>): Record<string, T | null> {
  const gone = Object.keys(have).filter(key => !Object.hasOwn(want, key))
  return Object.fromEntries<T | null>([...Object.entries(want), ...gone.map(key => [key, null] as const)])
}

/** What enters an inbox, and what leaves it. */
export function inboxDifference(have: readonly Mail[], want: readonly Mail[]): { added: Mail[]; removed: MailKey[] } {
  const { added, removed } = difference(have, want, nameOf)
  return { added, removed: removed.map(keyOf) }
}

function difference<T>(have: readonly T[], want: readonly T[], name: (of: T) => string): { added: T[]; removed: T[] } {
  const [here, there] = [new Set(have.map(name)), new Set(want.map(name))]
  return { added: want.filter(entry => !here.has(name(entry))), removed: have.filter(entry => !there.has(name(entry))) }
}

function nameOfRefusal({ id, position }: Refusal): string {
  return `${position}/${id}`
}
