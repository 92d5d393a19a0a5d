import type { AppendItem } from '../../actors/contracts/store.ts'
import type { ObjectFormat } from '../../actors/contracts/unit.ts'
import { XMachinesError } from '../../actors/errors.ts'
import { Draft, type Places } from './draft.ts'
import { FrameBuffer } from './frame.ts'
import type { LogEnd } from './layout.ts'
import { stride } from './line.ts'
import type { LogWriter } from './log-writer.ts'
import type { ItemText } from './record.ts'
import type { Row } from './row.ts'
import type { RunIndex } from './run-index.ts'
import { inNextTurn } from './turns.ts'

/** What one flush changes, and who waits for it. */
class Group {
  readonly draft: Draft
  readonly waiting: Waiter[] = []

  constructor(draft: Draft) {
    this.draft = draft
  }
}

/** A call that is answered when its group is durable. */
class Waiter<T = unknown> {
  readonly #value: T
  readonly #resolve: (value: T) => void
  readonly reject: (error: XMachinesError) => void

  constructor(value: T, resolve: (value: T) => void, reject: (error: XMachinesError) => void) {
    this.#value = value
    this.#resolve = resolve
    this.reject = reject
  }

  resolve(): void {
    this.#resolve(this.#value)
  }
}

/** Start a flush at once when so many calls wait, or lines: encoding goes on while the disk works. */
const eager = 256

/**
 * Groups changes into flushes: while one is on its way to the disk, the next is collected, whoever asks for it. What is
 * collected is judged against what was decided before, durable or not; nobody is answered before that is durable.
 */
export class Committer {
  readonly frame: FrameBuffer
  readonly #index: RunIndex
  readonly #writer: LogWriter
  readonly #committed: (bytes: number) => void
  #collecting: Group | undefined
  #inFlight: { readonly group: Group; readonly end: LogEnd } | undefined
  #scheduled = false
  #idle: (() => void)[] = []

  /** @param committed told after every flush how many bytes it added */
  constructor(format: ObjectFormat, index: RunIndex, writer: LogWriter, committed: (bytes: number) => void) {
    this.frame = new FrameBuffer(format)
    this.#index = index
    this.#writer = writer
    this.#committed = committed
  }

  /** Where the next change goes, and what it is judged against. */
  get draft(): Draft {
    return this.#group().draft
  }

  /** Places an item that was judged `appended`. @param row where its run stands, if there is it */
  place(item: AppendItem, text: ItemText, row: Row | undefined): void {
    const { draft } = this.#group()
    const { frame } = this
    const before = frame.length
    try {
      const newMachine = text.machine !== undefined && draft.machine(item.machine!.oid) === undefined
      const machine = newMachine ? frame.putLine(text.machine) : 0
      const places = this.#putLines(item, text, row)
      if (newMachine) draft.takeMachine(item.machine!, machine)
      draft.take(item, row, places)
    } catch (error) {
      // Never a part of an item, whatever went wrong.
      frame.cut(before)
      throw error
    }
  }

  /** Resolves to `value` when all that was placed or asked so far is durable. */
  settle<T>(value: T): Promise<T> {
    const group = this.#group()
    return new Promise((resolve, reject) => {
      group.waiting.push(new Waiter(value, resolve, reject) as Waiter)
      if (this.#inFlight !== undefined) return
      if (group.waiting.length >= eager || this.frame.lines >= eager) this.#flush()
      else this.#schedule()
    })
  }

  /** Resolves when nothing waits any more. */
  async settled(): Promise<void> {
    while (this.#collecting !== undefined || this.#inFlight !== undefined) {
      this.#schedule()
      await new Promise<void>(resolve => this.#idle.push(resolve))
    }
  }

  #group(): Group {
    if (this.#collecting !== undefined) return this.#collecting
    const inFlight = this.#inFlight
    this.#collecting = new Group(new Draft(inFlight?.group.draft ?? this.#index))
    const place = this.#writer.placeAfter(inFlight?.end ?? this.#writer.end)
    this.frame.begin(place.segment, place.offset)
    return this.#collecting
  }

  #putLines(item: AppendItem, text: ItemText, row: Row | undefined): Places {
    const revision = (row?.revision ?? 0) + 1
    let first = 0
    let head = row?.head ?? 0
    let mark = row?.mark ?? 0
    if (text.change !== undefined) this.frame.putChange(text.change, revision)
    for (let index = 0; index < text.units.length; index++) {
      const unit = item.units[index]!
      head = this.frame.putUnit(unit, text.units[index]!, revision, head, mark)
      if (index === 0) first = head
      if (unit.seq % stride === 0) mark = head
    }
    return { first, head, mark }
  }

  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    inNextTurn(() => {
      this.#scheduled = false
      if (this.#inFlight === undefined) this.#flush()
    })
  }

  #flush(): void {
    const group = this.#collecting
    if (group === undefined) return
    this.#collecting = undefined
    if (this.frame.lines === 0) return this.#answer(group)
    const end = this.#writer.write(this.frame, outcome => this.#landed(group, outcome))
    this.#inFlight = { group, end }
  }

  #landed(group: Group, outcome: LogEnd | XMachinesError): void {
    const next = this.#collecting
    this.#inFlight = undefined
    if (outcome instanceof Error) {
      this.#collecting = undefined
      for (const waiter of group.waiting) waiter.reject(outcome)
      if (next !== undefined) this.#refuse(next, outcome)
      return this.#rest()
    }
    const before = this.#index.end
    this.#index.commit(group.draft, outcome)
    if (next !== undefined) next.draft.parent = this.#index
    this.#answer(group)
    if (next !== undefined && this.#inFlight === undefined) this.#flush()
    this.#committed(outcome.segment === before.segment ? outcome.offset - before.offset : outcome.offset)
  }

  #answer(group: Group): void {
    for (const waiter of group.waiting) waiter.resolve()
    this.#rest()
  }

  /** What was judged after changes that did not come to be is not written either. */
  #refuse(group: Group, cause: XMachinesError): void {
    const unknown = cause.code === 'STORE_OUTCOME_UNKNOWN'
    const error = unknown
      ? new XMachinesError('STORE_UNAVAILABLE', `Nothing was written: ${cause.message}`, {
          cause,
          details: cause.details,
        })
      : cause
    for (const waiter of group.waiting) waiter.reject(error)
  }

  #rest(): void {
    if (this.#collecting !== undefined || this.#inFlight !== undefined) return
    const idle = this.#idle
    this.#idle = []
    for (const resolve of idle) resolve()
  }
}
