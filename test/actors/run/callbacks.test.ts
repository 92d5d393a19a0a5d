import { describe, expect, test, vi } from 'vitest'
import { createRun, defineMachine, openRun, type Run } from 'xmachines'
import { memoryStore } from 'xmachines/persistence/memory'
import { assign, createActor, fromCallback, sendTo, setup } from 'xstate'
import { otherProcess } from '../supervisor/world.ts'

type Heard = { type: 'HELLO' } | { type: 'MORE' } | { type: 'TICK' }

/** A callback that sends back whatever it hears, beside what the test has it do. */
function echoing(begin: (self: { send(event: Heard): void }) => void = () => {}) {
  const log: string[] = []
  const machine = setup({
    types: {} as {
      context: { heard: string[] }
      events: { type: 'LISTEN' } | { type: 'FORWARD' } | { type: 'LEAVE' } | { type: 'HEARD'; what: string }
    },
    actors: {
      echo: fromCallback<Heard>(({ sendBack, receive, self }) => {
        log.push('start')
        receive(event => {
          log.push(event.type)
          if (event.type === 'TICK') throw new Error('a tick')
          sendBack({ type: 'HEARD', what: event.type })
        })
        begin(self as unknown as { send(event: Heard): void })
        return () => log.push('stop')
      }),
    },
  }).createMachine({
    id: 'echoing',
    context: { heard: [] },
    initial: 'idle',
    on: { HEARD: { actions: assign({ heard: ({ context, event }) => [...context.heard, event.what] }) } },
    states: {
      idle: { on: { LISTEN: 'listening' } },
      listening: {
        entry: sendTo('ear', { type: 'HELLO' }),
        invoke: { src: 'echo', id: 'ear' },
        on: { LEAVE: 'idle', FORWARD: { actions: sendTo('ear', { type: 'MORE' }) } },
      },
    },
  })
  return { machine, log }
}

const heardBy = (run: Run<ReturnType<typeof echoing>['machine']>, ...what: string[]): Promise<void> =>
  vi.waitFor(() => expect(run.getSnapshot().context.heard).toEqual(what), { interval: 1, timeout: 20_000 })

describe('a callback hears what the machine sends', () => {
  test('in the unit that enters it, and later, as it does from XState', async () => {
    const live = echoing()
    const actor = createActor(live.machine).start()
    actor.send({ type: 'LISTEN' })
    actor.send({ type: 'FORWARD' })
    expect(actor.getSnapshot().context.heard).toEqual(['HELLO', 'MORE'])
    const { machine, log } = echoing()
    const run = createRun(machine)
    await run.apply({ type: 'LISTEN' })
    await heardBy(run, 'HELLO')
    await run.apply({ type: 'FORWARD' })
    await heardBy(run, 'HELLO', 'MORE')
    expect(log).toEqual(live.log)
    await run.apply({ type: 'LEAVE' })
    expect(log.at(-1)).toBe('stop')
  })

  test('whether it was entered and written to in one append or in two', async () => {
    const { machine, log } = echoing()
    const run = createRun(machine)
    await Promise.all([run.apply({ type: 'LISTEN' }), run.apply({ type: 'FORWARD' })])
    await heardBy(run, 'HELLO', 'MORE')
    expect(log).toEqual(['start', 'HELLO', 'MORE'])
  })

  test('also in a step that another process took, as soon as its own knows', async () => {
    const { machine, log } = echoing()
    const store = memoryStore()
    const run = await openRun(machine, { store, key: 'k' })
    const other = await openRun(machine, { store: otherProcess(store), key: 'k' })
    await run.apply({ type: 'LISTEN' })
    await heardBy(run, 'HELLO')
    await other.apply({ type: 'FORWARD' })
    await run.apply({ type: 'HEARD', what: 'nothing' })
    await heardBy(run, 'HELLO', 'nothing', 'MORE')
    await other.apply({ type: 'FORWARD' })
    await other.apply({ type: 'LEAVE' })
    await run.apply({ type: 'HEARD', what: 'the end' })
    expect(log).toEqual(['start', 'HELLO', 'MORE', 'MORE', 'stop'])
    await Promise.all([run.close(), other.close()])
  })

  test('also where it had to wait in line', async () => {
    const { machine } = echoing()
    const store = memoryStore()
    const limited = defineMachine(machine, { invocations: { echo: { concurrency: 1 } } })
    const first = await openRun(limited, { store, key: 'first' })
    const second = await openRun(limited, { store, key: 'second' })
    await first.apply({ type: 'LISTEN' })
    await heardBy(first, 'HELLO')
    await second.apply({ type: 'LISTEN' })
    await second.apply({ type: 'FORWARD' })
    expect(second.getSnapshot().context.heard).toEqual([])
    await first.apply({ type: 'LEAVE' })
    await heardBy(second, 'HELLO', 'MORE')
  })

  test('up to 1,024 events while it waits; those behind are dropped, and told', async () => {
    const { machine, log } = echoing()
    const store = memoryStore()
    const limited = defineMachine(machine, { invocations: { echo: { concurrency: 1 } } })
    const first = await openRun(limited, { store, key: 'first' })
    const second = await openRun(limited, { store, key: 'second' })
    const errors = second.err.getReader()
    await first.apply({ type: 'LISTEN' })
    await second.apply({ type: 'LISTEN' })
    for (let i = 0; i < 1024; i++) await second.apply({ type: 'FORWARD' })
    const { value } = await errors.read()
    expect(value).toMatchObject({ seq: 1025, fatal: false, error: { code: 'EFFECT_FAILED' } })
    expect(value!.error.message).toContain("'MORE' was dropped")
    await first.apply({ type: 'LEAVE' })
    await vi.waitFor(() => expect(log.filter(type => type === 'HELLO' || type === 'MORE')).toHaveLength(1 + 1024), {
      timeout: 20_000,
    })
  })

  test('not what was sent to one that was left before it started', async () => {
    const { machine, log } = echoing()
    const run = createRun(machine)
    await Promise.all([run.apply({ type: 'LISTEN' }), run.apply({ type: 'FORWARD' }), run.apply({ type: 'LEAVE' })])
    await run.apply({ type: 'LISTEN' })
    await heardBy(run, 'HELLO')
    expect(log).toEqual(['start', 'HELLO'])
  })

  test('a listener that throws is told on err, and goes on', async () => {
    const { machine } = echoing(self => self.send({ type: 'TICK' }))
    const run = createRun(machine)
    const errors = run.err.getReader()
    await run.apply({ type: 'LISTEN' })
    const { value } = await errors.read()
    expect(value).toMatchObject({ fatal: false, error: { code: 'EFFECT_FAILED' } })
    await run.apply({ type: 'FORWARD' })
    await vi.waitFor(() => expect(run.getSnapshot().context.heard).toContain('MORE'), { timeout: 20_000 })
  })
})

test('what an async callback, or an async listener, rejects with is heard, and does not end the process', async () => {
  const fails = async (): Promise<never> => Promise.reject(new Error('out of paper'))
  const machine = setup({
    types: {} as { context: { errors: string[] }; events: { type: 'PING' } },
    actors: {
      listening: fromCallback<{ type: 'PING' }>(({ receive }) => receive(fails)),
      starting: fromCallback(fails as never), // XState's types refuse it; JavaScript does not
    },
  }).createMachine({
    context: { errors: [] },
    invoke: [
      { src: 'listening', id: 'ear' },
      {
        src: 'starting',
        onError: {
          actions: assign({ errors: ({ context, event }) => [...context.errors, (event.error as Error).message] }),
        },
      },
    ],
    on: { PING: { actions: sendTo('ear', { type: 'PING' }) } },
  })
  const run = createRun(machine)
  const err = run.subscribe('err').getReader()
  await run.apply({ type: 'PING' })
  expect((await err.read()).value?.error).toMatchObject({
    code: 'EFFECT_FAILED',
    message: "A listener of the invocation 'ear' threw at 'PING': out of paper",
  })
  await vi.waitFor(() => expect(run.getSnapshot().context.errors).toEqual(['out of paper']), { interval: 1 })
  await run.close()
})

test('logic whose author has replaced a member of it keeps that', async () => {
  const seen: string[] = []
  const logic = fromCallback<{ type: 'PING' }>(({ receive }) => receive(() => {}))
  const logged: typeof logic = {
    ...logic,
    transition: (state, event, scope) => {
      seen.push(event.type)
      return logic.transition(state, event, scope)
    },
  }
  const machine = setup({ types: {} as { events: { type: 'PING' } }, actors: { logged } }).createMachine({
    invoke: { src: 'logged', id: 'ear' },
    on: { PING: { actions: sendTo('ear', { type: 'PING' }) } },
  })
  const run = createRun(machine)
  await run.apply({ type: 'PING' })
  await run.close()
  expect(seen.filter(type => type === 'PING' || type === 'xstate.stop')).toEqual(['PING', 'xstate.stop'])
})

test('what a callback sends to itself is no end of it', async () => {
  let tick = (): void => {}
  const { machine, log } = echoing(self => (tick = () => self.send({ type: 'MORE' })))
  const run = createRun(machine)
  await run.apply({ type: 'LISTEN' })
  await heardBy(run, 'HELLO')
  tick()
  await heardBy(run, 'HELLO', 'MORE')
  await run.apply({ type: 'FORWARD' })
  await heardBy(run, 'HELLO', 'MORE', 'MORE')
  await run.apply({ type: 'LEAVE' })
  expect(log).toEqual(['start', 'HELLO', 'MORE', 'MORE', 'stop'])
})
