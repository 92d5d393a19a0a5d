import type { DueQuery, DueRun, LeaseKey } from '../actors/contracts/store.ts'

/** One run's place in an {@link AttentionIndex}. Changed by the index only. */
export class Attention {
  readonly run: string
  readonly namespace: string
  due: number | null = null
  process: string | null = null
  lease: LeaseKey | undefined = undefined
  /** Where it stands in its heap; −1: not in it. */
  slot = -1

  constructor(run: string, namespace: string) {
    this.run = run
    this.namespace = namespace
  }
}

/** The runs of one partition, or the never-pinned ones of one namespace. */
interface Group {
  readonly heap: Attention[]
  readonly processes: Map<string, Set<Attention>>
}

/**
 * Which run needs something, and when, in memory: a heap by due time for each partition, and for each process the runs
 * whose effects it has in flight, so that renewing a process costs the same however many they are.
 */
export class AttentionIndex {
  readonly #pinned = new Map<string, Group>()
  readonly #unpinned = new Map<string, Group>()
  readonly #until = new Map<string, number>()

  /** Sets all that is known of a run; the first call enters it. */
  set(run: Attention, due: number | null, process: string | null, lease: LeaseKey | undefined): void {
    if (lease !== run.lease) {
      const group = this.#groupOf(run)
      remove(group.heap, run)
      leave(group, run)
      run.lease = lease
      run.due = null
      run.process = null
    }
    if (due !== run.due) {
      const { heap } = this.#groupOf(run)
      remove(heap, run)
      run.due = due
      if (due !== null) insert(heap, run)
    }
    if (process !== run.process) {
      const group = this.#groupOf(run)
      leave(group, run)
      run.process = process
      if (process !== null) join(group, run)
    }
  }

  /** `process` lives until `until`, ms. */
  renew(process: string, until: number): void {
    this.#until.set(process, until)
  }

  /** Until when `process` lives, ms; 0: it never said so. */
  until(process: string): number {
    return this.#until.get(process) ?? 0
  }

  /** See `Store.due`. */
  due(query: DueQuery): DueRun[] {
    const found = new Map<Attention, number>()
    const fits = (run: Attention): boolean => query.namespace === undefined || run.namespace === query.namespace
    for (const group of this.#groups(query)) {
      for (const run of first(group.heap, query, fits)) found.set(run, run.due!)
      for (const [process, runs] of group.processes) {
        const ranOut = this.until(process)
        if (ranOut > query.before) continue
        let left = query.limit
        for (const run of runs) {
          if (!fits(run)) continue
          if (left-- <= 0) break
          found.set(run, Math.min(found.get(run) ?? ranOut, ranOut))
        }
      }
    }
    const order = [...found].sort(([a, x], [b, y]) => x - y || (a.run < b.run ? -1 : 1))
    return order.slice(0, Math.max(0, query.limit)).map(([run, due]) => dueRun(run, due))
  }

  #groups({ lease, namespace }: DueQuery): Iterable<Group> {
    if (lease === undefined && namespace === undefined) return this.#unpinned.values()
    const group = lease === undefined ? this.#unpinned.get(namespace!) : this.#pinned.get(partitionName(lease))
    return group === undefined ? [] : [group]
  }

  #groupOf(run: Attention): Group {
    const groups = run.lease === undefined ? this.#unpinned : this.#pinned
    const name = run.lease === undefined ? run.namespace : partitionName(run.lease)
    let group = groups.get(name)
    if (group === undefined) groups.set(name, (group = { heap: [], processes: new Map() }))
    return group
  }
}

/** A partition's name as one string, for maps. */
export function partitionName(key: LeaseKey): string {
  return `${key.partition}/${key.namespace}`
}

function dueRun(run: Attention, due: number): DueRun {
  const { run: id, namespace, lease } = run
  return Object.freeze(lease === undefined ? { run: id, namespace, due } : { run: id, namespace, due, lease })
}

function join(group: Group, run: Attention): void {
  const runs = group.processes.get(run.process!)
  if (runs === undefined) group.processes.set(run.process!, new Set([run]))
  else runs.add(run)
}

function leave(group: Group, run: Attention): void {
  if (run.process === null) return
  const runs = group.processes.get(run.process)
  runs?.delete(run)
  if (runs?.size === 0) group.processes.delete(run.process)
}

/** The earliest runs that fit. They leave the heap one by one, which finds their order, and go back. */
function first(heap: Attention[], query: DueQuery, fits: (run: Attention) => boolean): Attention[] {
  const taken: Attention[] = []
  const fitting: Attention[] = []
  while (fitting.length < query.limit) {
    const run = heap[0]
    if (run === undefined || run.due! > query.before) break
    remove(heap, run)
    taken.push(run)
    if (fits(run)) fitting.push(run)
  }
  for (const run of taken) insert(heap, run)
  return fitting
}

function earlier(a: Attention, b: Attention): boolean {
  return a.due! < b.due! || (a.due === b.due && a.run < b.run)
}

function insert(heap: Attention[], run: Attention): void {
  heap.push(run)
  rise(heap, run, heap.length - 1)
}

function remove(heap: Attention[], run: Attention): void {
  const { slot } = run
  if (slot < 0) return
  run.slot = -1
  const last = heap.pop()!
  if (last === run) return
  rise(heap, last, slot)
  sink(heap, last, last.slot)
}

function rise(heap: Attention[], run: Attention, from: number): void {
  let slot = from
  while (slot > 0) {
    const above = (slot - 1) >> 1
    if (!earlier(run, heap[above]!)) break
    place(heap, heap[above]!, slot)
    slot = above
  }
  place(heap, run, slot)
}

function sink(heap: Attention[], run: Attention, from: number): void {
  let slot = from
  for (;;) {
    let below = slot * 2 + 1
    if (below >= heap.length) break
    if (below + 1 < heap.length && earlier(heap[below + 1]!, heap[below]!)) below++
    if (!earlier(heap[below]!, run)) break
    place(heap, heap[below]!, slot)
    slot = below
  }
  place(heap, run, slot)
}

function place(heap: Attention[], run: Attention, slot: number): void {
  heap[slot] = run
  run.slot = slot
}
