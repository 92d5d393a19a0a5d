import type { StandardSchemaV1 } from '@standard-schema/spec'
import { describe, expect, test } from 'vitest'
import { createRun, defineMachine } from 'xmachines'
import { counter } from './machines.ts'

const add = { type: 'ADD', by: 1 } as const

/** A schema that answers when the test says so. */
function gate() {
  const open: (() => void)[] = []
  const events: StandardSchemaV1<typeof add> = {
    '~standard': {
      version: 1,
      vendor: 'test',
      validate: value => new Promise(resolve => open.push(() => resolve({ value: value as typeof add }))),
    },
  }
  return { machine: defineMachine(counter, { events }), open }
}

describe("a caller's signal is heard while the event waits to be decided", () => {
  test('behind its own schema: those behind it go on', async () => {
    const { machine, open } = gate()
    await using run = createRun(machine)
    const abort = new AbortController()
    const aborted = run.apply(add, { signal: abort.signal })
    const next = run.apply(add)
    abort.abort(new Error('enough'))
    await expect(aborted).rejects.toMatchObject({ code: 'ABORTED', cause: { message: 'enough' } })
    open[1]!()
    expect(await next).toMatchObject({ ok: true, seq: 1 })
  })

  test('behind the schema of another: that one is applied alone', async () => {
    const { machine, open } = gate()
    await using run = createRun(machine)
    const abort = new AbortController()
    const first = run.apply(add)
    const aborted = [1, 2].map(() => run.apply(add, { signal: abort.signal }))
    abort.abort()
    for (const one of aborted) await expect(one).rejects.toMatchObject({ code: 'ABORTED' })
    for (const answer of open) answer()
    expect(await first).toMatchObject({ ok: true, seq: 1 })
    expect(await run.apply([])).toMatchObject({ seq: 1 })
  })

  test('and no longer: what is decided has its receipt, and the signal keeps nothing of it', async () => {
    const { machine, open } = gate()
    await using run = createRun(machine)
    const abort = new AbortController()
    const listening = new Set<unknown>()
    const { signal } = abort
    const { addEventListener, removeEventListener } = signal
    signal.addEventListener = (type: string, listener: never, options?: object) => {
      listening.add(listener)
      addEventListener.call(signal, type, listener, options)
    }
    signal.removeEventListener = (type: string, listener: never) => {
      listening.delete(listener)
      removeEventListener.call(signal, type, listener)
    }
    const applied = [1, 2].map(() => run.apply(add, { signal }))
    expect(listening.size).toBeGreaterThan(0)
    for (const answer of open) answer()
    expect(await Promise.all(applied)).toMatchObject([{ seq: 1 }, { seq: 2 }])
    abort.abort()
    expect(listening.size).toBe(0)
    expect(run.getSnapshot().context.count).toBe(2)
  })
})
