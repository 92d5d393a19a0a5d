import type { ObjectFormat } from '../../actors/contracts/unit.ts'
import { foreign } from './failures.ts'
import { isId, isInTheWay, ownRef } from './layout.ts'

/** @throws STORE_FOREIGN for a branch where ours are, with a name that none of ours has or that none of ours can have beside it */
export function checkBranches(gitdir: string, format: ObjectFormat, names: Iterable<string>): void {
  for (const name of names) {
    if (isInTheWay(name))
      throw foreign(gitdir, `has a ref ${name}, where branches of ours would be`, 'Rename it.', { ref: name })
    const own = ownRef(name)
    if (own === undefined || own.kind === 'provenance' || isId(own.id, format)) continue
    throw foreign(gitdir, `has a branch ${name}, which names no ${own.kind}`, 'Rename that branch.', { ref: name })
  }
}
