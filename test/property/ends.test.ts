import fc from 'fast-check'
import { expect } from 'vitest'
import { type Receipt, verifyRun } from 'xmachines'
import { openRunIn } from '../../src/actors/run/open.ts'
import { faultyStore } from '../../src/testing/faulty-store.ts'
import { charging } from '../actors/run/charging.ts'
import { all } from '../actors/run/collect.ts'
import { VirtualEnvironment } from '../actors/supervisor/virtual-environment.ts'
import { onEveryStore } from './every-store.ts'
import { nothingUnhandled } from './unhandled.ts'

/** What goes on while a run is ended; how many microtasks pass before the next. */
interface Step {
  readonly does: 'CHARGE' | 'WATCH' | 'LISTEN' | 'LEAVE' | 'PING' | 'finish' | 'fail' | 'append.delay' | 'append.late'
  readonly turns: number
}

const step: fc.Arbitrary<Step> = fc.record({
  does: fc.constantFrom('CHARGE', 'WATCH', 'LISTEN', 'LEAVE', 'PING', 'finish', 'fail', 'append.delay', 'append.late'),
  turns: fc.nat(12),
})

const endings = fc.constantFrom('close at once', 'close in time', 'abort', 'close twice', 'stop and close')

nothingUnhandled()

onEveryStore(
  'however a run is closed while anything is in flight: nothing acknowledged is lost, no effect starts afterwards, and reopened it is the same',
  open =>
    fc.asyncProperty(
      fc.array(step, { maxLength: 10 }),
      fc.array(step, { maxLength: 6 }),
      endings,
      async (before, during, ending) => {
        const time = new VirtualEnvironment()
        const kept = time.awaits(open())
        const store = faultyStore(kept)
        const { machine, calls } = charging('retry')
        const run = await openRunIn(time, machine, { store, key: 'a' })
        const receipts: Receipt[] = []
        const play = async (steps: readonly Step[]): Promise<void> => {
          for (const { does, turns } of steps) {
            if (does === 'finish') calls.at(-1)?.finish('paid')
            else if (does === 'fail') calls.at(-1)?.fail(new Error('declined'))
            else if (does === 'append.delay' || does === 'append.late') {
              const fault = store.faults.plan(does)
              setImmediate(() => fault.release())
            } else
              void run.apply({ type: does }).then(
                receipt => receipts.push(receipt),
                () => {},
              )
            for (let turn = 0; turn < turns; turn++) await Promise.resolve()
          }
        }
        await play(before)
        if (ending === 'stop and close') void run.stop('over').catch(() => {})
        const closing =
          ending === 'abort' ? run.in.abort('enough') : run.close({ timeout: ending === 'close at once' ? 0 : 1_000 })
        if (ending === 'close twice') void run.close({ timeout: 0 })
        // It takes hold once the run is looked up.
        for (let turn = 0; turn < 10; turn++) await Promise.resolve()
        const started = calls.length
        await play(during)
        await time.advance(2_000)
        await closing
        const { seq, revision } = (await kept.head(run.id))!
        // Whatever comes now comes too late.
        for (const call of calls) call.finish('late')
        await time.advance(100_000)
        await time.settled()
        expect(calls.length).toBe(started)
        expect(await kept.head(run.id)).toMatchObject({ seq, revision })
        expect(time.timers).toBe(0)

        const units = await all(kept.read(run.id))
        for (const receipt of receipts) if (receipt.ok) expect(units[receipt.seq]!.seq).toBe(receipt.seq)
        expect(new Set(receipts.map(receipt => receipt.seq)).size).toBe(receipts.filter(({ ok }) => ok).length)
        const head = (await kept.head(run.id))!
        expect(await verifyRun(kept, machine, head)).toEqual({ run: run.id, units: seq })
        const again = await openRunIn(time.fork('next'), machine, { store: faultyStore(kept), key: 'a' })
        expect(again.getSnapshot().value).toEqual(head.value)
        expect(head.beside.process).toBe(null)
      },
    ),
)
