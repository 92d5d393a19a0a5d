import { digest } from '../../actors/identity/digest.ts'
import { connected, databaseOf, type ValkeyClient } from './client.ts'
import { connectFailure, failure, isUnknownScript, selectFailure } from './failures.ts'

/** A script as the server knows it. */
export interface Script {
  readonly text: string
  readonly sha: string
  /** Whether it may write. */
  readonly writes: boolean
}

/** A script of this text: its first line says whether it writes. */
export function script(text: string): Script {
  return {
    text,
    sha: digest('sha1', new TextEncoder().encode(text)),
    writes: !text.startsWith('#!lua flags=no-writes'),
  }
}

/** Asks a server something. */
export type Ask = (command: string, args: (string | number)[]) => Promise<unknown>

/**
 * A client, sure of which commands were sent. A command goes out only while the client is connected, so that the client
 * keeps none for later, and is given up when the connection ends, whatever the client does with it then.
 */
export class Connection {
  readonly location: string
  readonly #make: () => Promise<ValkeyClient>
  readonly #check: (ask: Ask) => Promise<void>
  #client: ValkeyClient | undefined
  #making: Promise<ValkeyClient> | undefined
  #ready: Promise<void> | undefined
  /** The connection is one that was checked. */
  #isChecked = false
  #losses = 0
  readonly #flying = new Set<(error: unknown) => void>()

  /**
   * @param make gives the client, at the first need
   * @param check is done once for each connection, before all else
   */
  constructor(location: string, make: () => Promise<ValkeyClient>, check: (ask: Ask) => Promise<void>) {
    this.location = location
    this.#make = make
    this.#check = check
  }

  /** How often a connection was lost: two commands with the same number in between went over the same one. */
  get losses(): number {
    return this.#losses
  }

  /** Resolves when a command can be sent. */
  async ready(): Promise<void> {
    while (this.#client?.status !== 'ready' || !this.#isChecked) {
      this.#ready ??= this.#connect().finally(() => {
        this.#ready = undefined
      })
      await this.#ready
    }
  }

  /** Asks for something that writes nothing. */
  async ask(command: string, args: (string | number)[]): Promise<unknown> {
    await this.ready()
    return this.#send(command, args, false)
  }

  /** Sends a command that may write. */
  async write(command: string, args: (string | number)[]): Promise<unknown> {
    await this.ready()
    return this.#send(command, args, true)
  }

  /** Runs a script. @param argumentsOf is asked when it is sent, and again when the script has to be sent with it */
  async run(
    { text, sha, writes }: Script,
    keys: readonly string[],
    argumentsOf: () => readonly (string | number)[],
  ): Promise<unknown> {
    // The other two are not allowed to whoever may only read.
    const [known, whole] = writes ? ['evalsha', 'eval'] : ['evalsha_ro', 'eval_ro']
    await this.ready()
    try {
      return await this.#call(known!, [sha, keys.length, ...keys, ...argumentsOf()])
    } catch (error) {
      if (!isUnknownScript(error)) throw failure(error, this.location, writes)
    }
    await this.ready()
    return this.#send(whole!, [text, keys.length, ...keys, ...argumentsOf()], writes)
  }

  /** Tells the server something on the way out, if it is there. */
  async part(command: string, args: (string | number)[]): Promise<void> {
    if (this.#client?.status === 'ready') await this.#call(command, args).catch(() => {})
  }

  /** Lets go of the client, without ending it. */
  end(): ValkeyClient | undefined {
    this.#client?.off('close', this.#lost)
    return this.#client
  }

  async #connect(): Promise<void> {
    this.#making ??= this.#make()
    try {
      this.#client ??= this.#see(await this.#making)
    } catch (error) {
      this.#making = undefined
      throw error
    }
    const client = this.#client
    if (client.status !== 'ready') {
      this.#isChecked = false
      await connected(client).catch(error => {
        throw connectFailure(this.location, error.message)
      })
    }
    if (this.#isChecked) return
    // Where the server has not got that database, or only one, a client goes on in the first one without a word.
    const database = databaseOf(client)
    if (database !== 0) await this.#select(database)
    await this.#check((command, args) => this.#send(command, args, false))
    this.#isChecked = true
  }

  async #select(database: number): Promise<void> {
    try {
      await this.#call('select', [database])
    } catch (error) {
      throw selectFailure(error, this.location, database)
    }
  }

  #see(client: ValkeyClient): ValkeyClient {
    client.on('close', this.#lost)
    return client
  }

  #lost = (): void => {
    this.#losses++
    this.#isChecked = false
    const error = new Error('the connection was lost before the answer came')
    for (const reject of this.#flying) reject(error)
    this.#flying.clear()
  }

  async #send(command: string, args: (string | number)[], writes: boolean): Promise<unknown> {
    try {
      return await this.#call(command, args)
    } catch (error) {
      throw failure(error, this.location, writes)
    }
  }

  #call(command: string, args: (string | number)[]): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#flying.add(reject)
      this.#client!.call(command, args)
        .then(resolve, reject)
        .finally(() => this.#flying.delete(reject))
    })
  }
}
