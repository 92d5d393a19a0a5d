import type { Kept } from './keeper.ts'
import { whenServing } from './readiness.ts'

/** One broker, which is a controller too. */
export class KafkaNode {
  readonly id: number
  /** Of its `PLAINTEXT` listener. */
  readonly address: string
  readonly #run: () => Promise<Kept>
  #process: Kept | undefined

  constructor(id: number, address: string, run: () => Promise<Kept>) {
    this.id = id
    this.address = address
    this.#run = run
  }

  /** Starts it, also after it was killed. Resolves when it serves and knows the nodes `ids`. @default itself */
  async start(ids: readonly number[] = [this.id]): Promise<void> {
    if (this.#process?.isRunning) throw new Error(`Node ${this.id} is running: kill it first.`)
    const started = await this.#run()
    this.#process = started
    try {
      await whenServing(this.address, ids, () => started.isRunning)
    } catch (error) {
      throw new Error(`Node ${this.id} of Kafka did not start: ${(error as Error).message}\n${started.log()}`)
    }
  }

  /** Ends it where it stands (SIGKILL). Resolves when it is gone. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL')
  }

  /** Ends it as an operator would (SIGTERM): its partitions go to others first. Resolves when it is gone. */
  async shutDown(): Promise<void> {
    await this.#end('SIGTERM')
  }

  /** Lets it neither answer nor die (SIGSTOP), until {@link resume}. */
  pause(): void {
    this.#signal('SIGSTOP')
  }

  /** (SIGCONT) */
  resume(): void {
    this.#signal('SIGCONT')
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    if (!this.#process?.isRunning) return
    process.kill(this.#process.pid, signal)
    await this.#process.ended
  }

  #signal(signal: NodeJS.Signals): void {
    if (!this.#process?.isRunning) throw new Error(`Node ${this.id} is not running: start it first.`)
    process.kill(this.#process.pid, signal)
  }
}
