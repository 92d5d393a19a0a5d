import { describe, expect, test, vi } from 'vitest'
import {
  type AnyStateMachine,
  assign,
  emit,
  fromPromise,
  fromTransition,
  raise,
  sendTo,
  setup,
  spawnChild,
  stopChild,
} from 'xstate'
import type { RecordedEvent } from '../../../src/actors/contracts/json.ts'
import type { Origin } from '../../../src/actors/contracts/unit.ts'
import type { XMachinesError } from '../../../src/actors/errors.ts'
import { encodeState } from '../../../src/actors/machine/codec.ts'
import type { Decided, Decision, StepInput } from '../../../src/actors/machine/decision.ts'
import { type DefinitionOptions, defineMachine } from '../../../src/actors/machine/definition.ts'
import { Program } from '../../../src/actors/machine/program.ts'
import { StrictProgram } from '../../../src/actors/machine/strict/program.ts'
import { random } from '../../../src/actors/step.ts'

/** What `decide` adds to XState: refusals, policies, purity. */

const machine = (config: object, implementations: object = {}): AnyStateMachine =>
  setup(implementations as never).createMachine(config as never) as unknown as AnyStateMachine

/** A run of a machine: `send` decides on top of what stood last. */
function start(of: AnyStateMachine, options: DefinitionOptions = {}, strict = false) {
  const definition = defineMachine(of, options)
  const program = strict ? new StrictProgram(definition, 'sha1', 1) : new Program(definition, 'sha1')
  const system = program.createSystem(undefined)
  let { state } = program.initial(system, 0, () => 'seed')
  let seq = 0
  const decide = (
    events: readonly object[],
    origin: Origin = { kind: 'outside' },
    more: Partial<StepInput> = {},
  ): Decision => {
    const input = { seq: seq + 1, at: 0, events: events as RecordedEvent[], origin, seed: () => `seed ${seq}`, ...more }
    const decision = program.decide(system, state, input)
    if (decision.kind === 'decided') {
      state = decision.state
      seq++
    }
    return decision
  }
  return {
    program,
    system,
    decide,
    send: (...types: string[]) => decide(types.map(type => ({ type }))),
    get state() {
      return state
    },
    get encoded() {
      return JSON.stringify(encodeState(system, state))
    },
  }
}

function refusal(decision: Decision): XMachinesError {
  if (decision.kind !== 'refused') throw new Error(`it was ${decision.kind}`)
  return decision.error
}

function decided(decision: Decision): Decided {
  if (decision.kind !== 'decided') throw new Error(`it was ${decision.kind}`)
  return decision
}

const fail = (): never => {
  throw new Error('broken')
}

describe('policies', () => {
  const throwing = machine(
    {
      context: { n: 0 },
      on: {
        ADD: {
          actions: [
            assign({ n: ({ context }) => context.n + 1 }),
            emit(({ context }) => ({ type: 'N', n: context.n })),
            'act',
          ],
        },
        FAIL: { actions: ['act', emit({ type: 'LOST' }), assign({ n: fail })] },
      },
    },
    { actions: { act: () => {} } },
  )

  test("errors: 'reject' refuses the unit, and nothing of it happened", () => {
    const run = start(throwing)
    const before = run.encoded
    const error = refusal(run.send('ADD', 'FAIL'))
    expect([error.code, (error.cause as Error).message]).toEqual(['STEP_FAILED', 'broken'])
    expect(run.encoded).toBe(before)
  })

  test("errors: 'fatal' ends the run as XState leaves it: what was emitted and done before the throw stays", () => {
    const { state, outputs, effects, fatal } = decided(start(throwing, { errors: 'fatal' }).send('ADD', 'FAIL'))
    expect(fatal?.code).toBe('STEP_FAILED')
    expect([state.snapshot.status, state.snapshot.context]).toEqual(['error', { n: 1 }])
    expect(outputs).toEqual([{ type: 'N', n: 1 }])
    expect(effects).toHaveLength(2)
  })

  test('errors as a function decides by what was thrown', () => {
    const run = start(throwing, { errors: thrown => ((thrown as Error).message === 'broken' ? 'fatal' : 'reject') })
    expect(decided(run.send('FAIL')).fatal?.code).toBe('STEP_FAILED')
  })

  test('a recorded unit that throws ends the run, whatever the policy', () => {
    const run = start(throwing)
    expect(decided(run.decide([{ type: 'FAIL' }], { kind: 'outside' }, { recorded: true })).fatal?.code).toBe(
      'STEP_FAILED',
    )
  })

  test("unhandled: 'reject' refuses what no transition takes, unless it is recorded", () => {
    const run = start(throwing, { unhandled: 'reject' })
    expect(refusal(run.send('NOPE')).code).toBe('EVENT_UNHANDLED')
    expect(refusal(run.send('ADD', 'NOPE')).code).toBe('EVENT_UNHANDLED')
    expect(decided(run.decide([{ type: 'NOPE' }], { kind: 'outside' }, { recorded: true })).state).toBe(run.state)
  })

  test("a guard that throws under unhandled: 'reject' is still subject to errors", () => {
    const guarded = machine({ on: { GO: { guard: fail, actions: 'x' } } })
    expect(refusal(start(guarded, { unhandled: 'reject' }).send('GO')).code).toBe('STEP_FAILED')
    expect(decided(start(guarded, { unhandled: 'reject', errors: 'fatal' }).send('GO')).fatal?.code).toBe('STEP_FAILED')
  })

  test('asking whether an event is taken draws no randomness: a replay does not ask', () => {
    const drawing = machine({
      context: { drawn: 0 },
      on: { GO: { guard: () => random() >= 0, actions: assign({ drawn: () => random() }) } },
    })
    const asked = decided(start(drawing, { unhandled: 'reject' }).send('GO'))
    const replayed = decided(start(drawing).send('GO'))
    expect(asked.state.snapshot.context).toEqual(replayed.state.snapshot.context)
  })
})

describe('ends', () => {
  const ending = machine({ initial: 'a', states: { a: { on: { END: 'z' } }, z: { type: 'final' } } })

  test('a batch that finishes the run before its last event is refused whole', () => {
    const run = start(ending)
    expect(refusal(run.send('END', 'MORE')).code).toBe('RUN_FINISHED')
    expect(run.state.snapshot.value).toBe('a')
    expect(decided(run.send('MORE', 'END')).state.snapshot.status).toBe('done')
  })

  test.each([['done', 'END'] as const, ['error', 'FAIL'] as const])(
    'a run in status %s takes nothing more',
    (status, type) => {
      const run = start(machine({ ...ending.config, context: {}, on: { FAIL: { actions: assign(fail) } } }), {
        errors: 'fatal',
      })
      expect(decided(run.send(type)).state.snapshot.status).toBe(status)
      expect(refusal(run.send('MORE')).code).toBe('RUN_FINISHED')
      expect(refusal(run.decide([], { kind: 'stop', reason: 'again' })).code).toBe('RUN_FINISHED')
    },
  )

  test('a stopped run has nothing pending', () => {
    const run = start(
      machine(
        { entry: raise({ type: 'X' }, { delay: 10 }), invoke: { src: 'wait' } },
        { actors: { wait: fromPromise(async () => 0) } },
      ),
    )
    const { state } = decided(run.decide([], { kind: 'stop', reason: 'enough' }))
    expect(state.snapshot.status).toBe('stopped')
    expect([state.table.timers.size, state.table.invocations.size, state.table.actors.size]).toEqual([0, 0, 0])
  })
})

describe('what a run cannot hold', () => {
  const logic = fromTransition((n: number) => n + 1, 0)
  const kid = machine({
    context: {},
    initial: 'a',
    states: { a: { on: { END: 'z' } }, z: { type: 'final' } },
    output: () => new Date(0),
  })
  /** Logic of somebody's own, which keeps what it knows beside XState's properties. */
  const tally = {
    getInitialSnapshot: () => ({ status: 'active', output: undefined, error: undefined, seen: null }),
    transition: (snapshot: object) => ({ ...snapshot, seen: new Map() }),
    getPersistedSnapshot: (snapshot: object) => snapshot,
  }
  const unfit = machine(
    {
      context: { deep: { list: [] }, ref: null },
      on: {
        DATE: { actions: assign({ deep: () => ({ list: [0, new Date(0)] }) }) },
        PROTO: { actions: assign({ deep: () => JSON.parse('{"__proto__":{"x":1}}') }) },
        EMIT: { actions: emit({ type: 'OUT', fn: fail } as never) },
        DELAY: { actions: raise({ type: 'X' }, { delay: Number.POSITIVE_INFINITY }) },
        LATER: { actions: raise({ type: 'X', map: new Map() } as never, { delay: 1 }) },
        NOBODY: { actions: sendTo((() => ({ id: 'no actor' })) as never, { type: 'X' } as never, { delay: 1 }) },
        SPAWN: { actions: assign({ ref: ({ spawn }) => spawn(logic) }) },
        SPAWN_INPUT: { actions: spawnChild('kid' as never, { id: 'kid', input: { at: new Date(0) } } as never) },
        KID: { actions: [spawnChild('kid' as never, { id: 'kid' } as never), sendTo('kid', { type: 'END' })] },
        SPAWN_CUT: { actions: spawnChild('kid' as never, { id: '\u{1f600}'.slice(0, 1) } as never) },
        TALLY: { actions: [spawnChild('tally' as never, { id: 'tally' } as never), sendTo('tally', { type: 'SEE' })] },
      },
    },
    { actors: { kid, tally } },
  )

  test.each([
    ['DATE', 'STATE_NOT_JSON', 'a Date at context.deep.list[1]'],
    ['PROTO', 'STATE_NOT_JSON', 'the key `__proto__` at context.deep.'],
    ['EMIT', 'OUTPUT_NOT_JSON', '$.fn'],
    ['DELAY', 'STATE_NOT_JSON', 'Infinity'],
    ['LATER', 'STATE_NOT_JSON', "a Map at the delayed event 'X'.map"],
    ['NOBODY', 'STEP_FAILED', "The delayed event 'X' has no receiver"],
    ['SPAWN', 'MACHINE_UNSUPPORTED', "The actor 'x:1' was spawned from a logic object"],
    ['KID', 'STATE_NOT_JSON', 'a Date at children.kid.output'],
    ['TALLY', 'STATE_NOT_JSON', 'a Map at children.tally.seen'],
    ['SPAWN_CUT', 'STATE_NOT_JSON', 'The id of the actor "\\ud83d" holds a lone surrogate'],
  ])('%s is refused with %s, and nothing changed', (type, code, text) => {
    const run = start(unfit)
    const before = run.encoded
    const error = refusal(run.send(type))
    expect(error.code).toBe(code)
    expect(error.message).toContain(text)
    expect(run.encoded).toBe(before)
  })

  test('what a unit leaves that nobody can refuse ends the run, as it was before', () => {
    const run = start(
      machine({
        context: { n: 0 },
        entry: raise({ type: 'TICK' }, { delay: 5 }),
        on: { TICK: { actions: assign({ n: () => Number.NaN }) } },
      }),
    )
    const { state, fatal } = decided(run.decide([], { kind: 'timer', actor: [], armed: 0, index: 0 }))
    expect(fatal?.code).toBe('STATE_NOT_JSON')
    expect([state.snapshot.status, state.snapshot.context]).toEqual(['error', { n: 0 }])
  })

  test('a logic object that is spawned is refused with the path of the actor; in strict mode also with who spawned it', () => {
    const kid = machine({
      id: 'kid',
      context: { ref: null },
      on: { SPAWN: { actions: assign({ ref: ({ spawn }) => spawn(logic, { id: 'deep' }) }) } },
    })
    const parent = machine(
      { invoke: { src: 'kid', id: 'kid' }, on: { SPAWN: { actions: sendTo('kid', { type: 'SPAWN' }) } } },
      { actors: { kid } },
    )
    const plain = refusal(start(parent).send('SPAWN'))
    expect(plain).toMatchObject({ code: 'MACHINE_UNSUPPORTED', details: { path: 'kid/deep' } })
    expect(plain.message).toContain("The actor 'kid/deep' was spawned from a logic object")
    expect(plain.details).not.toHaveProperty('by')
    const by = "The assign on 'SPAWN' in 'kid'"
    const strict = refusal(start(parent, {}, true).send('SPAWN'))
    expect(strict).toMatchObject({ code: 'MACHINE_UNSUPPORTED', details: { path: 'kid/deep', by } })
    expect(strict.message).toContain(`The actor 'kid/deep' was spawned from a logic object (${by})`)
  })

  test('at the first step it throws', () => {
    const program = new Program(
      defineMachine(machine({ context: ({ spawn }: never) => ({ ref: (spawn as (l: object) => unknown)(logic) }) })),
      'sha1',
    )
    expect(() => program.initial(program.createSystem(undefined), 0, () => 'seed')).toThrow(
      'spawned from a logic object',
    )
  })
})

describe('purity', () => {
  const counter = machine({
    context: { n: 0 },
    on: { COUNT: { actions: assign({ n: ({ context }) => context.n + 1 }) } },
  })
  const reading = machine(
    {
      context: ({ spawn }: never) => ({
        ref: (spawn as (src: string, o: object) => unknown)('counter', { systemId: 'counter' }),
        read: [],
      }),
      on: {
        COUNT: {
          actions: sendTo(({ context }: { context: { ref: never } }) => context.ref, { type: 'COUNT' } as never),
        },
        READ: {
          actions: assign({
            read: ({ context, system }) => [
              (context.ref as { getSnapshot(): { context: { n: number } } }).getSnapshot().context.n,
              system.get('counter') === context.ref,
            ],
          }),
        },
      },
    },
    { actors: { counter } },
  )

  test('an assignment reads the state that is decided from, not the one that is shown', () => {
    const run = start(reading)
    run.system.visible = run.state
    run.send('COUNT')
    run.send('READ')
    expect(run.state.snapshot.context.read).toEqual([1, true])
  })

  test('what an assignment sends to itself is part of the unit, and of no other', () => {
    const run = start(
      machine({
        context: { seen: '' },
        on: {
          GO: {
            actions: assign(({ self }) => {
              self.send({ type: 'BACK' })
              return { seen: 'go' }
            }),
          },
          BACK: { actions: assign({ seen: ({ context }) => `${context.seen} back` }) },
        },
      }),
    )
    const sender = vi.fn()
    run.system.sender = sender
    run.send('GO')
    expect(run.state.snapshot.context).toEqual({ seen: 'go back' })
    expect(sender).not.toHaveBeenCalled()
  })

  test('a refused unit leaves no trace in the references of actors either', () => {
    const run = start(
      machine(
        {
          context: ({ spawn }: never) => ({
            ref: (spawn as (src: string, o: object) => unknown)('counter', { id: 'counter' }),
          }),
          on: {
            COUNT: { actions: sendTo('counter', { type: 'COUNT' }) },
            STOP: { actions: stopChild('counter') },
            FAIL: { actions: assign(fail) },
          },
        },
        { actors: { counter } },
      ),
    )
    const ref = run.state.snapshot.context.ref as { last: unknown }
    expect(refusal(run.send('COUNT', 'STOP', 'FAIL')).code).toBe('STEP_FAILED')
    expect(ref.last).toBeUndefined()
  })

  test('randomness needs the id of the unit before: without it the step is starved, with it the same every time', () => {
    const run = start(machine({ context: { r: 0 }, on: { DRAW: { actions: assign({ r: () => random() }) } } }))
    expect(run.program.drawsRandomness).toBe(false)
    expect(run.decide([{ type: 'DRAW' }], { kind: 'outside' }, { seed: undefined }).kind).toBe('starved')
    expect(run.program.drawsRandomness).toBe(true)
    const twice = [1, 2].map(() => {
      const input: StepInput = {
        seq: 1,
        at: 0,
        events: [{ type: 'DRAW' }],
        origin: { kind: 'outside' },
        seed: () => 'x',
      }
      return decided(run.program.decide(run.system, run.state, input)).state.snapshot.context.r
    })
    expect(twice[0]).toBe(twice[1])
  })
})

describe('the actor table', () => {
  test('keeps no actor that will never start', () => {
    const inner = machine({})
    const broken = machine({ context: {}, invoke: { src: 'inner' }, entry: assign(fail) }, { actors: { inner } })
    const run = start(
      machine(
        { initial: 'a', states: { a: { on: { GO: 'b' } }, b: { invoke: { src: 'broken', onError: 'a' } } } },
        { actors: { broken } },
      ),
    )
    for (let i = 0; i < 5; i++) run.send('GO')
    expect([run.state.snapshot.value, run.state.table.actors.size]).toEqual(['a', 0])
  })

  test('keeps no actor that is over, and no timer of one', () => {
    const kid = machine({ entry: raise({ type: 'X' }, { delay: 10, id: 'x' }) })
    const run = start(
      machine(
        {
          initial: 'a',
          states: { a: { on: { GO: 'b' } }, b: { invoke: { src: 'kid', systemId: 'kid' }, on: { GO: 'a' } } },
        },
        { actors: { kid } },
      ),
    )
    for (let i = 0; i < 6; i++) run.send('GO')
    const { actors, timers, systemIds } = run.state.table
    expect([actors.size, timers.size, systemIds.size]).toEqual([0, 0, 0])
  })

  test('tells two invocations of one id, entered by one unit, apart', () => {
    const wait = fromPromise(async () => 0)
    const run = start(
      machine({ on: { GO: { actions: spawnChild('wait' as never, { id: 'w' } as never) } } }, { actors: { wait } }),
    )
    run.send('GO', 'GO')
    run.send('GO')
    expect([...run.state.table.invocations.values()].map(({ path, entered }) => [path, entered])).toEqual([
      [['w'], 1],
      [['w#2'], 1],
      [['w'], 2],
    ])
  })
})
