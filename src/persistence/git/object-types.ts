import type { GitObjectType } from '../../actors/identity/git-objects.ts'

/** An object as it is kept, by whatever name it was asked for. */
export interface FoundObject {
  readonly type: GitObjectType | 'tag'
  readonly bytes: Uint8Array
}

/** What the types of entries mean, by their numbers. */
export const entryTypes: readonly (FoundObject['type'] | undefined)[] = [undefined, 'commit', 'tree', 'blob', 'tag']
