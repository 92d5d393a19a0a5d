import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { nodeScript } from '../../node-script.ts'
import type { Link } from './link.ts'
import type { Counts, WorkerLine, WorkerOrder, WorkerTask } from './orders.ts'

const script = nodeScript(new URL('./worker.ts', import.meta.url))

/** A worker of the fleet, as its parent sees it. */
export class WorkerProcess {
  readonly name: string
  /** By the broker's address. */
  readonly links: ReadonlyMap<string, Link>
  readonly lines: WorkerLine[] = []
  counts: Counts = { duplicates: 0, deadLettered: 0, outputsSent: 0 }
  readonly #child: ChildProcess
  /** Resolves with what it was ended by. */
  readonly ended: Promise<NodeJS.Signals | number | null>
  isRunning = true

  constructor(task: WorkerTask, links: ReadonlyMap<string, Link>, heard: (worker: WorkerProcess) => void) {
    this.name = task.name
    this.links = links
    this.#child = spawn(process.execPath, [script, JSON.stringify(task)], {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { ...process.env, NODE_ENV: 'production' },
    })
    this.#child.stdin!.on('error', () => {})
    createInterface({ input: this.#child.stdout! }).on('line', text => {
      const line = JSON.parse(text) as WorkerLine
      if (line.type === 'counts') this.counts = line
      else this.lines.push(line)
      heard(this)
    })
    this.ended = once(this.#child, 'exit').then(([code, signal]) => {
      this.isRunning = false
      for (const link of links.values()) link.close()
      heard(this)
      return signal ?? code
    })
  }

  get pid(): number {
    return this.#child.pid!
  }

  tell(order: WorkerOrder): void {
    this.#child.stdin!.write(`${JSON.stringify(order)}\n`)
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  /** How often it said `type`, from its `from`-th line on. */
  count(type: WorkerLine['type'], from = 0): number {
    return this.lines.slice(from).filter(line => line.type === type).length
  }
}
