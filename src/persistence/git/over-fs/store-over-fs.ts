import type { Store } from '../../../actors/contracts/store.ts'
import { XMachinesError } from '../../../actors/errors.ts'
import { checkOptions, type GitStoreOptions, type OnWarning } from '../git-store-options.ts'
import { checkPlace } from '../place.ts'
import { GitStore } from '../store.ts'
import { asCallerFs } from './caller-fs.ts'

/**
 * A store in a repository that lies in a file system of the caller's, loaded where it is wanted. The paths are that file system's
 * own: nothing is resolved.
 *
 * @throws TypeError for an option that makes no sense; LIBRARY_MISSING where there is no `Buffer`
 */
export function storeOverFs(options: GitStoreOptions, warn: OnWarning): Store {
  checkOptions(options)
  const fs = asCallerFs(options.fs)
  const { dir, gitdir, objectFormat = 'sha1', interval = 1000, onWarning = warn } = options
  checkPlace({ dir, gitdir })
  if (typeof globalThis.Buffer === 'undefined') throw noBuffer()
  const place = gitdir === undefined ? { dir: dir! } : { gitdir }
  const open = async () => (await import('./fs-place.ts')).openFsPlace({ fs, place, objectFormat })
  return new GitStore({ gitdir: gitdir ?? dir!, objectFormat, interval, onWarning, open })
}

function noBuffer(): XMachinesError {
  return new XMachinesError(
    'LIBRARY_MISSING',
    "There is no `Buffer` here, which the Git store needs as isomorphic-git does. Install it (npm install buffer), and set it first: import { Buffer } from 'buffer'; globalThis.Buffer = Buffer.",
    { details: { package: 'buffer' } },
  )
}
