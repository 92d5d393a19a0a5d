export { type Archive, type ArchiveOptions, type ArchiveProgress, archive } from './archive.ts'
export { openClone } from './clone.ts'
export type { RepositoryPlace } from './repository.ts'
