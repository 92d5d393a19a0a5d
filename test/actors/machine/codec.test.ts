import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { type AnyStateMachine, assign, fromPromise, fromTransition, raise, sendTo, setup, stopChild } from 'xstate'
import type { JsonObject, JsonValue, RecordedEvent } from '../../../src/actors/contracts/json.ts'
import type { Origin } from '../../../src/actors/contracts/unit.ts'
import { decodeState, encodeState } from '../../../src/actors/machine/codec.ts'
import { defineMachine } from '../../../src/actors/machine/definition.ts'
import { Program } from '../../../src/actors/machine/program.ts'
import type { RunState } from '../../../src/actors/machine/state.ts'
import type { ActorSystem } from '../../../src/actors/machine/system.ts'
import { hashValue } from '../../../src/actors/machine/value-hash.ts'
import { arbitraryMachine, arbitraryScript } from '../../arbitraries/machines.ts'
import { DecidedRun } from './decided-run.ts'
import { LiveRun } from './live-run.ts'

/** States as JSON. That a restored run goes on as if nothing had been is the differential suite's business. */

beforeEach(() => {
  vi.spyOn(console, 'warn').mockImplementation(() => {})
})
afterEach(() => {
  vi.restoreAllMocks()
})

const machine = (config: object, implementations: object = {}): AnyStateMachine =>
  setup(implementations as never).createMachine({ id: 'm', ...config } as never) as unknown as AnyStateMachine

class Case {
  readonly program: Program
  system: ActorSystem
  state: RunState
  #seq = 0
  constructor(of: AnyStateMachine, input?: unknown) {
    this.program = new Program(defineMachine(of, { errors: 'fatal' }), 'sha1')
    this.system = this.program.createSystem(input)
    this.state = this.program.initial(this.system, 0, () => 'seed').state
  }
  send(event: object, origin: Origin = { kind: 'outside' }): this {
    const events = [event as RecordedEvent]
    const decision = this.program.decide(this.system, this.state, {
      seq: ++this.#seq,
      at: 0,
      events,
      origin,
      seed: () => '',
    })
    if (decision.kind !== 'decided') throw new Error(decision.kind)
    this.state = decision.state
    return this
  }
  get json(): JsonValue {
    return JSON.parse(JSON.stringify(encodeState(this.system, this.state))) as JsonValue
  }
  restore(): this {
    const { json } = this
    this.system = this.program.createSystem(undefined)
    this.state = decodeState(this.system, json)
    this.system.visible = this.state
    expect(this.json).toEqual(json)
    return this
  }
  get context(): Record<string, never> {
    return this.state.snapshot.context as Record<string, never>
  }
}

const counter = fromTransition((n: number, event) => (event.type === 'COUNT' ? n + 1 : n), 0)
const spawn =
  (src: string, options: object) =>
  ({ spawn }: { spawn: (src: string, options: object) => unknown }) =>
    spawn(src, options)

describe('what a context may hold', () => {
  test('references anywhere come back as the same actors', () => {
    const run = new Case(
      machine(
        {
          context: ({ spawn }: { spawn: (src: string, options: object) => unknown }) => {
            const a = spawn('counter', { id: 'a', systemId: 'one' })
            return { list: [{ a }, a], a }
          },
        },
        { actors: { counter } },
      ),
    ).restore()
    const { list, a } = run.context as unknown as { list: [{ a: unknown }, unknown]; a: { getSnapshot(): unknown } }
    expect(list[0].a).toBe(a)
    expect(list[1]).toBe(a)
    expect(run.state.snapshot.children.a).toBe(a)
    expect(run.system.get('one')).toBe(a)
    expect(a.getSnapshot()).toMatchObject({ context: 0 })
  })

  test('itself, too', () => {
    const run = new Case(machine({ context: ({ self }: { self: unknown }) => ({ self }) })).restore()
    expect(run.context.self).toBe(run.system.root)
  })

  test('an actor that is over keeps its last snapshot', () => {
    const on = {
      SPAWN: { actions: assign({ a: spawn('counter', { id: 'a' }) as never }) },
      COUNT: { actions: sendTo('a', { type: 'COUNT' }) },
      STOP: { actions: stopChild('a') },
    }
    const run = new Case(machine({ context: { a: null }, on }, { actors: { counter } }))
    run.send({ type: 'SPAWN' }).send({ type: 'COUNT' }).send({ type: 'STOP' }).restore()
    const a = run.context.a as unknown as { getSnapshot(): unknown; _processingStatus: number }
    expect([a.getSnapshot(), a._processingStatus]).toEqual([{ status: 'active', context: 1 }, 2])
    expect(run.state.table.actors.size).toBe(0)
  })

  test('data of the shape of a reference stays data', () => {
    const look = { sessionId: 'x:0', id: 'm', system: {}, _parent: { id: 'm', _parent: null } }
    const run = new Case(machine({ context: { look, list: [{ ...look, _parent: null }] } })).restore()
    expect(run.context).toEqual({ look, list: [{ ...look, _parent: null }] })
    expect(() => hashValue(run.context)).not.toThrow()
  })

  test('a snapshot of custom logic, whatever its properties are called', () => {
    const coffee = {
      getInitialSnapshot: () => ({ status: 'active', machine: 'espresso', value: 'full', children: 0 }),
      transition: (snapshot: object) => snapshot,
      getPersistedSnapshot: (snapshot: object) => snapshot,
    }
    const run = new Case(machine({ invoke: { src: 'coffee', id: 'c' } }, { actors: { coffee } })).restore()
    expect([...run.state.table.actors.values()]).toEqual([coffee.getInitialSnapshot()])
  })

  test('any JSON, with undefined as absent and keys like our own marks', () => {
    fc.assert(
      fc.property(
        fc.jsonValue({ maxDepth: 4 }),
        fc.constantFrom('xmachines$actor', 'xmachines$error', 'xmachines$', 'xstate$$type', 'a'),
        (value, key) => {
          const plain = JSON.parse(
            JSON.stringify(value).replaceAll('-0', '0').replaceAll('"__proto__"', '"proto"'),
          ) as JsonValue
          const run = new Case(
            machine({ context: { value: plain, [key]: { [key]: 'x:0', xstate$$type: 1, id: 'a' }, none: undefined } }),
          ).restore()
          expect(run.context).toEqual({ value: plain, [key]: { [key]: 'x:0', xstate$$type: 1, id: 'a' } })
        },
      ),
    )
  })
})

describe('beside the context', () => {
  test('whether anybody said that the snapshots of a child are sent: XState persists that', () => {
    const run = new Case(
      machine(
        {
          context: ({ spawn }: { spawn: (src: string, options: object) => unknown }) => ({
            said: [true, false].map(syncSnapshot => spawn('counter', { id: `${syncSnapshot}`, syncSnapshot })),
            unsaid: spawn('counter', { id: 'unsaid' }),
          }),
        },
        { actors: { counter } },
      ),
    )
    const persisted = (): string => {
      run.system.visible = run.state
      return JSON.stringify(run.system.root.getPersistedSnapshot())
    }
    const before = persisted()
    run.restore()
    expect(persisted()).toBe(before)
  })

  test('timers keep their due time, their receiver and which of them an id names', () => {
    const run = new Case(
      machine({
        on: {
          ARM: { actions: raise({ type: 'X' }, { delay: 10, id: 't' }) },
          ECHO: { actions: raise({ type: 'Y' }, { delay: 5 }) },
        },
      }),
    )
    run.send({ type: 'ARM' }).send({ type: 'ARM' }).send({ type: 'ECHO' }).restore()
    const timers = run.state.table.timers.values()
    expect(timers.map(({ id, named, due, armed, index, event }) => [id, named, due, armed, index, event.type])).toEqual(
      [
        ['t', false, 10, 1, 0, 'X'],
        ['t', true, 10, 2, 0, 'X'],
        ['3:0', true, 5, 3, 0, 'Y'],
      ],
    )
    expect(timers.every(({ source, target }) => source === run.system.root && target === run.system.root)).toBe(true)
  })

  test('invocations stay pending, with the unit that entered them', () => {
    const wait = fromPromise(async () => 0)
    const run = new Case(
      machine({ on: { GO: '.b' }, initial: 'a', states: { a: {}, b: { invoke: { src: wait, input: { n: 1 } } } } }),
    )
    run.send({ type: 'GO' }).restore()
    const [invocation] = [...run.state.table.invocations.values()]
    expect(invocation).toMatchObject({ path: ['0.m.b'], entered: 1 })
    expect(invocation!.actor.getSnapshot()).toMatchObject({ status: 'active', input: { n: 1 } })
    run.send({ type: 'xmachines.resolve', value: 1 }, { kind: 'effect', actor: ['0.m.b'], entered: 1 })
    expect(run.state.table.invocations.size).toBe(0)
  })

  test('an error keeps its name, message and code', () => {
    const run = new Case(
      machine({
        context: {},
        on: {
          FAIL: {
            actions: assign(() => {
              throw Object.assign(new TypeError('broken'), { code: 'E1' })
            }),
          },
        },
      }),
    )
    run.send({ type: 'FAIL' }).restore()
    expect(run.state.snapshot.error).toBeInstanceOf(Error)
    expect(run.state.snapshot.error).toMatchObject({ name: 'TypeError', message: 'broken', code: 'E1' })
  })

  test('what was thrown and is no error: as it is where that is JSON, else as an error with its text', () => {
    const cycle: { self?: unknown } = {}
    cycle.self = cycle
    for (const [thrown, kept] of [
      [{ reason: 'down' }, { reason: 'down' }],
      [null, null],
      [cycle, new Error('[object Object]')],
      [Symbol('gone'), new Error('Symbol(gone)')],
    ]) {
      const fails = assign((): never => {
        throw thrown
      })
      const child = machine({ context: {}, on: { FAIL: { actions: fails } } })
      const run = new Case(child)
      run.send({ type: 'FAIL' }).restore()
      expect(run.state.snapshot).toMatchObject({ status: 'error', error: kept })
      const invoke = { src: 'child', id: 'c', onError: {} }
      const parent = new Case(
        machine({ invoke, on: { FAIL: { actions: sendTo('c', { type: 'FAIL' }) } } }, { actors: { child } }),
      )
      parent.send({ type: 'FAIL' }).restore()
      const { children } = parent.state.snapshot as unknown as { children: { c: { getSnapshot(): object } } }
      expect(children.c.getSnapshot()).toMatchObject({ status: 'error', error: kept })
    }
  })

  test('history, also under ids with dots', () => {
    const run = new Case(
      machine({
        initial: 'a',
        states: {
          a: {
            id: 'with.dots',
            initial: 'x.y',
            states: { 'x.y': { on: { NEXT: 'z' } }, z: { id: 'z.z' }, back: { type: 'history' } },
            on: { LEAVE: '#away' },
          },
          away: { id: 'away', on: { BACK: '#hist' } },
          hist: { id: 'hist', always: 'a.back' },
        },
      } as never),
    )
    run.send({ type: 'NEXT' }).send({ type: 'LEAVE' }).restore().send({ type: 'BACK' }).restore()
    expect(run.state.snapshot.value).toEqual({ a: 'z' })
  })

  test('a session id that was given out is not given out again', () => {
    const of = machine(
      { context: { a: null }, on: { SPAWN: { actions: assign({ a: spawn('counter', {}) as never }) } } },
      { actors: { counter } },
    )
    const run = new Case(of).send({ type: 'SPAWN' }).restore().send({ type: 'SPAWN' })
    expect(Object.keys(run.state.snapshot.children)).toEqual(['x:1', 'x:2'])
  })

  test('decoding starts nothing, enters nothing and runs no code of the machine', () => {
    const ran = vi.fn(() => ({}))
    const kid = machine({ id: 'kid', entry: assign(ran), context: ran })
    const run = new Case(machine({ entry: assign(ran), context: ran, invoke: { src: 'kid' } }, { actors: { kid } }))
    const before = ran.mock.calls.length
    run.restore()
    expect(ran).toHaveBeenCalledTimes(before)
  })
})

describe('another machine than the one that wrote it', () => {
  const saved = (): JsonValue =>
    new Case(
      machine({ initial: 'old', states: { old: { invoke: { src: 'counter', id: 'c' } } } }, { actors: { counter } }),
    ).json
  const read = (of: AnyStateMachine): RunState => {
    const program = new Program(defineMachine(of), 'sha1')
    return decodeState(program.createSystem(undefined), saved())
  }

  test('without one of its actors: MACHINE_MISMATCH names it', () => {
    expect(() => read(machine({ initial: 'old', states: { old: {} } }))).toThrow("has no actor 'counter' any more")
  })

  test('without one of its states: MACHINE_MISMATCH names it', () => {
    expect(() => read(machine({ initial: 'renamed', states: { renamed: {} } }, { actors: { counter } }))).toThrow(
      "has no state 'm.old' any more",
    )
  })
})

test(
  'what references persist is what XState persists',
  () => {
    fc.assert(
      fc.property(arbitraryMachine({ throws: false }), arbitraryScript(), ({ build }, script) => {
        const live = new LiveRun(build)
        const run = new DecidedRun(build)
        live.start()
        run.start()
        for (const step of script) {
          if (step.does !== 'send' || live.status !== 'active') return
          live.send(step.event)
          run.send(step.event)
          if (run.refused !== undefined) return
          expect(persisted(run.system.root)).toEqual(persisted(live.actor))
        }
      }),
      { numRuns: Number(process.env.FC_RUNS ?? 30) },
    )
  },
  30_000 + Number(process.env.FC_RUNS ?? 0) * 500,
)

/** Without what differs from process to process: ids that are session ids. */
function persisted(actor: { getPersistedSnapshot(): unknown }): JsonObject {
  return JSON.parse(
    JSON.stringify(actor.getPersistedSnapshot())
      .replace(/"x:\d+"/g, '"session"')
      .replace(/\bx:\d+/g, 'session'),
  ) as JsonObject
}
