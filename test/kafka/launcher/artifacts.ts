import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { exclusively } from '../../package/lock.ts'
import { maven } from './java.ts'

const cache = fileURLToPath(new URL('../../../.cache/kafka', import.meta.url))

/** Where the jars of a version are, or will be. */
export const artifacts = (version: string): string => join(cache, version)

/** Whether a version has been fetched. A folder gets its name when it is complete. */
export const isFetched = (version: string): boolean => existsSync(artifacts(version))

/** The classes of a started node as Java keeps them in memory: a start from them costs half. */
export const classArchive = (version: string): string => join(artifacts(version), 'classes.jsa')

/** Options of Java to start from the archive, if there is one. Another Java than that which made it goes without. */
export function sharedClasses(version: string): readonly string[] {
  const path = classArchive(version)
  return existsSync(path) ? [`-XX:SharedArchiveFile=${path}`] : []
}

/** Kafka and all it needs to run. What it logs with is not among that: the simplest that speaks its interface. */
const pom = (version: string): string => `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>xmachines</groupId>
  <artifactId>kafka</artifactId>
  <version>1</version>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>${version}</version></dependency>
    <dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version></dependency>
  </dependencies>
</project>
`

/** Fetches a version unless it is there. Others who want it wait; a fetch that was interrupted is begun anew. */
export async function fetchArtifacts(version: string): Promise<string> {
  const folder = artifacts(version)
  if (isFetched(version)) return folder
  return exclusively(`${folder}.lock`, async () => {
    if (isFetched(version)) return folder
    const mvn = maven()
    if (mvn === undefined) {
      throw new Error(
        `Maven, which fetches Kafka ${version}, is not installed: \`node scripts/servers.mjs\` installs it, or set XM_MAVEN.`,
      )
    }
    const part = `${folder}.part`
    rmSync(part, { recursive: true, force: true })
    mkdirSync(part, { recursive: true })
    writeFileSync(join(part, 'pom.xml'), pom(version))
    const goal = ['dependency:copy-dependencies', '-DincludeScope=runtime', `-DoutputDirectory=${part}`]
    try {
      await promisify(execFile)(mvn, ['--batch-mode', '--quiet', ...goal], { cwd: part })
    } catch (error) {
      const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string }
      throw new Error(`Maven could not fetch Kafka ${version}:\n${`${stdout}${stderr}`.trim()}`, { cause: error })
    }
    renameSync(part, folder)
    return folder
  })
}
