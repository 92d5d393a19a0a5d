import type { Random } from './random.ts'

/** Something that will happen, at a time. */
export interface Task {
  readonly at: number
  /** Among those of one time, the lowest is first: drawn by lot. */
  readonly lot: number
  /** `'timer'`: a process waits for it, perhaps for ever anew. `'work'`: something is on its way. */
  readonly kind: 'timer' | 'work'
  /** The process that it goes with, unless it belongs to the world outside. */
  readonly owner: object | undefined
  readonly name: string
  readonly work: () => void
}

/** Where every simulation begins: 2026-01-01T00:00:00Z. */
export const beginning = 1_767_225_600_000

/** Virtual time. Nothing happens but one task after another, by time, then by lot. */
export class Scheduler {
  readonly random: Random
  readonly #tasks = new Set<Task>()
  #now = beginning
  #working = 0
  /** The longest delay of what is on its way, ms. */
  readonly #pace: number

  constructor(random: Random) {
    this.random = random
    this.#pace = random.pick([0, 1, 20, 500])
  }

  get now(): number {
    return this.#now
  }

  /** Whether nothing is on its way: there are timers only. */
  get idle(): boolean {
    return this.#working === 0
  }

  /** What is on its way, by name. */
  get underWay(): readonly string[] {
    return [...this.#tasks].filter(({ kind }) => kind === 'work').map(({ name }) => name)
  }

  /** How long the next thing takes that is on its way, ms: often nothing, seldom long. */
  delay(): number {
    return Math.floor(this.random() ** 3 * (this.#pace + 1))
  }

  add(kind: Task['kind'], owner: object | undefined, name: string, ms: number, work: () => void): Task {
    const task: Task = { at: this.#now + Math.max(0, ms), lot: this.random(), kind, owner, name, work }
    this.#tasks.add(task)
    if (kind === 'work') this.#working++
    return task
  }

  cancel(task: Task): void {
    if (this.#tasks.delete(task) && task.kind === 'work') this.#working--
  }

  /** A process is gone: nothing of it happens any more. */
  drop(owner: object): void {
    for (const task of [...this.#tasks]) if (task.owner === owner) this.cancel(task)
  }

  /** Time passes without anything being done: what falls due meanwhile is late. */
  leap(to: number): void {
    this.#now = Math.max(this.#now, to)
  }

  /** The next task happens. */
  step(): void {
    let next: Task | undefined
    for (const task of this.#tasks) {
      if (next === undefined || task.at < next.at || (task.at === next.at && task.lot < next.lot)) next = task
    }
    if (next === undefined) return
    this.cancel(next)
    this.#now = Math.max(this.#now, next.at)
    next.work()
  }
}
