import { XMachinesError } from '../../../actors/errors.ts'
import type { CallerFs, FsFiles } from './caller-fs.ts'

/*
 * Who has a repository open that lies in a file system of the caller's. Web Locks tell it over all tabs and workers of an
 * origin, and end with the page. They know nothing of the file system, in which another database may have the same path: so
 * the repository has an id of its own. Where there are none, as in a page that is not secure and in older Node, only the
 * stores of one `fs` are known to each other.
 */

/** What there is of `navigator.locks`. */
interface WebLocks {
  request(name: string, options: { ifAvailable: boolean }, work: (lock: unknown) => unknown): Promise<unknown>
}

type Release = () => Promise<void>

const idName = 'xmachines/id'
const here = new WeakMap<CallerFs, Set<string>>()

/**
 * Takes the sole use of a repository, until the release.
 *
 * @throws STORE_LOCKED
 */
export async function takeSoleUse(fs: CallerFs, files: FsFiles): Promise<Release> {
  const { gitdir } = files
  const taken = here.get(fs) ?? new Set()
  here.set(fs, taken)
  if (taken.has(gitdir)) throw locked(gitdir)
  taken.add(gitdir)
  try {
    const release = await takeInOrigin(files)
    return async () => {
      taken.delete(gitdir)
      await release()
    }
  } catch (error) {
    taken.delete(gitdir)
    throw error
  }
}

async function takeInOrigin(files: FsFiles): Promise<Release> {
  const { gitdir } = files
  const { locks } = (globalThis as { readonly navigator?: { readonly locks?: WebLocks } }).navigator ?? {}
  // A page without an origin has locks that refuse, and no storage that it could share either.
  const readsId = locks && (await request(locks, `xmachines ${gitdir}`, false).catch(() => undefined))
  if (readsId === undefined) return async () => {}
  try {
    const release = await request(locks!, `xmachines ${gitdir} ${await idOf(files)}`, true)
    if (release === undefined) throw locked(gitdir)
    return release
  } finally {
    await readsId()
  }
}

/** @param ifAvailable `undefined` where somebody has the lock, else it is waited for */
function request(locks: WebLocks, name: string, ifAvailable: boolean): Promise<Release | undefined> {
  return new Promise((resolve, reject) => {
    const ended = locks.request(name, { ifAvailable }, lock => {
      if (lock === null) return resolve(undefined)
      return new Promise<void>(end => {
        resolve(async () => {
          end()
          await ended
        })
      })
    })
    ended.catch(reject)
  })
}

/** Asked for by one at a time: two would make two. */
async function idOf(files: FsFiles): Promise<string> {
  const found = await files.text(idName)
  if (found?.endsWith('\n')) return found.trim()
  const made = Buffer.from(crypto.getRandomValues(new Uint8Array(16))).toString('hex')
  await files.write(idName, `${made}\n`)
  await files.flush()
  return made
}

function locked(gitdir: string): XMachinesError {
  return new XMachinesError(
    'STORE_LOCKED',
    `The repository ${gitdir} is open in another tab or worker, or in another store of this one. Close it there, and try again.`,
    { details: { path: gitdir } },
  )
}
