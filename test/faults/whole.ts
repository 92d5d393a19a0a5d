import { expect } from 'vitest'
import { openRun, verifyRun } from 'xmachines'
import { type Program, programOf, wrongCounters } from './counters.ts'
import { runs } from './life.ts'
import type { Place } from './process-place.ts'
import { instructions, programMachine } from './program.ts'

/** Each instruction so often at least that every point is come to as often; the rest is the seed's. */
export function segmentOf(random: () => number, times = 1): Program {
  const every = instructions.map(type => ({ run: 'a', event: type === 'CALL' ? { type, to: 'b' } : { type } }))
  return [...Array.from({ length: times }, () => every).flat(), ...programOf(random, 3, runs)] as Program
}

/** Every history replays, the counters are exact, no effect was seen without its unit, and nothing acknowledged moved. */
export async function checkWhole(place: Place, program: Program): Promise<void> {
  // Before the store is opened again, which would mend what its last life left behind.
  const branches = place.branches?.()
  const store = place.store()
  const machine = programMachine(() => Promise.resolve())
  const effects = place.effects()
  const counters: Record<string, never> = {}
  const units = new Map<string, number>()
  const places = new Map<string, string>()
  for await (const head of store.list()) {
    expect(await verifyRun(store, machine, head)).toEqual({ run: head.run, units: head.seq })
    const run = await openRun(machine, { store, id: head.run })
    counters[head.key!] = run.getSnapshot().context as never
    units.set(head.run, head.seq)
    await run.close()
    let last: string | undefined
    for await (const { id, seq, at, requestId } of store.read(head.run)) {
      last = id
      if (requestId === undefined) continue
      expect(places.get(requestId), `instruction ${requestId} is a unit once`).toBeUndefined()
      places.set(requestId, `${head.run} ${seq} at ${at}`)
    }
    if (branches !== undefined) expect(branches.get(head.run), `the branch of ${head.key}`).toBe(last)
  }
  expect(Object.keys(counters).sort()).toEqual([...runs])
  expect(wrongCounters(program, counters, effects)).toEqual([])
  // A later life sends all again: what was lost in between would be a unit again, but at another place or time.
  const acknowledged = place.acknowledged()
  expect(new Set(acknowledged.map(({ id }) => id)).size).toBe(program.length)
  for (const { run, id, seq, at } of acknowledged)
    expect(places.get(id), `instruction ${id}`).toBe(`${run} ${seq} at ${at}`)
  for (const { key } of effects) {
    const [run, entered] = key.split('/') as [string, string]
    expect(Number(entered), `no effect without its unit: ${key}`).toBeLessThanOrEqual(units.get(run) ?? -1)
  }
  await store.close()
}
