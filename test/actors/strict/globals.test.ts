import { afterEach, describe, expect, test, vi } from 'vitest'
import { createRun } from 'xmachines'
import { assign, setup } from 'xstate'
import { globals, same } from './descriptors.ts'

/** A machine whose step is observed from within. */
function observed(look: () => void) {
  return setup({ types: {} as { context: { n: number }; events: { type: 'GO' } | { type: 'ACT' } } }).createMachine({
    id: 'm',
    context: { n: 0 },
    on: {
      GO: {
        actions: assign(({ context }) => {
          look()
          return { n: context.n + 1 }
        }),
      },
      ACT: { actions: look },
    },
  })
}

afterEach(() => {
  vi.useRealTimers()
})

describe('the globals', () => {
  test('are replaced in a step, and as they were after it, also when it throws', async () => {
    const before = globals()
    const found: boolean[] = []
    let throws = false
    const machine = observed(() => {
      found.push(same(globals(), before))
      if (throws) throw new Error('no')
    })
    await using run = createRun(machine, { strict: true })
    expect((await run.apply({ type: 'GO' })).ok).toBe(true)
    expect(same(globals(), before)).toBe(true)
    throws = true
    expect(await run.apply({ type: 'GO' })).toMatchObject({ ok: false, error: { code: 'STEP_FAILED' } })
    expect(same(globals(), before)).toBe(true)
    throws = false
    expect(found).toEqual([false, false, false, false])
    await run.apply({ type: 'ACT' })
    expect(found.slice(4)).toEqual([true])
  })

  test('are not touched where strict mode is off', async () => {
    const before = globals()
    const found: boolean[] = []
    await using run = createRun(
      observed(() => found.push(same(globals(), before))),
      { strict: false },
    )
    await run.apply({ type: 'GO' })
    expect(found).toEqual([true])
  })

  test('stay those of a faked clock, which steps may not read either', async () => {
    vi.useFakeTimers({ now: 1000 })
    const before = globals()
    await using run = createRun(
      observed(() => Date.now()),
      { strict: true },
    )
    const receipt = await run.apply({ type: 'GO' })
    expect(receipt).toMatchObject({ ok: false, error: { code: 'STEP_IMPURE' } })
    expect(same(globals(), before)).toBe(true)
    expect(Date.now()).toBe(1000)
  })

  test('that a step replaces itself are put back', async () => {
    const before = globals()
    await using run = createRun(
      observed(() => {
        Math.random = () => 4
      }),
      { strict: true },
    )
    await run.apply({ type: 'GO' })
    expect(same(globals(), before)).toBe(true)
  })

  test('that cannot be replaced are left alone', async () => {
    const { random } = Math
    Object.defineProperty(Math, 'random', { value: random, writable: false, configurable: true })
    try {
      const before = globals()
      await using run = createRun(
        observed(() => Math.random()),
        { strict: true },
      )
      expect(await run.apply({ type: 'GO' })).toMatchObject({ ok: false, error: { code: 'STEP_IMPURE' } })
      expect(same(globals(), before)).toBe(true)
    } finally {
      Object.defineProperty(Math, 'random', { value: random, writable: true, configurable: true })
    }
  })

  test('that a step keeps for later work there', async () => {
    let kept: DateConstructor | undefined
    let date: Date | undefined
    await using run = createRun(
      observed(() => {
        kept = Date
        date = new Date(0)
      }),
      { strict: true },
    )
    await run.apply({ type: 'GO' })
    expect(new kept!(2020, 0).getFullYear()).toBe(2020)
    expect(kept!.now()).toBeGreaterThan(0)
    expect(date!.getFullYear()).toBe(new Date(0).getFullYear())
  })

  test('of steps within steps, of this copy of the package and of another', async () => {
    const before = globals()
    const copies = await Promise.all(
      ['one', 'another'].map(
        name => import(/* @vite-ignore */ `../../../src/actors/machine/strict/globals.ts?${name}`) as Promise<Traps>,
      ),
    )
    const [one, another] = copies as [Traps, Traps]
    expect(one.withTraps).not.toBe(another.withTraps)
    let within: readonly unknown[] = []
    one.withTraps(() => {
      within = globals()
      expect(() =>
        another.withTraps(() =>
          one.withTraps(() => {
            throw new Error('no')
          }),
        ),
      ).toThrow('no')
      expect(same(globals(), within)).toBe(true)
    })
    expect(same(within, before)).toBe(false)
    expect(same(globals(), before)).toBe(true)
  })
})

type Traps = typeof import('../../../src/actors/machine/strict/globals.ts')
