import type { ListOptions, RunHead, Store } from '../actors/contracts/store.ts'

/**
 * The runs of a store, or of a namespace of it, by id, but every fork after the run it was forked from: a fork is in the namespace
 * of its run. Holds only forks that wait for theirs.
 */
export async function* parentsFirst(
  store: Store,
  signal: AbortSignal,
  options: Pick<ListOptions, 'namespace' | 'damaged'> = {},
): AsyncGenerator<RunHead, void, void> {
  const waiting = new Map<string, RunHead[]>()
  const delayed = new Set<string>()

  /** A run, and the forks that waited for it. */
  function* release(head: RunHead): Generator<RunHead, void, void> {
    yield head
    delayed.delete(head.run)
    const forks = waiting.get(head.run) ?? []
    waiting.delete(head.run)
    for (const fork of forks) yield* release(fork)
  }

  for await (const head of store.list({ ...options, signal })) {
    const parent = head.fork?.creation?.fork?.run
    if (parent === undefined || (parent < head.run && !delayed.has(parent))) {
      yield* release(head)
      continue
    }
    delayed.add(head.run)
    const siblings = waiting.get(parent)
    if (siblings === undefined) waiting.set(parent, [head])
    else siblings.push(head)
  }
  // A fork that was made after the listing had passed its parent's place: its parent is out.
  for (const forks of [...waiting.values()]) for (const fork of forks) yield fork
}
