import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createRun, openRun } from 'xmachines'
import { memoryStore } from 'xmachines/persistence/memory'
import { assign, createActor, setup } from 'xstate'
import { arbitraryMachine, arbitraryScript } from '../arbitraries/machines.ts'
import { onEveryStore } from './every-store.ts'
import { ignoreFirstStep, openPlayed, persisted, play, unitsOf } from './played.ts'

const log = setup({
  types: {} as { context: { seen: string[] }; events: { type: 'SAY'; who: string; n: number } | { type: 'FAIL' } },
}).createMachine({
  id: 'log',
  context: { seen: [] },
  on: {
    SAY: { actions: assign({ seen: ({ context, event }) => [...context.seen, `${event.who}${event.n}`] }) },
    FAIL: {
      actions: assign(() => {
        throw new Error('refused')
      }),
    },
  },
})

describe('units (R5, R6)', () => {
  onEveryStore('a rejected batch leaves state, history, out and snapshot as before', open =>
    fc.asyncProperty(
      arbitraryMachine({ timers: false }),
      arbitraryScript({ timers: false }),
      fc.array(fc.record({ type: fc.constantFrom('A', 'B', 'unknown'), by: fc.nat(3) }), { maxLength: 3 }),
      async ({ build }, script, before) => {
        const store = open()
        const played = await play(build(), script, store).catch(ignoreFirstStep)
        if (played === undefined) return
        const run = await openPlayed(build(), store)
        const state = persisted(run)
        // The last event of the batch is one that no border lets pass, so the batch is refused whatever the machine is.
        const receipt = await run.apply([...before, { type: 'xstate.stop' }] as never)
        expect(receipt).toMatchObject({ ok: false, seq: (played.units.at(-1) as { seq: number }).seq })
        expect(persisted(run)).toEqual(state)
        expect(await unitsOf(store, run.id)).toEqual(played.units)
      },
    ),
  )

  test('a batch that fails inside the machine is refused whole, wherever it fails', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(5), fc.nat(5), async (before, after) => {
        const run = createRun(log)
        await run.apply({ type: 'SAY', who: 'x', n: 0 })
        const say = (n: number) => ({ type: 'SAY' as const, who: 'y', n })
        const batch = [
          ...Array.from({ length: before }, (_, n) => say(n)),
          { type: 'FAIL' as const },
          ...Array.from({ length: after }, (_, n) => say(n)),
        ]
        expect(await run.apply(batch)).toMatchObject({ ok: false, seq: 1, error: { code: 'STEP_FAILED' } })
        expect(run.getSnapshot().context.seen).toEqual(['x0'])
      }),
    )
  })

  onEveryStore('concurrent senders interleave between units only, each in its own order', open =>
    fc.asyncProperty(
      fc.array(fc.array(fc.nat(3), { maxLength: 6 }), { minLength: 1, maxLength: 4 }),
      fc.scheduler(),
      async (senders, scheduler) => {
        const store = open()
        const run = await openRun(log, { store, key: 'k' })
        const sending = senders.map(async (sizes, index) => {
          const who = 'abcd'[index]!
          let n = 0
          for (const size of sizes) {
            await scheduler.schedule(Promise.resolve())
            void run.apply(Array.from({ length: size }, () => ({ type: 'SAY' as const, who, n: n++ })))
          }
        })
        await scheduler.waitAll()
        await Promise.all(sending)
        await run.apply([])
        await run.close()
        const seen = (await openRun(log, { store, key: 'k' })).getSnapshot().context.seen
        for (const [index, sizes] of senders.entries()) {
          const who = 'abcd'[index]!
          const own = seen.filter(word => word.startsWith(who))
          expect(own).toEqual(own.map((_, n) => `${who}${n}`))
          // Within a batch nobody else comes between.
          let n = 0
          for (const size of sizes) {
            if (size > 0)
              expect(seen.slice(seen.indexOf(`${who}${n}`), seen.indexOf(`${who}${n}`) + size)).toEqual(
                Array.from({ length: size }, (_, i) => `${who}${n + i}`),
              )
            n += size
          }
        }
      },
    ),
  )

  test('for machines without effects, a run is where `createActor` is that was sent the same events', async () => {
    await fc.assert(
      fc.asyncProperty(
        arbitraryMachine({ timers: false, throws: false, finals: false }),
        arbitraryScript({ timers: false, batches: false }),
        async ({ build }, script) => {
          const actor = createActor(build())
          actor.subscribe({ error: () => {} })
          actor.start()
          if (actor.getSnapshot().status !== 'active') return
          const run = await openRun(build(), { store: memoryStore(), key: 'k' }).catch(ignoreFirstStep)
          if (run === undefined) return
          for (const step of script) {
            if (step.does !== 'send') continue
            const receipt = await run.apply(step.event as never)
            if (!receipt.ok) return // refused where the live actor dies: the differential suite compares these
            actor.send(step.event)
          }
          const [ours, theirs] = [run.getSnapshot(), actor.getSnapshot()]
          expect({ value: ours.value, status: ours.status, tags: [...ours.tags] }).toEqual({
            value: theirs.value,
            status: theirs.status,
            tags: [...theirs.tags],
          })
          expect(JSON.stringify(ours.context)).toEqual(JSON.stringify(theirs.context))
        },
      ),
    )
  })
})
