import type { AppendItem, AppendOutcome, Mail } from '../../actors/contracts/store.ts'
import type { NewUnit } from '../../actors/contracts/unit.ts'
import type { Life } from './life.ts'
import { beginning, type Scheduler } from './scheduler.ts'

/** What happened in a seed, line by line, for people. Without anybody who wants to see it, nothing is kept. */
export class Trace {
  readonly #scheduler: Scheduler
  readonly #names: ReadonlyMap<string, string>
  readonly #lines: string[] | undefined

  /** @param names the keys of runs, by their ids */
  constructor(scheduler: Scheduler, names: ReadonlyMap<string, string>, wanted: boolean) {
    this.#scheduler = scheduler
    this.#names = names
    this.#lines = wanted ? [] : undefined
  }

  get lines(): readonly string[] {
    return this.#lines ?? []
  }

  note(line: () => string): void {
    this.#lines?.push(`${this.#scheduler.now - beginning} ms  ${line()}`)
  }

  appended(life: Life, items: readonly AppendItem[], outcomes: readonly AppendOutcome[]): void {
    for (const [index, item] of items.entries())
      this.note(() => `${whoIs(life)} appends ${this.#shown(item)}: ${outcomes[index]?.status}`)
  }

  delivered(life: Life, mail: readonly Mail[], answer: unknown): void {
    for (const { receiver, event } of mail)
      this.note(() => `${whoIs(life)} delivers ${event.type} to ${this.#nameOf(receiver)}: ${answer}`)
  }

  #nameOf(run: string): string {
    return this.#names.get(run) ?? run.slice(0, 7)
  }

  #shown({ run, units, beside }: AppendItem): string {
    const parts = units.map(unit => `${unit.seq} ${kindOf(unit)}`)
    const made = Object.entries(beside?.attempts ?? {}).filter(([, attempt]) => attempt !== null)
    parts.push(
      ...made.map(([invocation, attempt]) => `attempt ${attempt} of ${invocation.slice(invocation.indexOf('/') + 1)}`),
    )
    return `${this.#nameOf(run)} [${parts.join(', ')}]`
  }
}

function whoIs({ process, alive }: Life): string {
  return alive ? process : `${process}, dead,`
}

function kindOf({ origin, events, creation }: NewUnit): string {
  if (creation !== undefined) return 'creation'
  const types = events.map(({ type }) => type).join('+')
  return origin.kind === 'outside' ? types : `${origin.kind} ${types}`.trimEnd()
}
