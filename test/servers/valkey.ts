import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { Redis } from 'iovalkey'
import { freePort } from './free-port.ts'

const newest = fileURLToPath(new URL('../../.cache/valkey/usr/bin/valkey-server', import.meta.url))
const places = ['/usr/local/bin', '/usr/bin', '/usr/sbin', '/opt/homebrew/bin', '/opt/valkey/bin', '/opt/redis/bin']

/** XM_VALKEY_SERVER names another server than the first that is found. */
function find(): string | undefined {
  const given = process.env.XM_VALKEY_SERVER
  if (given !== undefined) return given
  const folders = [...(process.env.PATH ?? '').split(delimiter), ...places]
  const paths = ['valkey-server', 'redis-server'].flatMap(name => folders.map(folder => join(folder, name)))
  return paths.find(path => existsSync(path))
}

/** The servers that tests run on which hold the store to its contract: a Redis and a Valkey know other commands. */
export function valkeyServers(): readonly { readonly name: string; readonly program: string }[] {
  const program = find()
  if (program === undefined) return []
  const system = { name: 'the server of the system', program }
  if (existsSync(newest)) return [system, { name: 'the newest Valkey', program: newest }]
  if (!program.endsWith('valkey-server')) {
    const message =
      'the newest Valkey is not there: `node scripts/servers.mjs --newest` fetches it, where Debian has it'
    if (process.env.CI === 'true' && existsSync('/etc/debian_version')) throw new Error(message)
    console.warn(`SKIPPED: ${message}`)
  }
  return [system]
}

/** Why there is no server; or nothing. */
export function missingValkey(): string | undefined {
  if (find() !== undefined) return undefined
  return 'neither valkey-server nor redis-server is here: `node scripts/servers.mjs` installs it, or set XM_VALKEY_SERVER'
}

/** Whether there is a server, for tests that need several kinds. With `CI=true` there has to be one. */
export function hasValkey(): boolean {
  const missing = missingValkey()
  if (missing === undefined) return true
  if (process.env.CI === 'true') throw new Error(missing)
  console.warn(`SKIPPED: ${missing}`)
  return false
}

/** What the stores want, unless a test wants otherwise. */
const defaults = { appendonly: 'yes', appendfsync: 'always', save: '' }

/** Starts a server that ends, and its folder with it, when whoever holds the standard input ends without a word: also when that is killed. */
const guard = `dir=$1; shift; "$@" & server=$!; echo "pid $server"; read word; exec 2>/dev/null
kill -9 $server; wait $server; if [ "$word" != keep ]; then rm -rf "$dir"; fi; exit 0`

/** A server of a test's own: on a free port, in a folder of its own. */
export class ValkeyServer {
  readonly dir = mkdtempSync(join(tmpdir(), 'xmachines-valkey-'))
  readonly port: number
  readonly #settings: Readonly<Record<string, string>>
  readonly #program: string
  #process: ChildProcess | undefined
  #pid = 0

  private constructor(port: number, settings: Readonly<Record<string, string>>, program: string) {
    this.port = port
    this.#program = program
    this.#settings = { ...defaults, ...settings }
  }

  /** Starts one. @param settings as in its configuration file @param program what is started */
  static async start(settings: Readonly<Record<string, string>> = {}, program = find()!): Promise<ValkeyServer> {
    for (let attempt = 1; ; attempt++) {
      const server = new ValkeyServer(await freePort(), settings, program)
      try {
        await server.restart()
        return server
      } catch (error) {
        await server.stop()
        // Somebody may have taken the port.
        if (attempt === 3) throw error
      }
    }
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`
  }

  /** A client of the test's own. */
  client(): Redis {
    const client = new Redis(this.url, { maxRetriesPerRequest: 0 })
    client.on('error', () => {})
    return client
  }

  /** Starts it again in its folder, after it was killed. Resolves when it takes commands. */
  async restart(): Promise<void> {
    const settings = Object.entries({ ...this.#settings, dir: this.dir, port: `${this.port}`, bind: '127.0.0.1' })
    const args = settings.flatMap(([name, value]) => [`--${name}`, value])
    const command = [this.#program, ...args, '--daemonize', 'no']
    const server = spawn('sh', ['-c', guard, 'sh', this.dir, ...command], { stdio: ['pipe', 'pipe', 'inherit'] })
    this.#process = server
    const said: string[] = []
    const lines = createInterface({ input: server.stdout! })
    await new Promise<void>((resolve, reject) => {
      lines.on('line', line => {
        said.push(line)
        const pid = /^pid (\d+)$/.exec(line)?.[1]
        if (pid !== undefined) this.#pid = Number(pid)
        if (line.includes('Ready to accept connections')) resolve()
      })
      const watch = (): void => {
        if (said.some(line => /Failed|Fatal|exiting/i.test(line))) reject(new Error(said.slice(-5).join('\n')))
      }
      lines.on('line', watch)
      server.once('error', reject)
      server.once('exit', () => reject(new Error(`The server ended: ${said.slice(-5).join('\n')}`)))
    })
  }

  /** Kills it where it stands. Resolves when it is gone. */
  async kill(): Promise<void> {
    const server = this.#process
    if (server === undefined) return
    this.#process = undefined
    const ended = server.exitCode === null ? new Promise(resolve => server.once('exit', resolve)) : undefined
    process.kill(this.#pid, 'SIGKILL')
    server.stdin!.end('keep\n')
    await ended
  }

  /** Lets it neither answer nor die, until it may go on. */
  pause(): { goOn(): void } {
    process.kill(this.#pid, 'SIGSTOP')
    return { goOn: () => process.kill(this.#pid, 'SIGCONT') }
  }

  /** A copy of what it has on its disk now. */
  copy(): string {
    const copy = `${this.dir}-copy`
    rmSync(copy, { recursive: true, force: true })
    cpSync(this.dir, copy, { recursive: true })
    return copy
  }

  /** Puts a copy in the place of what it has; it must not be running. */
  restore(copy: string): void {
    rmSync(this.dir, { recursive: true, force: true })
    cpSync(copy, this.dir, { recursive: true })
  }

  /** Ends it, and removes its folder. */
  async stop(): Promise<void> {
    try {
      await this.kill()
    } catch {
      // It was gone already.
    }
    for (const dir of [this.dir, `${this.dir}-copy`]) rmSync(dir, { recursive: true, force: true })
  }
}

/** What the program says of itself. */
export function serverVersion(): string {
  return execFileSync(find()!, ['--version'], { encoding: 'utf8' }).trim()
}
