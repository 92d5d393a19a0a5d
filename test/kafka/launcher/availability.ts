import { isFetched } from './artifacts.ts'
import { missingJava } from './java.ts'
import { fullVersion } from './versions.ts'

/** Why tests cannot run on a version of Kafka, and what to do about it; or nothing. */
export function missingKafka(version?: string): string | undefined {
  const full = fullVersion(version)
  const java = missingJava()
  if (java !== undefined) return java
  return isFetched(full) ? undefined : `Kafka ${full} is not fetched: \`npm run kafka -- --fetch\` fetches it`
}
