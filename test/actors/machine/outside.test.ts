import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { type AnyStateMachine, assign, type EventObject, sendTo, setup } from 'xstate'
import type { JsonObject, RecordedEvent } from '../../../src/actors/contracts/json.ts'
import { XMachinesError } from '../../../src/actors/errors.ts'
import { readTold, recordTold } from '../../../src/actors/machine/outcome.ts'
import type { Invocation } from '../../../src/actors/machine/state.ts'
import type { Recorder, ScriptStep } from '../../arbitraries/machine-description.ts'
import { arbitraryMachine, arbitraryScript } from '../../arbitraries/machines.ts'
import type { OutsideKind, OutsideLogic } from '../../arbitraries/outside-logic.ts'
import { comparable } from './compare.ts'
import { ControlledLogic, type Outcome, recordOutcome } from './controlled-logic.ts'
import { DecidedRun, type Manner } from './decided-run.ts'
import { LiveRun, type Sight } from './live-run.ts'

/** Promises, callbacks and observables: what they tell has the same consequences for a run as for a real actor. */

beforeEach(() => {
  vi.spyOn(console, 'warn').mockImplementation(() => {})
})
afterEach(() => {
  vi.restoreAllMocks()
})

type Build = (record: Recorder, outside: OutsideLogic) => AnyStateMachine

/** A real actor and a run of ours, side by side. */
class Pair {
  readonly live: LiveRun
  readonly run: DecidedRun
  #liveLogic!: ControlledLogic
  #runLogic!: ControlledLogic
  readonly #base: number

  constructor(build: Build, manner: Manner = {}, input?: unknown) {
    this.live = new LiveRun(record => {
      this.#liveLogic = new ControlledLogic(record)
      return build(record, this.#liveLogic.logic)
    }, input)
    this.run = new DecidedRun(
      record => {
        this.#runLogic = new ControlledLogic(record)
        return build(record, this.#runLogic.logic)
      },
      { errors: 'fatal', ...manner },
      input,
    )
    this.#base = Number(this.live.actor.sessionId.slice(2))
  }

  /** Whether the run goes on. */
  start(): boolean {
    const theirs = this.live.start()
    const ours = this.run.start()
    if (XMachinesError.is(ours)) {
      expect(theirs.status).toBe('error')
      return false
    }
    return this.#same(theirs, ours)
  }
  step(step: ScriptStep): boolean {
    if (step.does === 'pass') return true
    const events = step.does === 'send' ? [step.event] : step.events
    const [theirs, ours] = [this.live.send(...events), this.run.send(...events)]
    if (this.run.refused !== undefined) return false
    return this.#same(theirs, ours)
  }
  /** Something happens to one of the pending invocations. */
  async tell(pick: number, outcome: (kind: OutsideKind) => Outcome): Promise<boolean> {
    const invocation = this.pending[pick % this.pending.length]
    if (invocation === undefined) return true
    const kind = this.#runLogic.kindOf(invocation.actor.behaviour)
    const what = outcome(kind)
    this.#liveLogic.running.get(this.#liveSession(invocation))!(what)
    await new Promise(resolve => setImmediate(resolve))
    const ours = this.run.tell(invocation.path, invocation.entered, recordOutcome(kind, what))
    return this.#same(this.live.see(), ours)
  }
  get pending(): readonly Invocation[] {
    return [...this.run.state.table.invocations.values()]
  }

  #liveSession({ actor }: Invocation): string {
    return `x:${Number(actor.sessionId.slice(2)) + this.#base}`
  }
  #same(theirs: Sight, ours: Sight): boolean {
    expect(ours).toEqual(comparable(theirs, ours))
    if (theirs.status !== 'active') return false
    const running = this.pending.map(invocation => this.#liveSession(invocation))
    expect(running.sort()).toEqual([...this.#liveLogic.running.keys()].sort())
    return true
  }
}

const event: fc.Arbitrary<EventObject> = fc.record({ type: fc.constantFrom('P1', 'R1', 'L1', 'L2', 'nobody') })
const json = fc.constantFrom<unknown>(1, 'text', { deep: [1, null] }, null, undefined)
const thrown = fc.oneof(
  fc.constantFrom<unknown>('not an error', null, undefined, { code: 7 }),
  fc.string().map(message => new TypeError(message)),
)

/** An outcome for whatever kind it hits. */
const outcome: fc.Arbitrary<(kind: OutsideKind) => Outcome> = fc
  .record({ how: fc.nat(4), json, thrown, event })
  .map(({ how, json, thrown, event }) => kind => {
    if (kind === 'callback') return { does: 'send', event }
    if (kind === 'promise') return how < 3 ? { does: 'resolve', value: json } : { does: 'reject', thrown }
    if (how < 3) return { does: 'next', value: kind === 'events' ? event : json }
    return how === 3 ? { does: 'complete' } : { does: 'reject', thrown }
  })

const runs = Number(process.env.FC_RUNS ?? 60)

test.each<[string, Manner]>([
  ['as it is', {}],
  ['restored from JSON text before every step', { restored: true }],
  ['decided twice', { twice: true }],
])(
  'any machine with effects, any script and outcomes: as a real actor, %s',
  async (_name, manner) => {
    const step = fc.oneof(
      { weight: 2, arbitrary: fc.record({ pick: fc.nat(5), outcome }) },
      { weight: 1, arbitrary: arbitraryScript({ timers: false }).map(script => script[0]!) },
    )
    await fc.assert(
      fc.asyncProperty(
        arbitraryMachine({ effects: true, timers: false }),
        fc.array(step, { minLength: 3, maxLength: 12 }),
        fc.nat(9),
        async ({ build }, script, seed) => {
          const pair = new Pair(build, manner, { seed })
          if (!pair.start()) return
          for (const step of script) {
            const goesOn = 'outcome' in step ? await pair.tell(step.pick, step.outcome) : pair.step(step)
            if (!goesOn) return
          }
        },
      ),
      { numRuns: runs },
    )
  },
  30_000 + runs * 1000,
)

describe('by hand', () => {
  const machine = (kind: OutsideKind, invoke: object, more: object = {}): Build => {
    return (record, outside) =>
      setup({
        actors: outside as never,
        actions: { tell: ({ event }) => record(`root ${event.type}`) },
      }).createMachine({
        context: {},
        initial: 'a',
        states: {
          a: { invoke: { src: kind, id: 'job', input: { n: 1 }, ...invoke }, on: { LEAVE: 'b' } },
          b: { on: { BACK: 'a' } },
        },
        ...more,
      } as never) as unknown as AnyStateMachine
  }
  const started = (build: Build): Pair => {
    const pair = new Pair(build)
    expect(pair.start()).toBe(true)
    return pair
  }

  test('a promise that resolves: onDone with its value', async () => {
    const pair = started(
      machine('promise', {
        onDone: { target: 'b', actions: assign({ got: ({ event }: never) => (event as { output: unknown }).output }) },
      }),
    )
    await pair.tell(0, () => ({ does: 'resolve', value: { answer: 42 } }))
    expect(pair.run.state.snapshot).toMatchObject({ value: 'b', context: { got: { answer: 42 } } })
    expect(pair.pending).toEqual([])
  })

  test('a promise that rejects: onError with an Error, rebuilt with its name and code', async () => {
    let seen: unknown
    const pair = started(
      machine('promise', {
        onError: {
          target: 'b',
          guard: ({ event }: { event: { error: unknown } }) => (seen = event.error) !== undefined,
        },
      }),
    )
    await pair.tell(0, () => ({ does: 'reject', thrown: Object.assign(new RangeError('too far'), { code: 'E_FAR' }) }))
    expect(seen).toBeInstanceOf(Error)
    expect(seen).toMatchObject({ name: 'RangeError', message: 'too far', code: 'E_FAR' })
    expect(pair.run.state.snapshot.value).toBe('b')
  })

  test('without onError, it ends the run', async () => {
    const pair = started(machine('promise', {}))
    expect(await pair.tell(0, () => ({ does: 'reject', thrown: new Error('unheard') }))).toBe(false)
    expect(pair.run.state.snapshot.status).toBe('error')
  })

  test('an observable: onSnapshot for each value, onDone at its end', async () => {
    const pair = started(machine('observable', { onSnapshot: { actions: 'tell' }, onDone: 'b' }))
    await pair.tell(0, () => ({ does: 'next', value: 7 }))
    expect(pair.run.system.snapshotOf(pair.pending[0]!.actor).context).toBe(7)
    await pair.tell(0, () => ({ does: 'complete' }))
    expect(pair.run.state.snapshot.value).toBe('b')
  })

  test('an event observable and a callback send to the parent; what a callback is sent is an effect', async () => {
    for (const kind of ['events', 'callback'] as const) {
      const pair = started(
        machine(kind, {}, { on: { PING: { actions: 'tell' }, ASK: { actions: sendTo('job', { type: 'ASKED' }) } } }),
      )
      const ping = { type: 'PING' }
      await pair.tell(0, () => (kind === 'events' ? { does: 'next', value: ping } : { does: 'send', event: ping }))
      pair.step({ does: 'send', event: { type: 'ASK', by: 0 } })
      expect(pair.pending).toHaveLength(1)
    }
  })

  test('what was entered and left within one unit is not pending at its end', () => {
    const pair = started(machine('promise', {}))
    pair.step({ does: 'send', event: { type: 'LEAVE', by: 0 } })
    pair.step({
      does: 'batch',
      events: [
        { type: 'BACK', by: 0 },
        { type: 'LEAVE', by: 0 },
      ],
    })
    expect(pair.pending).toEqual([])
  })

  test('the outcome of an old generation is no unit: the new one of the same id goes on', () => {
    const pair = started(machine('promise', {}))
    const [old] = pair.pending
    pair.step({
      does: 'batch',
      events: [
        { type: 'LEAVE', by: 0 },
        { type: 'BACK', by: 0 },
      ],
    })
    const late = recordOutcome('promise', { does: 'resolve', value: 1 })
    expect(() => pair.run.tell(old!.path, old!.entered, late)).toThrow('its invocation is not pending')
    expect(pair.pending.map(({ path, entered }) => [path, entered])).toEqual([[['job'], 1]])
  })

  test('what arrives under XState’s own names from elsewhere does nothing to a callback', () => {
    const pair = started(
      machine('callback', {}, { on: { ASK: { actions: sendTo('job', { type: 'xstate.promise.resolve' } as never) } } }),
    )
    pair.step({ does: 'send', event: { type: 'ASK', by: 0 } })
    expect(pair.pending).toHaveLength(1)
  })
})

test('what is told reads back as it was recorded', () => {
  const told = fc.oneof(
    fc.record({ type: fc.constantFrom('xstate.promise.resolve', 'xstate.observable.next'), data: json }),
    fc.record({ type: fc.constantFrom('xstate.promise.reject', 'xstate.observable.error'), data: thrown }),
    fc.record({ type: fc.constantFrom('xstate.observable.complete') }),
  )
  fc.assert(
    fc.property(told, event => {
      const recorded = JSON.parse(JSON.stringify(recordTold({ to: 'self', event }))) as RecordedEvent
      expect(recorded.type).toMatch(/^xmachines\./)
      const read = readTold(recorded).event as unknown as JsonObject
      expect([read.type, read.data]).toEqual([event.type, (event as { data?: unknown }).data])
    }),
  )
})
