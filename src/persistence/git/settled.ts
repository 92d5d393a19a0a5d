import { existsSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { textIfThere } from './existing-file.ts'
import type { GitFiles } from './files.ts'
import { ownFolder } from './layout.ts'
import { identityOf } from './packed-refs.ts'
import type { Refs } from './refs.ts'

/*
 * A close says in a note which journal and which refs it left behind, in step with each other. An open that finds both as
 * they were need not look at a single branch, however many there are. It is a cache: without it, or where anything has
 * changed since, the open looks.
 */

/** The note that a close leaves. */
export interface Settled {
  /** Whether journal and refs are as the last close left them. */
  holds(): boolean
  /** Notes that they are in step now. */
  note(files: GitFiles): Promise<void>
}

/** The note of a repository. @param journal its folder */
export function settled(gitdir: string, journal: string, refs: Refs): Settled {
  const path = join(gitdir, ownFolder, 'settled')
  const now = (): string | undefined =>
    refs.hasLoose() ? undefined : `${identityOf(join(gitdir, 'packed-refs'))}\n${logsOf(journal)}\n`
  return {
    holds() {
      const text = textIfThere(path)
      return text !== undefined && text === now()
    },
    async note(files) {
      // What others have set since the open, and Git has packed, nobody has compared with the journal.
      const text = refs.areOurs() ? now() : undefined
      if (text === undefined) await files.remove(path)
      else if (text !== textIfThere(path)) await files.write(path, text, { exclusive: false })
    },
  }
}

/** A log only grows: its length says whether it did. */
function logsOf(journal: string): string {
  const logs = (existsSync(journal) ? readdirSync(journal) : []).filter(name => name.startsWith('log-'))
  return logs.map(name => `${name} ${statSync(join(journal, name)).size}`).join(', ')
}
