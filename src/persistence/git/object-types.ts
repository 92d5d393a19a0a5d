import type { GitObjectType } from '../../actors/identity/git-objects.ts'

/** An object as it is kept, by whatever name it was asked for. */
export interface FoundObject {
  readonly type: GitObjectType | 'tag'
  readonly bytes: Uint8Array
}

/** What the types of entries mean, by their numbers. */
export const entryTypes: readonly (FoundObject['type'] | undefined)[] = [undefined, 'commit', 'tree', 'blob', 'tag']

/** What a file of one object says first: what it is, how long, and where its content starts. `undefined`: it is none. */
export function looseHead(
  bytes: Uint8Array,
): { readonly type: FoundObject['type']; readonly length: number; readonly start: number } | undefined {
  const [, name, length] = /^([a-z]+) (\d{1,15})\0/.exec(Buffer.from(bytes.subarray(0, 32)).toString('latin1')) ?? []
  const type = entryTypes.find(known => known === name)
  return type && { type, length: Number(length), start: `${name} ${length}\0`.length }
}
