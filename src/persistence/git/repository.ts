import { existsSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import type { ObjectFormat } from '../../actors/contracts/unit.ts'
import { XMachinesError } from '../../actors/errors.ts'
import { textIfThere } from './existing-file.ts'
import { foreign } from './failures.ts'
import { type GitFiles, systemFiles } from './files.ts'
import { Objects } from './objects.ts'
import { checkPlace, type RepositoryPlace } from './place.ts'
import { Refs } from './refs.ts'
import { configText, readConfig } from './repository-config.ts'

/** A repository that is open. */
export interface Repository {
  readonly gitdir: string
  readonly objectFormat: ObjectFormat
  readonly refs: Pick<Refs, 'all' | 'get'>
  readonly objects: Pick<Objects, 'format' | 'gaps' | 'read' | 'close'>
  /** Commits at which a shallow clone was cut off. */
  readonly shallow: ReadonlySet<string>
  /** Whether its configuration says that we write to it. */
  readonly ours: boolean
}

/** One in files of Node, which can be written to. */
export interface NodeRepository extends Repository {
  readonly refs: Refs
  readonly objects: Objects
}

/** The Git directory of a place, whether there is one or not. @throws TypeError */
export function gitdirOf({ dir, gitdir }: RepositoryPlace): string {
  checkPlace({ dir, gitdir })
  if (gitdir !== undefined) return resolve(gitdir)
  return findGitdir(dir!) ?? resolve(dir!, '.git')
}

/** The Git directory of a directory: in it, or itself. `undefined`: it is no repository. */
export function findGitdir(dir: string): string | undefined {
  const inner = resolve(dir, '.git')
  if (existsSync(inner) && statSync(inner).isFile()) {
    const link = /^gitdir: (.+?)\n*$/.exec(readFileSync(inner, 'utf8'))?.[1]
    return link === undefined ? undefined : commonOf(resolve(dir, link))
  }
  if (isGitdir(inner)) return inner
  // The Git directory of a linked working tree, in which Git runs the hooks of a push to it.
  const common = commonOf(resolve(dir))
  return isGitdir(common) ? common : undefined
}

/** Whether Git would take it for one. */
function isGitdir(path: string): boolean {
  return ['HEAD', 'objects', 'refs'].every(name => existsSync(join(path, name)))
}

/** Of a linked working tree: the directory with what all of them share. */
function commonOf(gitdir: string): string {
  const common = textIfThere(join(gitdir, 'commondir'))?.trim()
  return common === undefined ? gitdir : resolve(gitdir, common)
}

/** How {@link openRepository} opens it. */
export interface OpenRepositoryOptions {
  readonly files?: GitFiles
  /** Folders of objects to look into before its own: what a push has brought and a hook is asked about. */
  readonly quarantine?: readonly string[]
}

/** @throws STORE_MISSING, STORE_FOREIGN */
export function checkRepository(gitdir: string): void {
  if (!existsSync(gitdir)) {
    throw new XMachinesError('STORE_MISSING', `There is no repository at ${gitdir}. Check the path.`, {
      details: { path: gitdir },
    })
  }
  if (!isGitdir(gitdir)) throw foreign(gitdir, 'is no Git repository', 'Give the directory of one.')
}

/** Opens a repository. @throws STORE_MISSING, STORE_FOREIGN */
export function openRepository(gitdir: string, options: OpenRepositoryOptions = {}): NodeRepository {
  const { files = systemFiles, quarantine = [] } = options
  checkRepository(gitdir)
  const { objectFormat, ours, isPartial } = readConfig(gitdir, textIfThere(join(gitdir, 'config')) ?? '')
  const gaps = isPartial ? 'partial' : quarantine.length > 0 ? 'pushed' : undefined
  return {
    gitdir,
    objectFormat,
    refs: new Refs(gitdir, files),
    objects: new Objects([...quarantine, join(gitdir, 'objects')], objectFormat, gaps),
    shallow: new Set((textIfThere(join(gitdir, 'shallow')) ?? '').split('\n').filter(line => line !== '')),
    ours,
  }
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
