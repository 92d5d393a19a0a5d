import type { Beside, BesideChange, Mail, MailKey, Refusal } from '../contracts/store.ts'
import { keyOf, nameOf } from '../run/inbox.ts'

/** What a store is told of a run so that it keeps beside it what another store keeps. Not the mail in its inbox. */
export function besideDifference(have: Beside | undefined, want: Beside): BesideChange {
  const returns = difference(have?.returns ?? [], want.returns, nameOf)
  const refusals = difference(have?.refusals ?? [], want.refusals, nameOfRefusal)
  const gone = Object.keys(have?.attempts ?? {}).filter(key => !Object.hasOwn(want.attempts, key))
  return {
    sources: Object.entries(want.sources).map(([id, position]) => ({ id, position })),
    ...(want.published && { published: want.published }),
    ...(want.mailed && { mailed: want.mailed }),
    ...(returns.added.length > 0 && { returns: returns.added }),
    ...(returns.removed.length > 0 && { returned: returns.removed.map(keyOf) }),
    ...(refusals.added.length > 0 && { refused: refusals.added }),
    ...(refusals.removed.length > 0 && { acknowledged: refusals.removed }),
    attempts: Object.fromEntries([...Object.entries(want.attempts), ...gone.map(key => [key, null] as const)]),
    parked: want.parked,
    held: want.held,
    process: want.process,
    ...(want.linked && { linked: true }),
  }
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
