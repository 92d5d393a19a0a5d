/** How long others wait at most, ms. */
const most = 4

/** Long work that yields where others may have a turn. */
export type Work<T> = Generator<void, T>

/** Does long work, with a turn for others now and then: by the time it took, so that a busy process does not stretch it. */
export async function inTurns<T>(work: Work<T>): Promise<T> {
  let since = performance.now()
  for (;;) {
    const step = work.next()
    if (step.done) return step.value
    if (performance.now() - since < most) continue
    await nextTurn()
    since = performance.now()
  }
}

/** Does long work in one go, for who cannot wait. */
export function atOnce<T>(work: Work<T>): T {
  for (;;) {
    const step = work.next()
    if (step.done) return step.value
  }
}

/** Resolves when others had their turn. */
export function nextTurn(): Promise<void> {
  return new Promise(resolve => (typeof setImmediate === 'function' ? setImmediate(resolve) : setTimeout(resolve, 0)))
}
