import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readFileSync, realpathSync } from 'node:fs'
import { basename, dirname, join, resolve, sep } from 'node:path'
import type { ObjectFormat } from '../../actors/contracts/unit.ts'
import { writeAfresh } from '../filesystem/files.ts'
import { parseConfig } from './config.ts'
import { foreign, writeFailure } from './failures.ts'
import { initRepository } from './repository.ts'
import { checkFormat, pushSafeguards, readConfig, safeguards, withSettings } from './repository-config.ts'

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
 * brings units is accepted when they replay. @throws STORE_FOREIGN where another hook is, where Git
 * would not run ours, or where refs are kept in a way that we cannot read; OBJECT_FORMAT_MISMATCH
 */
export async function initLedger(gitdir: string, { objectFormat, machines }: LedgerOptions): Promise<void> {
  await initRepository(gitdir, { bare: true, objectFormat: objectFormat ?? 'sha1' })
  const config = join(gitdir, 'config')
  const text = readFileSync(config, 'utf8')
  const found = readConfig(gitdir, text)
  checkFormat({ gitdir, ...found }, objectFormat ?? found.objectFormat)
  const path = join(hooksFolder(gitdir, text), 'pre-receive')
  const isSet = (there: string, wanted: string): boolean => there === wanted
  const changed = withSettings(text, [...safeguards, ...pushSafeguards], isSet)
  if (existsSync(path) && !readFileSync(path, 'utf8').includes(mark)) {
    throw foreign(
      path,
      'is a hook of somebody else',
      'Call `XMACHINES_PUSH=$PPID xmachines verify . --pushed` in it, or remove it.',
    )
  }
  try {
    if (changed !== undefined) writeAfresh(config, changed)
    mkdirSync(dirname(path), { recursive: true })
    writeAfresh(path, hook(machines))
    chmodSync(path, 0o755)
  } catch (error) {
    throw writeFailure(error, gitdir)
  }
}

function hook(machines: readonly string[]): string {
  const flags = machines.map(machine => ` --machine ${quoted(machine)}`).join('')
  return [
    '#!/bin/sh',
    mark,
    '# A push is taken only if it adds to runs and what it adds replays. XMACHINES names another command line.',
    '# Until the process that asks has set its refs, the next push waits.',
    'export XMACHINES_PUSH=$PPID',
    `exec \${XMACHINES:-xmachines} verify . --pushed${flags}`,
    '',
  ].join('\n')
}

/** A text as one word of a shell. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}

/**
 * Where Git looks for the hooks of a repository, which may be elsewhere for all repositories of a user. Git itself is asked:
 * its configuration is in several files.
 *
 * @throws STORE_FOREIGN where that is not in the repository: the hook would be run for others too
 */
function hooksFolder(gitdir: string, config: string): string {
  const asked = spawnSync('git', [`--git-dir=${gitdir}`, 'config', '--type=path', '--get', 'core.hooksPath'], {
    encoding: 'utf8',
  })
  const found =
    asked.status === 0 || asked.status === 1
      ? asked.stdout.replace(/\n$/, '')
      : parseConfig(config).get('core.hookspath')
  const folder = resolve(gitdir, found || 'hooks')
  // A text says nothing of where links lead.
  if (realPath(folder).startsWith(`${realPath(gitdir)}${sep}`)) return folder
  throw foreign(
    gitdir,
    `runs no hooks of its own: ${found ? `core.hooksPath is '${found}'` : 'its folder hooks is a link to another one'}`,
    `Let it run its own (a folder hooks in it, and git -C '${gitdir}' config core.hooksPath hooks) and try again, or call \`XMACHINES_PUSH=$PPID xmachines verify . --pushed\` in a pre-receive hook there.`,
    { hooksPath: found || 'hooks' },
  )
}

/** Where a path leads, of which the end may have to be made yet. */
function realPath(path: string): string {
  return existsSync(path) ? realpathSync(path) : join(realPath(dirname(path)), basename(path))
}
