import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { replay } from 'xmachines'
import { memoryStore } from 'xmachines/persistence/memory'
import { arbitraryMachine, arbitraryScript } from '../arbitraries/machines.ts'
import { onEveryStore } from './every-store.ts'
import { ignoreFirstStep, openPlayed, persisted, play } from './played.ts'

const machines = arbitraryMachine()

describe('replay(log) = live', () => {
  onEveryStore('the same states, outputs and ids, however the flushes fell', open =>
    fc.asyncProperty(machines, arbitraryScript(), async ({ build }, script) => {
      const awaited = open()
      const live = await play(build(), script, awaited).catch(ignoreFirstStep)
      if (live === undefined) return
      const overlapped = await play(build(), script, memoryStore(), { overlapped: true })
      expect(overlapped).toEqual(live)
      let last: unknown
      let outputs: unknown[] = []
      for await (const step of replay(build(), awaited.read(live.id), { verify: true })) {
        expect(step.divergence).toBeUndefined()
        outputs = [...outputs, ...step.outputs]
        last = { value: step.snapshot.value, context: step.snapshot.context, status: step.snapshot.status }
      }
      const run = await openPlayed(build(), awaited)
      expect(JSON.stringify(last)).toEqual(
        JSON.stringify({
          value: run.getSnapshot().value,
          context: run.getSnapshot().context,
          status: run.getSnapshot().status,
        }),
      )
      expect(outputs).toEqual((live.units as { outputs: unknown[] }[]).flatMap(unit => unit.outputs))
    }),
  )

  test('snapshot + tail = all, at every index: reopening after any step changes nothing', async () => {
    await fc.assert(
      fc.asyncProperty(machines, arbitraryScript(), async ({ build }, script) => {
        const live = await play(build(), script, memoryStore()).catch(ignoreFirstStep)
        if (live === undefined) return
        expect(await play(build(), script, memoryStore(), { reopen: () => true })).toEqual(live)
        for (let at = 0; at < script.length; at++) {
          expect(await play(build(), script, memoryStore(), { reopen: step => step === at })).toEqual(live)
        }
      }),
      { numRuns: Number(process.env.FC_RUNS) || 30 },
    )
  })

  onEveryStore('an opened run is where it was, from its snapshot or without one', open =>
    fc.asyncProperty(machines, arbitraryScript(), async ({ build }, script) => {
      const store = open()
      const live = await play(build(), script, store).catch(ignoreFirstStep)
      if (live === undefined) return
      expect(persisted(await openPlayed(build(), store))).toEqual(live.state)
      const forgetful = new Proxy(store, {
        get: (target, key) => (key === 'loadSnapshot' ? async () => undefined : bound(target, key)),
      })
      expect(persisted(await openPlayed(build(), forgetful))).toEqual(live.state)
    }),
  )
})

function bound(target: object, key: string | symbol): unknown {
  const value: unknown = Reflect.get(target, key)
  return typeof value === 'function' ? value.bind(target) : value
}
