import { createHash } from 'node:crypto'
import * as fs from 'node:fs'
import { connect, createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { XMachinesError } from '../../actors/errors.ts'
import { errnoOf } from './failures.ts'
import { writeAfresh } from './files.ts'
import { lockName, sortEntries, writerNote } from './layout.ts'

/*
 * Who writes to a store: one process, known to be alive by the system itself, never by an age or a process number.
 *
 * Linux and other Unix: a Unix socket in the directory on which the writer listens. Whoever connects to it learns from
 * the kernel whether that process lives: the socket dies with it, and nobody can bring it back to life. A dead one is
 * never removed to make place (two starters could remove each other's); each writer takes the next number:
 *
 *   1. look for the highest number; if its socket answers, the store is locked;
 *   2. listen on a socket of a private name, then link it to the next number: only one process can;
 *   3. look again: if there is a higher number by now, somebody was faster, and removed what stood in the way of the
 *      link. Remove the link and begin anew.
 *
 * The highest number is never removed, so two that begin at the same place meet at the same link. A writer that closes
 * puts an ordinary file in place of its socket, which copies and backups take without complaint.
 * Sockets in a directory are found from every network namespace, so containers on one machine may share a volume. The
 * lock does not reach over a network file system to another machine.
 *
 * macOS and BSD: the same file, opened with the system's own exclusive lock (`O_EXLOCK`). Windows: a named pipe, of which
 * there can be only one. Both end with the process.
 */

const hasExclusiveOpen = ['darwin', 'freebsd', 'openbsd', 'netbsd'].includes(process.platform)
const hasDescriptorPaths = fs.existsSync('/proc/self/fd')

/** A lock that is held. */
export interface WriterLock {
  /** Gives it up. */
  release(): Promise<void>
}

/**
 * Takes the lock of a store.
 *
 * @throws STORE_LOCKED that tells who has it
 */
export function takeLock(dir: string): Promise<WriterLock> {
  if (process.platform === 'win32') return takePipe(dir)
  return hasExclusiveOpen ? takeExclusive(dir) : takeSocket(dir)
}

/** Whether some process holds the lock of a store. */
export async function isLocked(dir: string): Promise<boolean> {
  if (process.platform === 'win32') return answers(pipeOf(dir))
  if (hasExclusiveOpen) return exclusiveIsTaken(dir)
  const view = new SocketDirectory(dir)
  try {
    return await view.isAlive(view.highest())
  } finally {
    view.close()
  }
}

async function takeSocket(dir: string): Promise<WriterLock> {
  const view = new SocketDirectory(dir)
  try {
    const own = `.writer-${process.pid}-${randomName()}.sock`
    const server = await listen(view.path(own))
    try {
      for (;;) {
        const before = view.highest()
        if (await view.isAlive(before)) throw locked(dir)
        const generation = before + 1
        if (!view.link(own, generation)) continue
        if (view.highest() > generation) {
          view.remove(lockName(generation))
          continue
        }
        view.remove(own)
        for (const dead of view.generations()) if (dead < generation) view.remove(lockName(dead))
        writeNote(dir)
        const { ino } = fs.statSync(join(dir, lockName(generation)))
        return { release: () => releaseSocket(dir, server, generation, ino) }
      }
    } catch (error) {
      await closeServer(server)
      view.remove(own)
      throw error
    }
  } finally {
    view.close()
  }
}

/**
 * First something that does not answer takes the number, then the socket ends: the number is never free. Where the directory
 * was removed and made again meanwhile, the number is another writer's.
 */
async function releaseSocket(dir: string, server: Server, generation: number, ino: number): Promise<void> {
  const temporary = join(dir, `.${lockName(generation)}`)
  const lock = join(dir, lockName(generation))
  try {
    if (fs.statSync(lock).ino === ino) {
      writeAfresh(temporary, '')
      fs.renameSync(temporary, lock)
      fs.rmSync(join(dir, writerNote), { force: true })
    }
  } catch {
    // A dead socket says the same as the file would.
  }
  await closeServer(server)
}

/** The locks of a directory, where possible by paths that are short enough for sockets: these have room for 107 bytes only. */
class SocketDirectory {
  readonly #dir: string
  readonly #descriptor: number

  constructor(dir: string) {
    this.#dir = dir
    this.#descriptor = fs.openSync(dir, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY)
  }

  path(name: string): string {
    return hasDescriptorPaths ? `/proc/self/fd/${this.#descriptor}/${name}` : join(this.#dir, name)
  }

  generations(): readonly number[] {
    return sortEntries(fs.readdirSync(this.#dir)).locks
  }

  highest(): number {
    return this.generations().at(-1) ?? 0
  }

  /** Whether the writer of a generation lives. */
  async isAlive(generation: number): Promise<boolean> {
    return generation > 0 && answers(this.path(lockName(generation)))
  }

  /** Gives a socket the number of a generation, unless that is taken. */
  link(own: string, generation: number): boolean {
    try {
      fs.linkSync(join(this.#dir, own), join(this.#dir, lockName(generation)))
      return true
    } catch (error) {
      if (errnoOf(error) === 'EEXIST') return false
      throw error
    }
  }

  remove(name: string): void {
    fs.rmSync(join(this.#dir, name), { force: true })
  }

  close(): void {
    fs.closeSync(this.#descriptor)
  }
}

/** Whether somebody listens at `path`. Only the system's refusal says no: a busy or halted process is a living one. */
function answers(path: string): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(path)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', error => {
      socket.destroy()
      resolve(!['ECONNREFUSED', 'ENOENT', 'ENOTSOCK'].includes(errnoOf(error) ?? ''))
    })
  })
}

/** Listens at `path`, for this process only (not shared among a cluster's), and without keeping it alive. */
function listen(path: string): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer(socket => socket.destroy())
    server.once('error', reject)
    server.listen({ path, exclusive: true }, () => resolve(server))
    server.unref()
  })
}

function closeServer(server: Server): Promise<void> {
  return new Promise(resolve => {
    server.close(() => resolve())
  })
}

async function takePipe(dir: string): Promise<WriterLock> {
  try {
    const server = await listen(pipeOf(dir))
    writeNote(dir)
    return { release: () => closeServer(server) }
  } catch (error) {
    if (errnoOf(error) === 'EADDRINUSE' || errnoOf(error) === 'EACCES') throw locked(dir)
    throw error
  }
}

function pipeOf(dir: string): string {
  return `\\\\.\\pipe\\xmachines-${createHash('sha256').update(fs.realpathSync.native(dir)).digest('hex')}`
}

/** Not among Node's constants: the same on all systems that have it. */
const exclusively = 0x20

async function takeExclusive(dir: string): Promise<WriterLock> {
  const { O_RDWR, O_CREAT, O_NONBLOCK } = fs.constants
  try {
    const descriptor = fs.openSync(join(dir, lockName(1)), O_RDWR | O_CREAT | O_NONBLOCK | exclusively)
    writeNote(dir)
    return { release: async () => fs.closeSync(descriptor) }
  } catch (error) {
    if (errnoOf(error) === 'EAGAIN' || errnoOf(error) === 'EWOULDBLOCK') throw locked(dir)
    throw error
  }
}

function exclusiveIsTaken(dir: string): boolean {
  try {
    fs.closeSync(fs.openSync(join(dir, lockName(1)), fs.constants.O_RDWR | fs.constants.O_NONBLOCK | exclusively))
    return false
  } catch (error) {
    return errnoOf(error) !== 'ENOENT'
  }
}

function randomName(): string {
  return Buffer.from(crypto.getRandomValues(new Uint8Array(8))).toString('hex')
}

/** For people and messages only. */
function writeNote(dir: string): void {
  try {
    const note = { pid: process.pid, since: new Date().toISOString() }
    writeAfresh(join(dir, writerNote), `${JSON.stringify(note)}\n`)
  } catch {
    // Nothing depends on it.
  }
}

function locked(dir: string): XMachinesError {
  let owner: { readonly pid?: unknown; readonly since?: unknown } = {}
  try {
    owner = JSON.parse(fs.readFileSync(join(dir, writerNote), 'utf8'))
  } catch {
    // It began this very moment, or could not write its note.
  }
  const who = owner.pid === undefined ? 'another process' : `process ${owner.pid} (since ${owner.since})`
  // Numbers are of a container: another one may have a process of the same.
  const next =
    owner.pid === process.pid
      ? 'If that is this process, such as after a module was loaded again, keep its store (on globalThis) and pass that on, or close it first. If not, stop it'
      : 'Stop it'
  return new XMachinesError(
    'STORE_LOCKED',
    `The store ${dir} is written to by ${who}. ${next}, or open the store with readOnly: true.`,
    { details: { path: dir, ...owner } },
  )
}
