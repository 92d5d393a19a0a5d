import { existsSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import type { ObjectFormat } from '../../actors/contracts/unit.ts'
import { XMachinesError } from '../../actors/errors.ts'
import { parseConfig } from './config.ts'
import { errnoOf, foreign } from './failures.ts'
import { type GitFiles, systemFiles } from './files.ts'
import { layoutVersion } from './layout.ts'
import { Objects } from './objects.ts'
import { Refs } from './refs.ts'

/** Where a repository is: its working directory (or a bare repository), or its Git directory. */
export type RepositoryPlace =
  | { readonly dir: string; readonly gitdir?: undefined }
  | { readonly gitdir: string; readonly dir?: undefined }

/** A repository that is open. */
export interface Repository {
  readonly gitdir: string
  readonly objectFormat: ObjectFormat
  readonly refs: Refs
  readonly objects: Objects
  /** Commits at which a shallow clone was cut off. */
  readonly shallow: ReadonlySet<string>
  /** Whether its configuration says that we write to it. */
  readonly ours: boolean
}

/** The Git directory of a place, whether there is one or not. @throws TypeError */
export function gitdirOf(place: RepositoryPlace): string {
  const { dir, gitdir } = place
  const given = gitdir ?? dir
  if (typeof given !== 'string' || given === '' || (dir !== undefined && gitdir !== undefined)) {
    throw new TypeError(`Expected one of \`dir\` and \`gitdir\` to be a path, got ${JSON.stringify(place)}.`)
  }
  if (gitdir !== undefined) return resolve(gitdir)
  return findGitdir(given) ?? resolve(given, '.git')
}

/** The Git directory of a directory: in it, or itself. `undefined`: it is no repository. */
export function findGitdir(dir: string): string | undefined {
  const inner = resolve(dir, '.git')
  const found = statSync(inner, { throwIfNoEntry: false })
  if (found?.isFile()) {
    const link = /^gitdir: (.+?)\n*$/.exec(readFileSync(inner, 'utf8'))?.[1]
    return link === undefined ? undefined : commonOf(resolve(dir, link))
  }
  if (isGitdir(inner)) return inner
  return isGitdir(dir) ? resolve(dir) : undefined
}

/** Whether Git would take it for one. */
function isGitdir(path: string): boolean {
  return ['HEAD', 'objects', 'refs'].every(name => existsSync(join(path, name)))
}

/** Of a linked working tree: the directory with what all of them share. */
function commonOf(gitdir: string): string {
  const common = textOf(join(gitdir, 'commondir'))?.trim()
  return common === undefined ? gitdir : resolve(gitdir, common)
}

/** How {@link openRepository} opens it. */
export interface OpenRepositoryOptions {
  readonly files?: GitFiles
  /** Folders of objects to look into before its own: what a push has brought and a hook is asked about. */
  readonly quarantine?: readonly string[]
}

/** Opens a repository. @throws STORE_MISSING, STORE_FOREIGN */
export function openRepository(gitdir: string, options: OpenRepositoryOptions = {}): Repository {
  const { files = systemFiles, quarantine = [] } = options
  if (!existsSync(gitdir)) {
    throw new XMachinesError('STORE_MISSING', `There is no repository at ${gitdir}. Check the path.`, {
      details: { path: gitdir },
    })
  }
  if (!isGitdir(gitdir)) throw foreign(gitdir, 'is no Git repository', 'Give the directory of one.')
  const config = parseConfig(textOf(join(gitdir, 'config')) ?? '')
  const version = config.get('xmachines.format')
  if (version !== undefined && version !== layoutVersion) {
    throw new XMachinesError(
      'STORE_FORMAT',
      `The repository ${gitdir} was written with layout ${version}; this version reads ${layoutVersion}. Use the version that wrote it.`,
      { details: { path: gitdir, version } },
    )
  }
  const objectFormat = objectFormatOf(gitdir, config)
  return {
    gitdir,
    objectFormat,
    refs: new Refs(gitdir, files),
    objects: new Objects([...quarantine, join(gitdir, 'objects')], objectFormat),
    shallow: new Set((textOf(join(gitdir, 'shallow')) ?? '').split('\n').filter(line => line !== '')),
    ours: version !== undefined,
  }
}

function objectFormatOf(gitdir: string, config: ReadonlyMap<string, string>): ObjectFormat {
  const refStorage = config.get('extensions.refstorage')
  if (refStorage !== undefined && refStorage !== 'files') {
    throw foreign(gitdir, `keeps its refs as '${refStorage}'`, 'Make a repository with --ref-format=files.', {
      refStorage,
    })
  }
  const found = config.get('extensions.objectformat') ?? 'sha1'
  if (found !== 'sha1' && found !== 'sha256') {
    throw foreign(gitdir, `has objects of format '${found}'`, 'Make one with sha1 or sha256.', { objectFormat: found })
  }
  return found
}

/** Makes a repository: what `git init` makes, with what keeps histories safe. Does nothing where one is. */
export async function initRepository(
  gitdir: string,
  { bare, objectFormat }: { readonly bare: boolean; readonly objectFormat: ObjectFormat },
  files: GitFiles = systemFiles,
): Promise<void> {
  if (isGitdir(gitdir)) return
  for (const folder of ['objects/info', 'objects/pack', 'refs/heads', 'refs/tags']) {
    await files.makeFolder(join(gitdir, folder))
  }
  await files.write(join(gitdir, 'config'), configText(bare, objectFormat), { exclusive: false })
  // Its head makes it a repository: what is cut off before is made again.
  await files.write(join(gitdir, 'HEAD'), 'ref: refs/heads/main\n', { exclusive: false })
  for (const folder of ['objects', 'refs', '.']) await files.syncFolder(join(gitdir, folder))
  await files.syncFolder(dirname(gitdir))
}

function configText(bare: boolean, objectFormat: ObjectFormat): string {
  const sha256 = objectFormat === 'sha256'
  return [
    '[core]',
    `\trepositoryformatversion = ${sha256 ? 1 : 0}`,
    '\tfilemode = true',
    `\tbare = ${bare}`,
    ...(sha256 ? ['[extensions]', '\tobjectformat = sha256'] : []),
    ...safeguards.flatMap(([section, values]) => [`[${section}]`, ...values.map(value => `\t${value}`)]),
    '',
  ].join('\n')
}

/** What Git does not do by itself: refs are synced like objects, and what is pushed is checked and only ever added. */
export const safeguards: readonly (readonly [section: string, values: readonly string[]])[] = [
  ['core', ['fsync = committed,reference']],
  ['receive', ['denyNonFastForwards = true', 'denyDeletes = true', 'fsckObjects = true']],
  ['xmachines', [`format = ${layoutVersion}`]],
]

function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return undefined
    throw error
  }
}
