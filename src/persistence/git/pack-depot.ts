import type { Depot } from './depot.ts'
import type { GitFiles } from './files.ts'
import { PackBatch } from './pack-batch.ts'
import { PackingThread } from './packing-thread.ts'
import { Packs } from './packs.ts'
import { publishPack } from './publication.ts'
import type { Refs } from './refs.ts'
import type { Repository } from './repository.ts'

/** Writes a pack for what belongs together, and sets refs in one write of packed-refs. */
export function packDepot(
  { gitdir, objectFormat }: Repository,
  refs: Refs,
  files: GitFiles,
  thread = new PackingThread(),
): Depot {
  const packs = new Packs(gitdir, objectFormat, files)
  return {
    async begin() {
      await refs.begin()
      await packs.removeLeftovers()
    },
    batch: () => new PackBatch(objectFormat, thread),
    async publish(batch, changes) {
      const { release } = await publishPack(files, packs.folder, await (batch as PackBatch).finish())
      await refs.set(changes)
      await release()
    },
    tidy: () => packs.merge(),
    close: () => thread.close(),
  }
}
