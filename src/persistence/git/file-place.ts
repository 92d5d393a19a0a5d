import { join } from 'node:path'
import type { Store } from '../../actors/contracts/store.ts'
import type { ObjectFormat } from '../../actors/contracts/unit.ts'
import { fileStore } from '../filesystem/index.ts'
import { adoptRemotes } from './adoption.ts'
import { RepositoryWriter } from './archive.ts'
import { type GitFiles, systemFiles } from './files.ts'
import { branchSeqs, catchUp, compareHeads, fill } from './fill.ts'
import { journalFolder } from './layout.ts'
import type { NodeRepository } from './repository.ts'
import { RepositoryStore } from './repository-store.ts'
import { type Settled, settled } from './settled.ts'
import type { OpenPlace } from './store.ts'

/** What {@link openFilePlace} opens. */
export interface FilePlaceSettings {
  readonly gitdir: string
  readonly bare: boolean
  readonly objectFormat: ObjectFormat
  readonly fsync: boolean
  readonly files?: GitFiles
  /** Opens the journal: what tests replace to let its files fail. */
  readonly openJournal?: (dir: string) => Store
  readonly onWarning: (warning: { readonly code: string; readonly message: string }) => void
}

/** A repository in files of Node, with a file store as its journal. */
export async function openFilePlace(settings: FilePlaceSettings): Promise<OpenPlace> {
  const { gitdir, bare, objectFormat, fsync, files = systemFiles, onWarning } = settings
  const dir = join(gitdir, journalFolder)
  const stepOf = ({ refs }: NodeRepository): Settled => settled(gitdir, dir, refs)
  const writer = await RepositoryWriter.open(gitdir, {
    bare,
    source: { objectFormat },
    files,
    areOurs: opened => stepOf(opened).holds(),
  })
  const { archiver, repository } = writer
  const inStep = stepOf(repository)
  const { openJournal = () => fileStore(dir, { objectFormat, fsync, onWarning }) } = settings
  const journal = openJournal(dir)
  try {
    await journal.append([])
    if (!inStep.holds()) {
      const branches = branchSeqs(repository)
      if (!repository.refs.areOurs()) await compareHeads(journal, repository, branches)
      await fill(journal, new RepositoryStore(gitdir, () => repository), branches)
      await repository.refs.trust()
      await adoptRemotes(journal, repository)
      await catchUp(archiver, journal, branchSeqs(repository))
    }
  } catch (error) {
    await journal.close()
    await writer.close()
    throw error
  }
  return {
    journal,
    archiver,
    sideRefs: true,
    async close(complete) {
      await journal.close()
      // A log that is not synced may lose its end, and be as long as before.
      if (complete && fsync) await inStep.note(files).catch(() => {})
      await writer.close()
    },
  }
}
