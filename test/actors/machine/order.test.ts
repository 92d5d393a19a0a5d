import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { assign, createMachine, emit, fromTransition, log, raise, sendParent, sendTo, setup } from 'xstate'
import type { Recorder } from '../../arbitraries/machine-description.ts'
import { play } from './compare.ts'

/** XState's order of things, rule by rule. `play` holds every one against a real actor and in every manner of running. */

beforeEach(() => {
  vi.spyOn(console, 'warn').mockImplementation(() => {})
})
afterEach(() => {
  vi.restoreAllMocks()
})

const told =
  (record: Recorder, name: string) =>
  ({ event }: { event: { type: string } }): void =>
    record(`${name} ${event.type}`)

describe('mailboxes', () => {
  test('mail to an idle actor is handled at once, inside the sender’s turn; mail to a busy one waits', () => {
    const build = (record: Recorder) => {
      const kid = (name: string) =>
        createMachine({
          on: {
            GO: {
              actions: [sendTo(({ system }) => system.get('b'), { type: 'FROM_A' }), sendParent({ type: 'REPLY' })],
            },
            '*': { actions: told(record, name) },
          },
        })
      return setup({ actors: { a: kid('a'), b: kid('b') } }).createMachine({
        invoke: [
          { src: 'a', id: 'a' },
          { src: 'b', id: 'b', systemId: 'b' },
        ],
        on: {
          GO: { actions: [sendTo('a', { type: 'GO' }), sendTo('b', { type: 'FROM_ROOT' })] },
          REPLY: { actions: told(record, 'root') },
        },
      })
    }
    expect(play(build, 'GO').at(-1)!.told).toEqual(['b FROM_A', 'b FROM_ROOT', 'root REPLY'])
  })

  test('a second event from outside meets a quiet system: replies of children come first', () => {
    const build = (record: Recorder) => {
      const kid = createMachine({ on: { ASK: { actions: sendParent({ type: 'REPLY' }) } } })
      return setup({ actors: { kid } }).createMachine({
        invoke: { src: 'kid', id: 'kid' },
        on: { GO: { actions: sendTo('kid', { type: 'ASK' }) }, '*': { actions: told(record, 'root') } },
      })
    }
    expect(play(build, ['GO', 'NEXT']).at(-1)!.told).toEqual(['root REPLY', 'root NEXT'])
  })

  test('a mailbox opens only at the end of the start', () => {
    const build = (record: Recorder) => {
      const kid = createMachine({
        entry: [sendTo(({ self }) => self, { type: 'EARLY' }), told(record, 'kid')],
        on: { EARLY: { actions: told(record, 'kid') } },
      })
      return setup({ actors: { kid } }).createMachine({ invoke: { src: 'kid' }, entry: told(record, 'root') })
    }
    expect(play(build)[0]!.told).toEqual(['kid xstate.init', 'kid EARLY', 'root xstate.init'])
  })
})

describe('a macrostep', () => {
  test('exit, transition, entry, then eventless, then raised', () => {
    const build = (record: Recorder) =>
      createMachine({
        initial: 'a',
        states: {
          a: { exit: told(record, 'exit a'), on: { GO: { target: 'b', actions: told(record, 'go') } } },
          b: {
            entry: [raise({ type: 'RAISED' }), told(record, 'entry b')],
            always: { target: 'c', actions: told(record, 'always') },
          },
          c: { entry: told(record, 'entry c'), on: { RAISED: { actions: told(record, 'raised') } } },
        },
      })
    expect(play(build, 'GO').at(-1)!.told).toEqual([
      'exit a GO',
      'go GO',
      'entry b GO',
      'always GO',
      'entry c GO',
      'raised RAISED',
    ])
  })

  test('custom actions and log run on the way; emit and sendTo wait until the snapshot is stored', () => {
    const build = (record: Recorder) =>
      createMachine({
        context: { n: 0 },
        on: {
          GO: {
            actions: [
              emit(({ context }) => ({ type: 'OUT', n: context.n })),
              sendTo(({ self }) => self, { type: 'LATER' }),
              told(record, 'first'),
              log('logged'),
              assign({ n: 1 }),
              raise({ type: 'RAISED' }),
            ],
          },
          '*': { actions: told(record, 'then') },
        },
      })
    const [, sight] = play(build, 'GO')
    expect(sight!.told).toEqual(['first GO', 'log logged', 'then RAISED', 'then LATER'])
    expect(sight!.emitted).toEqual([{ type: 'OUT', n: 0 }])
  })

  test('every raise comes before every sendTo, also to self: R1 R2 K1 R3 K2 K3 K1 R3 K2 K3 S1', () => {
    const build = (record: Recorder) => {
      const kid = createMachine({
        on: { X: { actions: [sendParent({ type: 'K1' }), sendParent({ type: 'K2' }), sendParent({ type: 'K3' })] } },
      })
      const seen = told(record, '')
      return setup({ actors: { kid } }).createMachine({
        invoke: [
          { src: 'kid', id: 'a' },
          { src: 'kid', id: 'b' },
        ],
        on: {
          GO: {
            actions: [
              sendTo('a', { type: 'X' }),
              raise({ type: 'R1' }),
              sendTo('b', { type: 'X' }),
              sendTo(({ self }) => self, { type: 'S1' }),
              raise({ type: 'R2' }),
            ],
          },
          K1: { actions: [seen, raise({ type: 'R3' })] },
          '*': { actions: seen },
        },
      })
    }
    const line = play(build, 'GO').at(-1)!.told.join('')
    expect(line).toBe(' R1 R2 K1 R3 K2 K3 K1 R3 K2 K3 S1')
  })

  test('what the parent hears of a child’s snapshot follows what the child sent', () => {
    const build = (record: Recorder) => {
      const kid = createMachine({ on: { X: { actions: sendParent({ type: 'SENT' }) } } })
      return setup({ actors: { kid } }).createMachine({
        invoke: { src: 'kid', id: 'kid', onSnapshot: { actions: told(record, 'root') } },
        on: { GO: { actions: sendTo('kid', { type: 'X' }) }, SENT: { actions: told(record, 'root') } },
      })
    }
    expect(play(build, 'GO').at(-1)!.told).toEqual(['root SENT', 'root xstate.snapshot.kid'])
  })
})

describe('starting', () => {
  const build = (record: Recorder) => {
    const kid = createMachine({ entry: told(record, 'kid') })
    const state = (next: string) => ({ entry: told(record, 'root'), invoke: { src: 'kid' as const }, on: { GO: next } })
    return setup({ actors: { kid } }).createMachine({ initial: 'a', states: { a: state('b'), b: state('a') } })
  }

  test('at the first start, children come before the root’s own entry actions', () => {
    expect(play(build)[0]!.told).toEqual(['kid xstate.init', 'root xstate.init'])
  })

  test('later, entry actions come first', () => {
    expect(play(build, 'GO').at(-1)!.told).toEqual(['root GO', 'kid xstate.init'])
  })

  test('a child that is spawned and stopped in one macrostep never starts', () => {
    const build = (record: Recorder) => {
      const kid = createMachine({ entry: told(record, 'kid') })
      return setup({ actors: { kid } }).createMachine({
        initial: 'a',
        states: { a: { on: { GO: 'b' } }, b: { invoke: { src: 'kid' }, always: 'c' }, c: {} },
      })
    }
    expect(play(build, 'GO').at(-1)!.told).toEqual([])
  })
})

describe('stopping', () => {
  test('exit actions run on a final state, not on a stop', () => {
    const build = (record: Recorder) => {
      const kid = createMachine({
        initial: 'a',
        exit: told(record, 'exit kid'),
        states: { a: { exit: told(record, 'exit a'), on: { END: 'z' } }, z: { type: 'final' } },
      })
      return setup({ actors: { kid } }).createMachine({
        initial: 'a',
        states: {
          a: {
            invoke: { src: 'kid', id: 'kid' },
            on: { END: { actions: sendTo('kid', { type: 'END' }) }, LEAVE: 'b' },
          },
          b: { on: { BACK: 'a' } },
        },
      })
    }
    const sights = play(build, 'LEAVE', 'BACK', 'END')
    expect(sights.map(sight => sight.told)).toEqual([[], [], [], ['exit a END', 'exit kid END']])
  })

  test('what exit actions send still reaches the child that is stopped', () => {
    const build = (record: Recorder) => {
      const kid = createMachine({ on: { BYE: { actions: told(record, 'kid') } } })
      return setup({ actors: { kid } }).createMachine({
        initial: 'a',
        states: {
          a: { invoke: { src: 'kid', id: 'kid' }, exit: sendTo('kid', { type: 'BYE' }), on: { GO: 'b' } },
          b: {},
        },
      })
    }
    expect(play(build, 'GO').at(-1)!.told).toEqual(['kid BYE'])
  })

  test('a busy child finishes what it has put off, then stops; mail that waited is dropped', () => {
    const build = (record: Recorder) => {
      const kid = createMachine({
        on: {
          X: {
            actions: [
              sendTo(({ self }) => self, { type: 'DROPPED' }),
              sendParent({ type: 'STOP_ME' }),
              sendTo(({ system }) => system.get('other'), { type: 'STILL' }),
            ],
          },
          DROPPED: { actions: told(record, 'kid') },
        },
      })
      const other = fromTransition((state: string[], event) => [...state, event.type], [])
      return setup({ actors: { kid, other } }).createMachine({
        invoke: { src: 'other', systemId: 'other', id: 'other' },
        initial: 'a',
        states: {
          // The timer is the child’s own, so the parent is idle when it is told.
          a: {
            invoke: { src: 'kid', id: 'kid' },
            entry: sendTo('kid', { type: 'X' }, { delay: 10 }),
            on: { STOP_ME: 'b' },
          },
          b: {},
        },
      })
    }
    const sight = play(build, 10).at(-1)!
    expect(sight.told).toEqual([])
    expect(Object.values(sight.system.actors).find(({ id }) => id === 'other')!.state).toMatchObject({
      context: ['STILL'],
    })
  })

  test('a child that is done stays in `children` until its state is left', () => {
    const build = () => {
      const kid = createMachine({ initial: 'z', states: { z: { type: 'final' } } })
      return setup({ actors: { kid } }).createMachine({
        initial: 'a',
        states: { a: { invoke: { src: 'kid', id: 'kid' }, on: { GO: 'b' } }, b: {} },
      })
    }
    const sights = play(build, 'NOTHING', 'GO')
    expect(sights.map(({ system }) => (system.root.state as { children: unknown }).children)).toEqual([
      [['kid', '@1']],
      [['kid', '@1']],
      [],
    ])
  })

  test('inside a step, the done event of an old generation is taken by the new one of the same id', () => {
    const build = (record: Recorder) => {
      const kid = createMachine({ initial: 'a', states: { a: { on: { END: 'z' } }, z: { type: 'final' } } })
      return setup({ actors: { kid } }).createMachine({
        initial: 'a',
        states: {
          a: {
            invoke: { src: 'kid', id: 'kid', onDone: { actions: told(record, 'root') } },
            exit: sendTo('kid', { type: 'END' }),
            on: { AGAIN: { target: 'a', reenter: true } },
          },
        },
      })
    }
    const sight = play(build, 'AGAIN').at(-1)!
    expect(sight.told).toEqual(['root xstate.done.actor.kid'])
    expect(sight.system.actors['@2']).toMatchObject({ processing: 1, state: { value: '"a"' } })
  })
})
