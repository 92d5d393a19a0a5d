import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

type Told = { readonly id: number; readonly pid?: number; readonly ended?: string }

/** A server that a {@link Keeper} runs. */
export interface Kept {
  readonly pid: number
  /** Resolves when it is gone, with the signal or code it ended with. */
  readonly ended: Promise<string>
  readonly isRunning: boolean
  /** The end of what it logged. */
  log(): string
}

/** Starts servers in a temporary folder; servers and folder go when this process does, however it does. */
export class Keeper {
  readonly dir: string
  readonly #process: ChildProcess
  #next = 0

  /** @param name of the folder, for people who look for it */
  constructor(name: string) {
    this.dir = mkdtempSync(join(tmpdir(), `xmachines-${name}-`))
    const program = fileURLToPath(new URL('./keeper-process.mjs', import.meta.url))
    // Without the options of this process: a loader that it runs under is not needed there.
    this.#process = fork(program, [this.dir], { detached: true, execArgv: [], stdio: 'ignore' })
    this.#process.setMaxListeners(0)
  }

  /** Resolves when the process is there, which says nothing of whether it serves. */
  async run(command: string, args: readonly string[], name: string): Promise<Kept> {
    const id = this.#next++
    const log = join(this.dir, `${name}.log`)
    const { promise: started, resolve: hasStarted } = promised<number>()
    const { promise: ended, resolve: hasEnded } = promised<string>()
    let isRunning = true
    const end = (how: string): void => {
      isRunning = false
      hasEnded(how)
    }
    const listen = (told: Told): void => {
      if (told.id !== id) return
      if (told.pid !== undefined) hasStarted(told.pid)
      if (told.ended !== undefined) end(told.ended)
    }
    this.#process.on('message', listen)
    this.#process.once('exit', () => end('the end of its keeper'))
    void ended.then(() => this.#process.off('message', listen))
    this.#process.send({ id, command, args, log })
    const pid = await Promise.race([started, ended])
    if (typeof pid === 'string') throw new Error(`${command} could not be started: ${pid}.`)
    return {
      pid,
      ended,
      get isRunning() {
        return isRunning
      },
      log: () => readFileSync(log, 'utf8').slice(-4000).trim(),
    }
  }

  /** Runs a program to its end. */
  async runToEnd(command: string, args: readonly string[], name: string): Promise<void> {
    const program = await this.run(command, args, name)
    const how = await program.ended
    if (how !== 'code 0') throw new Error(`${name} ended with ${how}:\n${program.log()}`)
  }

  /** Kills all, and removes the folder. */
  async stop(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return
    const exit = once(this.#process, 'exit')
    if (this.#process.connected) this.#process.disconnect()
    await exit
  }
}

function promised<T>(): { readonly promise: Promise<T>; readonly resolve: (value: T) => void } {
  let resolve!: (value: T) => void
  const promise = new Promise<T>(settle => (resolve = settle))
  return { promise, resolve }
}
