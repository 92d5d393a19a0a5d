import { describe, expect, test } from 'vitest'
import { now, openRun, random, replay, type Store, uuid, verifyRun } from 'xmachines'
import { memoryStore } from 'xmachines/persistence/memory'
import { assign, raise, sendParent, setup } from 'xstate'
import { batchStream } from '../../../src/actors/batch-stream.ts'
import { faultyStore } from '../../../src/testing/faulty-store.ts'
import { otherProcess } from '../supervisor/world.ts'

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

describe('another writer is first while the history is read', () => {
  const machine = setup({
    types: {} as { context: { drawn: number[]; added: number }; events: { type: 'DRAW' | 'ADD' } },
  }).createMachine({
    id: 'drawer',
    context: { drawn: [], added: 0 },
    on: {
      DRAW: { actions: assign({ drawn: ({ context }) => [...context.drawn, random()] }) },
      ADD: { actions: assign({ added: ({ context }) => context.added + 1 }) },
    },
  })

  function signal() {
    let give!: () => void
    const given = new Promise<void>(resolve => (give = resolve))
    return { given, give }
  }

  /** A store whose next reading stops after so many units, until it is told to go on. */
  function stopping(store: Store) {
    let stop: { readonly after: number; readonly reached: () => void; readonly goOn: Promise<void> } | undefined
    const view = new Proxy(store, {
      get(target, name) {
        const member = Reflect.get(target, name, target) as unknown
        if (name !== 'read') return typeof member === 'function' ? member.bind(target) : member
        return (...args: Parameters<Store['read']>) => {
          const read = target.read(...args)
          if (stop === undefined) return read
          const { after, reached, goOn } = stop
          stop = undefined
          return batchStream(
            (async function* () {
              let given = 0
              if (after === 0) reached()
              if (after === 0) await goOn
              for await (const unit of read) {
                yield [unit]
                if (++given === after) {
                  reached()
                  await goOn
                }
              }
            })(),
          )
        }
      },
    })
    const stopNext = (after: number) => {
      const [reached, goOn] = [signal(), signal()]
      stop = { after, reached: reached.give, goOn: goOn.given }
      return { reached: reached.given, goOn: goOn.give }
    }
    return { view, stopNext }
  }

  /** A run of which one unit is on its way, so that another process is first; and what is applied meanwhile. */
  async function overtaken(after: number, apply: 'DRAW' | 'ADD', id?: string) {
    const store = memoryStore()
    const other = await openRun(machine, { store, key: 'd' })
    expect(await other.apply({ type: 'ADD' }, { id: 'known' })).toMatchObject({ ok: true, seq: 1 })
    await other.apply({ type: 'ADD' }, { id: 'later' })
    const slow = stopping(otherProcess(store))
    const faulty = faultyStore(slow.view)
    const run = await openRun(machine, { store: faulty, key: 'd' })
    const append = faulty.faults.plan('append.delay')
    const first = run.apply({ type: 'ADD' })
    await append.met
    const reading = slow.stopNext(after)
    const second = run.apply({ type: apply }, id === undefined ? {} : { id })
    await reading.reached
    await other.apply({ type: 'ADD' })
    append.release()
    await expect.poll(() => run.getSnapshot().context.added).toBe(3)
    reading.goOn()
    return { store, run, receipts: await Promise.all([first, second]) }
  }

  test('chance is made of the id that the unit before really has', async () => {
    const { store, run, receipts } = await overtaken(0, 'DRAW')
    expect(receipts).toMatchObject([
      { ok: true, seq: 4 },
      { ok: true, seq: 5 },
    ])
    expect(run.getSnapshot().context.drawn).toHaveLength(1)
    expect(await verifyRun(store, machine, (await store.head(run.id))!)).toEqual({ run: run.id, units: 5 })
  })

  test('a request that was answered before is known all the same', async () => {
    const { run, receipts } = await overtaken(2, 'ADD', 'known')
    expect(receipts).toMatchObject([
      { ok: true, seq: 4 },
      { ok: true, seq: 1, duplicate: true },
    ])
    expect(run.getSnapshot().context.added).toBe(4)
  })
})
