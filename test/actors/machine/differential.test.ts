import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { XMachinesError } from '../../../src/actors/errors.ts'
import type { ScriptStep } from '../../arbitraries/machine-description.ts'
import { arbitraryMachine, arbitraryScript, type GeneratedMachine } from '../../arbitraries/machines.ts'
import { DecidedRun, type Manner } from './decided-run.ts'
import { LiveRun, type Sight } from './live-run.ts'

/**
 * `Program.decide` against real actors under a simulated clock, step by step: everything that can be seen of either is equal.
 */

beforeEach(() => {
  // The development build says aloud what the generated machines do on purpose.
  vi.spyOn(console, 'warn').mockImplementation(() => {})
})
afterEach(() => {
  vi.restoreAllMocks()
})

/** How far time goes in one step of a script: timers that arm one another must not go on for ever. */
const mostFirings = 40

const manners: Readonly<Record<string, Manner>> = {
  'as it is': {},
  'ending at the first error': { errors: 'fatal' },
  'restored from JSON text before every step': { restored: true, errors: 'fatal' },
  'decided twice, the state untouched': { twice: true, errors: 'fatal' },
  'with every state frozen': { frozen: true },
  'without the short way': { slow: true, errors: 'fatal' },
  'a batch as single events': { single: true, errors: 'fatal' },
}

const runs = Number(process.env.FC_RUNS ?? 60)

describe.each(Object.entries(manners))('%s', (_name, manner) => {
  test('any machine, any script', () => {
    fc.assert(
      fc.property(arbitraryMachine(), arbitraryScript(), fc.nat(9), (machine, script, seed) =>
        compare(machine, script, manner, { seed }),
      ),
      { numRuns: runs },
    )
  })
})

function compare(machine: GeneratedMachine, script: readonly ScriptStep[], manner: Manner, input: unknown): void {
  const live = new LiveRun(machine.build, input)
  const expected = live.start()
  const run = new DecidedRun(machine.build, manner, input)
  const first = run.start()
  if (XMachinesError.is(first)) {
    // A first step that throws makes no run (semantics 13); a real actor is there, in status error.
    expect(first.code).toBe('STEP_FAILED')
    expect((first.cause as Error).message).toBe(expected.error)
    return
  }
  expect(first).toEqual(comparable(expected, first))
  for (const step of script) {
    if (live.status !== 'active') return
    const [theirs, ours] = take(step, live, run)
    if (run.refused !== undefined) {
      // Refused: a real actor has no such thing. It is in status error, or was done before the batch's last event.
      expect(live.status).not.toBe('active')
      return
    }
    expect(ours).toEqual(comparable(theirs, ours, step.does === 'pass'))
  }
}

function take(step: ScriptStep, live: LiveRun, run: DecidedRun): readonly [Sight, Sight] {
  switch (step.does) {
    case 'send':
      return [live.send(step.event), run.send(step.event)]
    case 'batch':
      return [live.send(...step.events), run.send(...step.events)]
    case 'pass': {
      let at = live.now + step.ms
      const sights: [Sight, Sight][] = []
      // To each due time on its own: SimulatedClock counts what a timer arms from where it is set to.
      const due = live.see()
      for (let next = due.due[0], n = 0; next !== undefined && next <= at; n++) {
        at = n < mostFirings ? at : next
        const pair: [Sight, Sight] = [live.pass(next), run.pass(next)]
        sights.push(pair)
        next = pair[0].due[0]
        if (live.status !== 'active') return join(sights)
      }
      sights.push([live.pass(at), run.pass(at)])
      return join(sights)
    }
  }
}

/** The last sight, with what was told on the way. */
function join(sights: readonly [Sight, Sight][]): readonly [Sight, Sight] {
  const side = (i: 0 | 1): Sight => ({
    ...sights.at(-1)![i],
    emitted: sights.flatMap(pair => pair[i].emitted),
    told: sights.flatMap(pair => pair[i].told),
  })
  return [side(0), side(1)]
}

/** What is left out of the comparison, each with its reason. */
function comparable(theirs: Sight, ours: Sight, passed = false): Sight {
  if (theirs.status === 'active') return theirs
  // A finished run has nothing pending: its children are stopped and its timers dropped, also where XState leaves them.
  const { root } = theirs.system
  const left = { ...theirs, due: ours.due, timers: ours.timers, system: { ...ours.system, root } }
  // So timers of such children that fall due with the one that finished it are heard from a real actor only.
  return passed ? { ...left, told: theirs.told.slice(0, ours.told.length) } : left
}
