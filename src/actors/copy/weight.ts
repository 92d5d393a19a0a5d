/** Roughly how many characters a value has as JSON: what it takes in memory, and on its way. */
export function weightOf(value: unknown): number {
  if (typeof value === 'string') return value.length + 2
  if (typeof value !== 'object' || value === null) return 8
  let weight = 2
  if (Array.isArray(value)) for (const part of value) weight += weightOf(part)
  else for (const key in value) weight += key.length + weightOf((value as Record<string, unknown>)[key])
  return weight
}
