import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { ObjectFormat } from '../../actors/contracts/unit.ts'
import { parseConfig } from './config.ts'
import { foreign } from './failures.ts'
import { initRepository } from './repository.ts'
import { checkFormat, readConfig, safeguards } from './repository-config.ts'

/** How the hook of ours begins: another one is never replaced. */
const mark = '# Written by `xmachines git init`.'

/** What {@link initLedger} makes. */
export interface LedgerOptions {
  /** The hash that it has to have. @default that of the repository, `'sha1'` for a new one */
  readonly objectFormat?: ObjectFormat | undefined
  /** Modules of machines, as absolute references: what is pushed must replay with them. */
  readonly machines: readonly string[]
}

/**
 * Makes a repository, or makes one that is there, take only what adds to runs: no push takes anything away, and one that
 * brings units is accepted when they replay. @throws STORE_FOREIGN where another hook is, or
 * refs are kept in a way that we cannot read; OBJECT_FORMAT_MISMATCH
 */
export async function initLedger(gitdir: string, { objectFormat, machines }: LedgerOptions): Promise<void> {
  await initRepository(gitdir, { bare: true, objectFormat: objectFormat ?? 'sha1' })
  const config = join(gitdir, 'config')
  const text = readFileSync(config, 'utf8')
  const found = readConfig(gitdir, text)
  checkFormat({ gitdir, ...found }, objectFormat ?? found.objectFormat)
  const values = parseConfig(text)
  const missing = safeguards.flatMap(([section, lines]) =>
    lines
      .filter(line => values.get(nameOf(section, line)) !== settingOf(line))
      .map(line => `[${section}]\n\t${line}\n`),
  )
  if (missing.length > 0) writeFileSync(config, `${text.replace(/\n*$/, '\n')}${missing.join('')}`)
  const path = join(gitdir, 'hooks', 'pre-receive')
  if (existsSync(path) && !readFileSync(path, 'utf8').includes(mark)) {
    throw foreign(path, 'is a hook of somebody else', 'Call `xmachines verify . --pushed` in it, or remove it.')
  }
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, hook(machines))
  chmodSync(path, 0o755)
}

function hook(machines: readonly string[]): string {
  const flags = machines.map(machine => ` --machine ${quoted(machine)}`).join('')
  return [
    '#!/bin/sh',
    mark,
    '# A push is taken only if it adds to runs and what it adds replays. XMACHINES names another command line.',
    `exec \${XMACHINES:-xmachines} verify . --pushed${flags}`,
    '',
  ].join('\n')
}

/** A text as one word of a shell. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}

function nameOf(section: string, line: string): string {
  return `${section}.${line.slice(0, line.indexOf(' '))}`.toLowerCase()
}

function settingOf(line: string): string {
  return line.slice(line.indexOf('= ') + 2)
}
