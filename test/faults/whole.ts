import { expect } from 'vitest'
import { openRun, verifyRun } from 'xmachines'
import { type Program, programOf, wrongCounters } from './counters.ts'
import { runs } from './life.ts'
import type { Place } from './process-place.ts'
import { instructions, programMachine } from './program.ts'

/** Each instruction once at least, so that every point is come to; the rest is the seed's. */
export function segmentOf(random: () => number): Program {
  const every = instructions.map(type => ({ run: 'a', event: type === 'CALL' ? { type, to: 'b' } : { type } }))
  return [...every, ...programOf(random, 3, runs)] as Program
}

/** Every history replays, the counters are exact, and no effect was seen without its unit. */
export async function checkWhole(place: Place, program: Program): Promise<void> {
  const store = place.store()
  const machine = programMachine(() => Promise.resolve())
  const effects = place.effects()
  const counters: Record<string, never> = {}
  const units = new Map<string, number>()
  for await (const head of store.list()) {
    expect(await verifyRun(store, machine, head)).toEqual({ run: head.run, units: head.seq })
    const run = await openRun(machine, { store, id: head.run })
    counters[head.key!] = run.getSnapshot().context as never
    units.set(head.run, head.seq)
    await run.close()
  }
  expect(Object.keys(counters).sort()).toEqual([...runs])
  expect(wrongCounters(program, counters, effects)).toEqual([])
  for (const { key } of effects) {
    const [run, entered] = key.split('/') as [string, string]
    expect(Number(entered), `no effect without its unit: ${key}`).toBeLessThanOrEqual(units.get(run) ?? -1)
  }
  await store.close()
}
