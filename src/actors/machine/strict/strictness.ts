/** What a bundler replaces where it knows; elsewhere there may be no such thing. */
declare const process: { readonly env: Readonly<Record<string, string | undefined>> }

/** Which units are decided strictly: all, none, or each with this chance, from 0 to 1. */
export type Strictness = boolean | { readonly sample: number }

/**
 * The share of units that are decided strictly.
 * @throws TypeError for what is no strictness
 */
export function shareOf(strict: Strictness | undefined): number {
  if (strict === undefined) return isProduction() ? 0 : 1
  if (typeof strict === 'boolean') return strict ? 1 : 0
  const sample: unknown = typeof strict === 'object' && strict !== null ? strict.sample : undefined
  if (typeof sample === 'number' && sample >= 0 && sample <= 1) return sample
  const got = typeof strict === 'object' && strict !== null ? `{ sample: ${String(sample)} }` : String(strict)
  throw new TypeError(`Expected \`strict\` to be a boolean or { sample: a number from 0 to 1 }, got \`${got}\`.`)
}

function isProduction(): boolean {
  try {
    return process.env.NODE_ENV === 'production'
  } catch {
    return false // no `process`: nothing says that it is
  }
}
