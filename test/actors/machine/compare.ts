import { expect } from 'vitest'
import type { AnyStateMachine } from 'xstate'
import { XMachinesError } from '../../../src/actors/errors.ts'
import type { OutsideEvent, Recorder, ScriptStep } from '../../arbitraries/machine-description.ts'
import { DecidedRun, type Manner } from './decided-run.ts'
import { LiveRun, type Sight } from './live-run.ts'

/** The ways to run a machine that must make no difference. */
const manners: Readonly<Record<string, Manner>> = {
  'as it is': { errors: 'fatal' },
  'refusing what throws': { errors: 'reject' },
  'restored from JSON text before every step': { errors: 'fatal', restored: true },
  'every unit decided twice, the state before untouched': { errors: 'fatal', twice: true },
  'every state frozen': { errors: 'fatal', frozen: true },
  'without remembered selections': { errors: 'fatal', slow: true },
  'the events of a batch one by one': { errors: 'fatal', single: true },
}

type Build = (record: Recorder) => AnyStateMachine

/** Runs a machine as a real actor, then in every manner: all must show the same. Returns what was seen, the start first. */
export function compare(build: Build, script: readonly ScriptStep[], input?: unknown): readonly Sight[] {
  const live = watch(build, script, input)
  for (const [name, manner] of Object.entries(manners)) follow(live, new DecidedRun(build, manner, input), name)
  return [live.first, ...live.steps.map(({ sight }) => sight)]
}

/** {@link compare} for scripts by hand: a type or an event, an array as a batch, a number as milliseconds that pass. */
export function play(build: Build, ...script: readonly Play[]): readonly Sight[] {
  return compare(
    build,
    script.map((item): ScriptStep => {
      if (typeof item === 'number') return { does: 'pass', ms: item }
      if (Array.isArray(item)) return { does: 'batch', events: item.map(toEvent) }
      return { does: 'send', event: toEvent(item as string | { type: string }) }
    }),
  )
}

type Play = number | string | { readonly type: string } | readonly (string | { readonly type: string })[]

function toEvent(event: string | { readonly type: string }): OutsideEvent {
  return (typeof event === 'string' ? { type: event } : event) as OutsideEvent
}

/** What a real actor did: the start, then each step with the times at which timers were due. */
interface Watched {
  readonly first: Sight
  readonly steps: readonly { readonly step: ScriptStep; readonly stops: readonly number[]; readonly sight: Sight }[]
}

function watch(build: Build, script: readonly ScriptStep[], input: unknown): Watched {
  const live = new LiveRun(build, input)
  const first = live.start()
  const steps: Watched['steps'][number][] = []
  for (const step of script) {
    if (live.status !== 'active') break
    if (step.does === 'pass') steps.push({ step, ...pass(live, step.ms) })
    else
      steps.push({ step, stops: [], sight: step.does === 'send' ? live.send(step.event) : live.send(...step.events) })
  }
  return { first, steps }
}

/** Timers that arm one another must not go on for ever. */
const mostStops = 40

/** To each due time on its own: SimulatedClock counts what a timer arms from where it is set to. */
function pass(live: LiveRun, ms: number): { readonly stops: readonly number[]; readonly sight: Sight } {
  const to = live.now + ms
  const stops: number[] = []
  const sights: Sight[] = []
  for (let at = live.see().due[0]; ; at = sights.at(-1)!.due[0]) {
    if (stops.length === mostStops || live.status !== 'active') break
    const next = at === undefined || at > to ? to : at
    stops.push(next)
    sights.push(live.pass(next))
    if (next === to && !(sights.at(-1)!.due[0]! <= to)) break
  }
  return { stops, sight: join(sights) }
}

/** The last sight, with what was told on the way. */
function join(sights: readonly Sight[]): Sight {
  return {
    ...sights.at(-1)!,
    emitted: sights.flatMap(sight => sight.emitted),
    told: sights.flatMap(sight => sight.told),
  }
}

function follow(live: Watched, run: DecidedRun, manner: string): void {
  const first = run.start()
  if (XMachinesError.is(first)) {
    // A first step that throws makes no run (semantics 13); a real actor is there, in status error.
    expect(first.code, manner).toBe('STEP_FAILED')
    expect((first.cause as Error).message, manner).toBe(live.first.error)
    return
  }
  expect(first, manner).toEqual(comparable(live.first, first))
  for (const { step, stops, sight } of live.steps) {
    const ours = take(run, step, stops)
    if (run.refused !== undefined) {
      // Refused, and nothing happened. A real actor has no such thing: it errored, or was done before the batch's last event.
      expect(sight.status, manner).not.toBe('active')
      return
    }
    expect(ours, manner).toEqual(comparable(sight, ours, step.does === 'pass'))
  }
}

function take(run: DecidedRun, step: ScriptStep, stops: readonly number[]): Sight {
  if (step.does === 'send') return run.send(step.event)
  if (step.does === 'batch') return run.send(...step.events)
  return join(stops.map(at => run.pass(at)))
}

/** What is left out of the comparison, each with its reason. */
export function comparable(theirs: Sight, ours: Sight, passed = false): Sight {
  if (theirs.status === 'active') return theirs
  // A finished run has nothing pending: its children are stopped and its timers dropped, also where XState leaves them.
  const { root } = theirs.system
  const left = { ...theirs, due: ours.due, timers: ours.timers, system: { ...ours.system, root } }
  // So timers of such children that fall due with the one that finished it are heard from a real actor only.
  return passed ? { ...left, told: theirs.told.slice(0, ours.told.length) } : left
}
