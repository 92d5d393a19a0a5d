import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, onTestFinished, test } from 'vitest'
import { openRun } from 'xmachines'
import { fileStore } from 'xmachines/persistence/filesystem'
import { memoryStore } from 'xmachines/persistence/memory'
import { emit, setup } from 'xstate'
import { faultyStore } from '../../src/testing/faulty-store.ts'
import { settled } from '../actors/supervisor/virtual-environment.ts'
import { World } from '../actors/supervisor/world.ts'

/** Says again what it hears, and keeps nothing of it. */
const echo = setup({
  types: {} as { events: { type: 'SAY'; text: string }; emitted: { type: 'SAID'; text: string } },
}).createMachine({
  id: 'echo',
  on: { SAY: { actions: emit(({ event }) => ({ type: 'SAID' as const, text: event.text })) } },
})

const kibibyte = 1024
/** Long, and not shared with any other event. */
const say = (bytes: number, n: number) => ({ type: 'SAY', text: `${n}`.padEnd(bytes, 'x') }) as const

/** What is in use once everything that is over is gone. */
async function bytesInUse(): Promise<number> {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  for (let turn = 0; turn < 3; turn++) {
    await nextTurn()
    collect()
  }
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

describe('memory stays flat (S7, semantics 28)', () => {
  test('with a reader of `out` that stands still: what it has not read is in the store alone', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'xmachines-flat-'))
    const store = fileStore(dir, { fsync: false })
    onTestFinished(async () => {
      await store.close()
      rmSync(dir, { recursive: true })
    })
    const stalled = await openRun(echo, { store, key: 'a' })
    const reader = stalled.subscribe('out', { buffer: 4 }).getReader()
    const run = await openRun(echo, { store, key: 'a' })
    await run.apply(say(128 * kibibyte, 0))
    expect((await reader.read()).value).toMatchObject({ seq: 1 })
    const before = await bytesInUse()
    const count = 800
    for (let n = 1; n <= count; n++) await run.apply(say(128 * kibibyte, n))
    // 100 MiB went through; a tenth of it would be too much.
    expect((await bytesInUse()) - before).toBeLessThan(10 * kibibyte * kibibyte)
    for (let seq = 2; seq <= count + 1; seq++) expect((await reader.read()).value).toMatchObject({ seq })
  })

  test('with a store that stands still: `in` takes one write, and then asks its writer to wait', async () => {
    const store = faultyStore(memoryStore())
    const run = await openRun(echo, { store, key: 'a' })
    const held = store.faults.plan('append.late', { times: 1 })
    const writer = run.in.getWriter()
    let taken = 0
    const writing = (async () => {
      for (let n = 0; n < 100; n++) {
        await writer.ready
        void writer.write(say(64 * kibibyte, n))
        taken += 64 * kibibyte
      }
    })()
    await held.met
    await settled()
    expect(taken).toBe(64 * kibibyte)
    held.release()
    await writing
    await writer.close()
    expect(taken).toBe(6400 * kibibyte)
  })

  test('with a run that stands still: its lease takes no more records than the window holds', async () => {
    const store = faultyStore(memoryStore())
    const world = new World({ store })
    let decoded = 0
    const { supervisor } = world.supervise({
      machine: echo,
      window: 10,
      decode(record) {
        const text = new TextDecoder().decode(record.value!)
        decoded += text.length
        return { key: 'a', events: JSON.parse(text) }
      },
    })
    await world.send(['a', { type: 'SAY', text: '' }])
    await supervisor.caughtUp()
    const held = store.faults.plan('append.late', { times: 1 })
    await world.send(...Array.from({ length: 500 }, (_, n) => ['a', say(16 * kibibyte, n)] as const))
    await held.met
    await settled()
    expect(decoded).toBeLessThanOrEqual(11 * 17 * kibibyte)
    held.release()
    await supervisor.caughtUp()
    expect(decoded).toBeGreaterThan(500 * 16 * kibibyte)
  })
})
