export { type Archive, type ArchiveOptions, type ArchiveProgress, archive } from './archive.ts'
export { openClone } from './clone.ts'
export { type GitStoreOptions, gitStore } from './git-store.ts'
export type { RepositoryPlace } from './repository.ts'
