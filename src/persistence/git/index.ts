export { type Archive, type ArchiveOptions, type ArchiveProgress, archive } from './archive.ts'
