import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { nodeScript } from '../../node-script.ts'

/** Another process with the store of a directory; see child.ts. */
export class StoreProcess {
  readonly process: ChildProcess
  readonly #lines: AsyncIterator<string>

  constructor(dir: string, ...more: string[]) {
    const script = nodeScript(new URL('./child.ts', import.meta.url))
    this.process = spawn(process.execPath, [script, dir, ...more], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    this.#lines = createInterface({ input: this.process.stdout! })[Symbol.asyncIterator]()
  }

  /** Waits until the process can be told something. */
  async ready(): Promise<this> {
    await this.#lines.next()
    return this
  }

  /** Says what to do, and resolves to the answer. */
  async tell(order: string): Promise<unknown> {
    this.process.stdin!.write(`${order}\n`)
    const { done, value } = await this.#lines.next()
    return done ? undefined : JSON.parse(value)
  }

  /** Says what to do without waiting for the answer. */
  order(order: string): void {
    this.process.stdin!.write(`${order}\n`)
  }

  /** Ends the process as a power cut would, and resolves when it is gone. */
  async kill(): Promise<void> {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return
    const gone = new Promise(resolve => this.process.once('exit', resolve))
    this.process.kill('SIGKILL')
    await gone
  }
}
