import { afterEach, expect, test, vi } from 'vitest'
import { XMachinesError } from '../../../src/actors/errors.ts'
import { Patience } from '../../../src/persistence/server/patience.ts'

const unavailable = new XMachinesError('STORE_UNAVAILABLE', 'it does not answer')

afterEach(() => {
  vi.useRealTimers()
})

test('very many operations may wait, and all end at once with the store, with what made them wait', async () => {
  vi.useFakeTimers()
  const warned = vi.spyOn(process, 'emitWarning')
  const patience = new Patience(60_000)
  const tries: number[] = []
  const waiting = Array.from({ length: 100 }, (_, at) =>
    patience.run(async () => {
      tries[at] = (tries[at] ?? 0) + 1
      throw unavailable
    }, undefined),
  )
  const ended = Promise.allSettled(waiting)
  await vi.advanceTimersByTimeAsync(1000)
  expect(Math.min(...tries)).toBeGreaterThan(3)
  patience.end()
  for (const outcome of await ended) expect(outcome).toEqual({ status: 'rejected', reason: unavailable })
  expect(vi.getTimerCount()).toBe(0)
  expect(warned).not.toHaveBeenCalled()
})

test('a signal ends a pause, unless what waits may be done already', async () => {
  vi.useFakeTimers()
  const unknown = new XMachinesError('STORE_OUTCOME_UNKNOWN', 'the answer was lost')
  for (const [error, code] of [
    [unavailable, 'ABORTED'],
    [unknown, 'STORE_OUTCOME_UNKNOWN'],
  ] as const) {
    const stop = new AbortController()
    const patience = new Patience(100)
    const waiting = patience.run(() => Promise.reject(error), stop.signal).catch((thrown: unknown) => thrown)
    await vi.advanceTimersByTimeAsync(10)
    stop.abort()
    await vi.advanceTimersByTimeAsync(200)
    expect(await waiting).toMatchObject({ code })
  }
})
