import type { Environment } from '../src/actors/environment.ts'
import { type Sleeper, WakeUps } from '../src/actors/run/timers.ts'
import { type Comparison, compare, type Side } from './compare.ts'

const count = 1_000_000
/** Over a day, in no order. */
const dues = Float64Array.from({ length: count }, (_, i) => (Math.imul(i, 2_654_435_761) >>> 0) % 86_400_000)

/** The least that can be done: an array, sifted, with a flag for what was cancelled. */
class BareHeap {
  readonly #heap: { readonly at: number; cancelled: boolean }[] = []

  push(at: number): { cancelled: boolean } {
    const heap = this.#heap
    const entry = { at, cancelled: false }
    let i = heap.push(entry) - 1
    for (let parent = (i - 1) >> 1; i > 0 && heap[parent]!.at > at; i = parent, parent = (i - 1) >> 1)
      heap[i] = heap[parent]!
    heap[i] = entry
    return entry
  }

  pop(): { readonly cancelled: boolean } | undefined {
    const heap = this.#heap
    const [top] = heap
    const last = heap.pop()
    if (heap.length === 0 || last === undefined) return top
    let i = 0
    for (let child = 1; child < heap.length; child = 2 * i + 1) {
      if (child + 1 < heap.length && heap[child + 1]!.at < heap[child]!.at) child++
      if (heap[child]!.at >= last.at) break
      heap[i] = heap[child]!
      i = child
    }
    heap[i] = last
    return top
  }
}

const bare: Side = {
  name: 'a bare heap',
  run() {
    const heap = new BareHeap()
    const entries = Array.from(dues, at => heap.push(at))
    for (let i = 0; i < count; i += 2) entries[i]!.cancelled = true
    let fired = 0
    for (let top = heap.pop(); top !== undefined; top = heap.pop()) if (!top.cancelled) fired++
    if (fired !== count / 2) throw new Error(`${fired} fired`)
    return count
  },
}

/** A process's timers, on a clock that stands still until all are armed. */
const ours: Side = {
  name: 'the timers of a process',
  run() {
    let now = 0
    let due: (() => void) | undefined
    const environment: Environment = {
      now: () => now,
      setTimeout: work => {
        due = work
        return 0 as unknown as ReturnType<Environment['setTimeout']>
      },
      clearTimeout: () => {
        due = undefined
      },
      process: 'bench',
    }
    const wakeUps = new WakeUps(environment)
    let fired = 0
    const runs = Array.from(dues, (): Sleeper => ({ wake: () => void fired++ }))
    runs.forEach((run, i) => {
      wakeUps.set(run, dues[i]!)
    })
    for (let i = 0; i < count; i += 2) wakeUps.set(runs[i]!, undefined)
    now = 86_400_000
    due?.()
    if (fired !== count / 2) throw new Error(`${fired} fired`)
    return count
  },
}

/** A million runs, each with a timer: half are cancelled, the others fire. */
export async function timers(): Promise<Comparison[]> {
  return [await compare('timers: 1 M armed', 0.3, bare, ours, 5)]
}
