/** The newest that runs on Java 17, and the old leg. Any other version may be named in full. */
export const newest = '4.4.0'
export const oldest = '3.9.2'

const short: Readonly<Record<string, string>> = { '4': newest, '4.4': newest, '3': oldest, '3.9': oldest }

/** @param version in full, or as short as `4` and `3.9` */
export function fullVersion(version: string = newest): string {
  const full = short[version] ?? version
  if (/^\d+\.\d+\.\d+$/.test(full)) return full
  throw new TypeError(
    `Expected a version of Kafka such as ${newest}, ${Object.keys(short).join(' or ')}; got ${version}.`,
  )
}
