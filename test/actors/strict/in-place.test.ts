import { describe, expect, test } from 'vitest'
import { createRun } from 'xmachines'
import { type AnyStateMachine, assign, fromTransition, sendTo, setup, spawnChild } from 'xstate'

interface Context {
  items: { count: number }[]
  readonly total: number
}

/** A machine that does `actions` on GO, with a context that is its own. */
function doing(actions: unknown, initial: Context, implementations: object = {}) {
  return setup({
    ...implementations,
    types: {} as { context: Context; events: { type: 'GO'; by?: number[] } },
  } as never).createMachine({
    id: 'm',
    context: initial,
    on: { GO: { actions } },
  } as never) as unknown as AnyStateMachine
}

const refusals: readonly [name: string, change: (args: { context: Context }) => void, path: string][] = [
  ['a value', ({ context }) => void context.items[0]!.count++, 'context.items[0].count'],
  ['a new key', ({ context }) => void Object.assign(context, { extra: 1 }), 'context.extra'],
  [
    'a key that is gone',
    ({ context }) => void Reflect.deleteProperty(context.items[0]!, 'count'),
    'context.items[0].count',
  ],
  ['an item', ({ context }) => void context.items.push({ count: 2 }), 'context.items[1]'],
  ['an item that is gone', ({ context }) => void context.items.pop(), 'context.items[0]'],
]

describe('a context that is changed in place', () => {
  test.each(refusals)('in an assignment: %s', async (_name, change, path) => {
    const initial: Context = { items: [{ count: 1 }], total: 0 }
    const machine = doing(
      assign(args => {
        change(args as never)
        return { total: 1 } as never
      }),
      initial,
    )
    await using run = createRun(machine, { strict: true })
    expect(await run.apply({ type: 'GO' })).toMatchObject({
      ok: false,
      seq: 0,
      error: { code: 'STEP_MUTATES', details: { path, by: "The assign on 'GO' in 'm'" } },
    })
    expect(run.getSnapshot().context).toEqual({ items: [{ count: 1 }], total: 0 })
  })

  test.each(refusals)('in an action of your own, after the step: %s', async (_name, change, path) => {
    const initial: Context = { items: [{ count: 1 }], total: 0 }
    await using run = createRun(doing('change', initial, { actions: { change } }), { strict: true })
    const errors = run.err.getReader()
    expect((await run.apply({ type: 'GO' })).ok).toBe(true)
    const { value } = await errors.read()
    expect(value?.error.code).toBe('EFFECT_FAILED')
    expect(value?.error.message).toContain(`The action 'change' changed ${path} in place`)
    expect(run.getSnapshot().context).toEqual({ items: [{ count: 1 }], total: 0 })
  })

  test('the objects of the caller are as they were, and may be changed', async () => {
    const initial: Context = { items: [{ count: 1 }], total: 0 }
    await using run = createRun(doing(assign({}), initial), { strict: true })
    await run.apply({ type: 'GO' })
    expect(Object.isFrozen(initial) || Object.isFrozen(initial.items)).toBe(false)
  })

  test('the first of several that did is named', async () => {
    const change = assign(({ context }: { context: Context }) => {
      context.items.push({ count: 2 })
      return {}
    })
    const fine = assign({ total: 1 })
    const machine = doing(
      ['fine', 'first', 'second'],
      { items: [], total: 0 },
      { actions: { fine, first: change, second: change } },
    )
    await using run = createRun(machine, { strict: true })
    expect(await run.apply({ type: 'GO' })).toMatchObject({
      error: { code: 'STEP_MUTATES', details: { by: "The action 'first'", path: 'context.items[0]' } },
    })
  })

  test('what a step makes itself it may change', async () => {
    const machine = doing(
      assign(({ context }: { context: Context }) => {
        const items = [...context.items]
        items.push({ count: 2 })
        items[1]!.count++
        return { items }
      }),
      { items: [{ count: 1 }], total: 0 },
    )
    await using run = createRun(machine, { strict: true })
    expect(await run.apply({ type: 'GO' })).toMatchObject({ ok: true })
    expect(run.getSnapshot().context.items).toEqual([{ count: 1 }, { count: 3 }])
  })

  test('of a child', async () => {
    const tally = fromTransition(
      (state: { n: number }) => {
        state.n++
        return state
      },
      { n: 0 },
    )
    const machine = doing(sendTo('tally', { type: 'X' }), { items: [], total: 0 }, { actors: { tally } })
    const withChild = setup({ actors: { tally } } as never).createMachine({
      ...(machine.config as object),
      entry: spawnChild('tally' as never, { id: 'tally' } as never),
    } as never) as unknown as AnyStateMachine
    await using run = createRun(withChild, { strict: true })
    expect(await run.apply({ type: 'GO' })).toMatchObject({
      error: { code: 'STEP_MUTATES', details: { by: "The logic of 'tally'", path: 'children.tally.context.n' } },
    })
  })
})

test('an event that is changed in place', async () => {
  const machine = doing(
    assign(({ event }: { event: { by: number[] } }) => {
      event.by.push(1)
      return {}
    }),
    { items: [], total: 0 },
  )
  await using run = createRun(machine, { strict: true })
  expect(await run.apply({ type: 'GO', by: [] })).toMatchObject({
    ok: false,
    error: { code: 'STEP_MUTATES', details: { by: "The assign on 'GO' in 'm'" } },
  })
})
