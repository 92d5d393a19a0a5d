import { afterEach, beforeEach, test, vi } from 'vitest'
import { createMachine } from 'xstate'
import { openRun } from '../../../src/actors/run/open.ts'
import { temporaryDirectory } from './directory.ts'
import { openStore } from './stores.ts'

let place: ReturnType<typeof temporaryDirectory>
beforeEach(() => {
  place = temporaryDirectory()
  // Jest's fake microtasks unless it is told not to.
  const toFake = ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'setImmediate', 'Date'] as const
  vi.useFakeTimers({ toFake: [...toFake, 'queueMicrotask'] })
})
afterEach(() => {
  vi.useRealTimers()
  place.remove()
})

const egg = createMachine({
  id: 'egg',
  initial: 'raw',
  states: { raw: { after: { 60000: 'done' } }, done: { type: 'final' } },
})

test('a test that fakes timers fakes those of its machines; the disk goes on', async () => {
  const { store } = openStore(place.dir)
  const run = await openRun(egg, { store, key: 'a' })
  await vi.advanceTimersByTimeAsync(60_000)
  await run.done
  await run.close()
  await store.close()
}, 2000)
