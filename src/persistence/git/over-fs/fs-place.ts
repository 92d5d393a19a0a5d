import type { ObjectFormat } from '../../../actors/contracts/unit.ts'
import { XMachinesError } from '../../../actors/errors.ts'
import { adoptRemotes, type OwnRepository } from '../adoption.ts'
import { Archiver } from '../archiver.ts'
import { readCommit } from '../branch.ts'
import { checkBranches } from '../branch-names.ts'
import { foreign } from '../failures.ts'
import { branchSeqs, catchUp, fill } from '../fill.ts'
import { ownRef, runPrefix } from '../layout.ts'
import type { Repository } from '../repository.ts'
import { checkFormat, configText, readConfig, safeguards, withSettings } from '../repository-config.ts'
import { RepositoryStore } from '../repository-store.ts'
import type { OpenPlace } from '../store.ts'
import { type CallerFs, FsFiles } from './caller-fs.ts'
import { FsRefs, fsDepot } from './fs-depot.ts'
import { LoggedStore } from './logged-store.ts'
import { LooseObjects } from './loose-objects.ts'
import { OperationLog } from './operation-log.ts'
import { takeSoleUse } from './sole-use.ts'

/** What {@link openFsPlace} opens. */
export interface FsPlaceSettings {
  readonly fs: CallerFs
  readonly place: { readonly dir: string } | { readonly gitdir: string }
  readonly objectFormat: ObjectFormat
}

/**
 * A repository in a file system of the caller's: the journal is a log of operations, repeated in memory at an open.
 *
 * @throws STORE_LOCKED, as far as the file system of one page or process can tell who else has it open
 */
export async function openFsPlace({ fs, place, objectFormat }: FsPlaceSettings): Promise<OpenPlace> {
  const { files, bare } = await placeOf(fs, place)
  // Before anything is made there: it may be another's.
  if (await isMade(files)) await check(files, objectFormat)
  const release = await takeSoleUse(fs, files)
  try {
    if (await isMade(files)) await check(files, objectFormat)
    else await init(files, bare, objectFormat)
    const { journal, archiver } = await openAlone(fs, files, objectFormat)
    return { journal, archiver, sideRefs: false, close: () => journal.close().finally(release) }
  } catch (error) {
    await release()
    throw error
  }
}

async function isMade(files: FsFiles): Promise<boolean> {
  return (await files.text('HEAD')) !== undefined
}

/** @throws STORE_FORMAT, STORE_FOREIGN, OBJECT_FORMAT_MISMATCH, STORE_UNSUPPORTED */
async function check(files: FsFiles, objectFormat: ObjectFormat): Promise<void> {
  const { gitdir } = files
  checkFormat({ gitdir, ...readConfig(gitdir, (await files.text('config')) ?? '') }, objectFormat)
  if ((await files.text('shallow')) !== undefined) {
    throw foreign(gitdir, 'is a shallow clone', 'Run `git fetch --unshallow` there first.')
  }
  if ((await files.text('objects/info/alternates'))?.trim()) {
    const message = `The repository ${gitdir} borrows objects of another one, which is not looked for in a file system of yours.`
    throw new XMachinesError(
      'STORE_UNSUPPORTED',
      `${message} Bring them in with \`git repack -ad\`, and remove objects/info/alternates.`,
      { details: { path: gitdir } },
    )
  }
}

/** Of one that nobody else has open. */
async function openAlone(
  fs: CallerFs,
  files: FsFiles,
  objectFormat: ObjectFormat,
): Promise<Pick<OpenPlace, 'journal' | 'archiver'>> {
  const { gitdir } = files
  const settings = (await files.text('config')) ?? ''
  const config = readConfig(gitdir, settings)
  const refs = new FsRefs(files)
  await refs.load()
  // Before any of them is read: a commit of somebody else's work would be taken for a damaged one of ours.
  checkBranches(gitdir, objectFormat, refs.all().keys())
  const objects = new LooseObjects(fs, files, objectFormat)
  const repository: OwnRepository = { gitdir, refs, objects, shallow: new Set(), ...config }
  const journal = new LoggedStore(new OperationLog(files), { location: gitdir, objectFormat })
  await journal.load()
  const branches = await loaded(repository, objects, journal)
  await fill(journal, new RepositoryStore(gitdir, () => repository), branches)
  const safe = withSettings(settings, safeguards)
  if (safe !== undefined) await files.write('config', safe)
  await adoptRemotes(journal, repository)
  const archiver = new Archiver(repository, fsDepot(files, refs, objects))
  await archiver.begin({ areOurs: true })
  await catchUp(archiver, journal, branchSeqs(repository))
  return { journal, archiver }
}

/** Loads where each branch stands, and all of what the journal has not got. */
async function loaded(
  repository: Repository,
  objects: LooseObjects,
  journal: LoggedStore,
): Promise<ReadonlyMap<string, number>> {
  const { refs } = repository
  let isAhead = false
  for (const [name, oid] of refs.all()) {
    const own = ownRef(name)
    if (own?.kind !== 'run') continue
    const { id: run, local } = own
    // A run that has a branch here is not looked for elsewhere.
    if (!local && refs.get(runPrefix + run) !== undefined) continue
    await objects.load(oid, { history: false })
    if (local && ((await journal.head(run))?.seq ?? -1) >= readCommit(repository, run, oid).seq) continue
    isAhead = true
    await objects.load(oid, { history: true })
  }
  // What was recorded may stand in any flush.
  for (const [name, oid] of isAhead ? refs.all() : [])
    if (ownRef(name)?.kind !== undefined) await objects.load(oid, { history: true })
  return branchSeqs(repository)
}

async function placeOf(
  fs: CallerFs,
  place: { readonly dir: string } | { readonly gitdir: string },
): Promise<{ readonly files: FsFiles; readonly bare: boolean }> {
  const path = ('gitdir' in place ? place.gitdir : place.dir).replace(/(.)\/+$/, '$1')
  const itself = new FsFiles(fs, path)
  if ('gitdir' in place) return { files: itself, bare: true }
  // A directory that is a repository itself is a bare one.
  if ((await itself.text('HEAD')) !== undefined) return { files: itself, bare: true }
  return { files: new FsFiles(fs, `${path === '/' ? '' : path}/.git`), bare: false }
}

async function init(files: FsFiles, bare: boolean, objectFormat: ObjectFormat): Promise<void> {
  for (const folder of ['objects/info', 'objects/pack', 'refs/heads', 'refs/tags']) await files.makeFolder(folder)
  await files.write('config', configText(bare, objectFormat))
  // Its head makes it a repository: what is cut off before is made again.
  await files.write('HEAD', 'ref: refs/heads/main\n')
  await files.flush()
}
