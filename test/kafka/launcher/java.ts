import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'

const folders = [
  ...(process.env.JAVA_HOME === undefined ? [] : [join(process.env.JAVA_HOME, 'bin')]),
  ...(process.env.PATH ?? '').split(delimiter),
]

/** A program of the machine, of `JAVA_HOME` first. */
function program(name: string): string | undefined {
  return folders.map(folder => join(folder, name)).find(path => existsSync(path))
}

let found: { readonly java?: string; readonly missing?: string } | undefined

function look(): { readonly java?: string; readonly missing?: string } {
  const java = program('java')
  const ask = '`node scripts/servers.mjs` installs it, or set JAVA_HOME'
  if (java === undefined) return { missing: `Java is not installed: ${ask}` }
  const said = spawnSync(java, ['-version'], { encoding: 'utf8' }).stderr ?? ''
  const version = Number(/version "(?:1\.)?(\d+)/.exec(said)?.[1] ?? 0)
  return version >= 17 ? { java } : { missing: `Kafka needs Java 17 or later, and ${java} is ${version}: ${ask}` }
}

/** Why Kafka cannot run here, if it cannot. */
export function missingJava(): string | undefined {
  found ??= look()
  return found.missing
}

/** The program that runs Kafka. */
export function java(): string {
  found ??= look()
  if (found.java === undefined) throw new Error(`${found.missing}.`)
  return found.java
}

/** Where Maven is, if anywhere: what `XM_MAVEN` says first. */
export const maven = (): string | undefined => process.env.XM_MAVEN ?? program('mvn')
