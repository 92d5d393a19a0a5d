import { expect, test } from 'vitest'
import { now, openRun, random, replay, uuid, verifyRun } from 'xmachines'
import { memoryStore } from 'xmachines/persistence/memory'
import { assign, raise, sendParent, setup } from 'xstate'

/** `now()`, `random()` and `uuid()` in every place of a machine that may ask for them (semantics 6, 8). */

interface Drawn {
  readonly at: number
  readonly part: number
  readonly name: string
}
const draw = (): Drawn => ({ at: now(), part: random(), name: uuid() })
/** Something of all three that a guard or a delay can be made of, 0 to 99. */
const drawnNumber = (): number => {
  const { at, part, name } = draw()
  return (at + Math.floor(part * 100) + Number.parseInt(name.slice(0, 6), 16)) % 100
}

function machineOf(act: (drawn: Drawn) => void) {
  const kid = setup({ types: {} as { input: Drawn; context: Drawn } }).createMachine({
    id: 'kid',
    context: ({ input }) => input,
    entry: sendParent(({ context }) => ({ type: 'KEEP', drawn: context })),
  })
  return setup({
    types: {} as {
      context: { low: number; high: number; kept: Drawn[]; late: number[] }
      events: { type: 'GUARD' | 'INPUT' | 'DELAY' | 'RAISE' | 'ACT' | 'LATE' } | { type: 'KEEP'; drawn: Drawn }
    },
    actors: { kid },
    actions: { act: () => act(draw()) },
    guards: { isLow: () => drawnNumber() < 50 },
    delays: { drawn: () => 1 + drawnNumber() },
  }).createMachine({
    id: 'drawing',
    context: { low: 0, high: 0, kept: [], late: [] },
    on: {
      GUARD: [
        { guard: 'isLow', actions: assign({ low: ({ context }) => context.low + 1 }) },
        { actions: assign({ high: ({ context }) => context.high + 1 }) },
      ],
      KEEP: { actions: assign({ kept: ({ context, event }) => [...context.kept, event.drawn] }) },
      DELAY: { actions: raise({ type: 'LATE' }, { delay: 'drawn' }) },
      LATE: { actions: assign({ late: ({ context }) => [...context.late, now()] }) },
      RAISE: { actions: raise(() => ({ type: 'KEEP' as const, drawn: draw() })) },
      ACT: { actions: ['act', raise(() => ({ type: 'KEEP' as const, drawn: draw() }))] },
    },
    initial: 'childless',
    states: {
      childless: { on: { INPUT: 'parent' } },
      parent: { invoke: { src: 'kid', id: 'kid', input: () => draw() } },
    },
  })
}

const script = [
  ...Array.from({ length: 12 }, () => 'GUARD' as const),
  'INPUT',
  'DELAY',
  'DELAY',
  'RAISE',
  'ACT',
] as const

/** Everything that came of the script, and what the custom action drew. */
async function played(restarts: boolean) {
  const acted: Drawn[] = []
  const machine = machineOf(drawn => acted.push(drawn))
  const store = memoryStore()
  const open = () => openRun(machine, { store, key: 'd', time: 'source', strict: true })
  let run = await open()
  for (const [index, type] of script.entries()) {
    expect(await run.apply({ type }, { at: 1000 + index * 7 })).toMatchObject({ ok: true })
    if (!restarts) continue
    await run.close()
    run = await open()
  }
  await run.advance(10_000)
  const { value, context } = run.getSnapshot()
  await run.close()
  return { machine, store, id: run.id, state: { value, context }, acted }
}

test('in guards, inputs, delays, raised events and custom actions: the same after restarts, and in a replay', async () => {
  const { machine, store, id, state, acted } = await played(false)
  const { low, high, kept, late } = state.context
  // All of it came to something: both ways of the guard, the child's input, the raised events, two timers.
  expect([low > 0, high > 0, low + high]).toEqual([true, true, 12])
  expect(kept.map(({ at }) => at)).toEqual([12, 15, 16].map(index => 1000 + index * 7))
  expect(new Set(kept.map(({ name }) => name)).size).toBe(3)
  expect(late).toHaveLength(2)
  for (const at of late) expect(at).toBeGreaterThan(1000 + 13 * 7)
  // A custom action has the unit's time. Its chance is the platform's, and takes nothing from the history's.
  expect(acted).toEqual([
    { at: 1000 + 16 * 7, part: expect.any(Number), name: expect.stringMatching(/^[0-9a-f-]{36}$/) },
  ])
  expect(kept.map(({ name }) => name)).not.toContain(acted[0]!.name)

  const restarted = await played(true)
  expect(restarted).toMatchObject({ id, state })
  expect(restarted.acted).toHaveLength(1)
  for (const each of [store, restarted.store]) {
    let last: unknown
    for await (const { snapshot, divergence } of replay(machine, each.read(id), { verify: true })) {
      expect(divergence).toBeUndefined()
      last = { value: snapshot.value, context: snapshot.context }
    }
    expect(last).toEqual(state)
    expect(await verifyRun(each, machine, (await each.head(id))!)).toEqual({ run: id, units: 19 })
  }
  // Nor did a replay act.
  expect(acted).toHaveLength(1)
})
