import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { XMachinesError } from 'xmachines'
import { memoryStore } from 'xmachines/persistence/memory'
import { nextTurn } from '../../../src/persistence/filesystem/turns.ts'
import type { Archiver } from '../../../src/persistence/git/archiver.ts'
import { Follower } from '../../../src/persistence/git/follower.ts'
import { endings } from '../../endings.ts'

const ends = endings()

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
})
afterEach(() => {
  vi.useRealTimers()
})

test('side refs that cannot be written are tried again after growing pauses; passes go on at their pace', async () => {
  const told: string[] = []
  let passes = 0
  const failing = {
    counts: { units: 0, flushes: 0 },
    drops: 0,
    forget() {},
    async commit() {
      passes++
    },
    async checkpoint() {
      throw new XMachinesError('STORE_UNAVAILABLE', 'The notes are locked.')
    },
  }
  const follower = new Follower({
    store: memoryStore(),
    gitdir: 'ledger.git',
    open: async () => failing as unknown as Archiver,
    heads: async function* () {},
    interval: 20,
    rest: 5,
    onError: ({ message }) => told.push(message),
  })
  ends.push(() => follower.close())
  for (let turn = 0; turn < 1000; turn++) {
    await vi.advanceTimersByTimeAsync(20)
    await nextTurn()
  }
  // 40 ms, 80 ms, … up to 20 s: ten of them.
  expect(told.length).toBeGreaterThan(5)
  expect(told.length).toBeLessThanOrEqual(11)
  expect(passes).toBeGreaterThan(900)
})
