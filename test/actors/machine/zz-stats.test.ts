import fs from 'node:fs'
import fc from 'fast-check'
import { test, vi } from 'vitest'
import { arbitraryMachine, arbitraryScript } from '/work/main/test/arbitraries/machines.ts'
import { DecidedRun } from '/work/main/test/actors/machine/decided-run.ts'
import { LiveRun } from '/work/main/test/actors/machine/live-run.ts'
import { XMachinesError } from '/work/main/src/actors/errors.ts'
test('stats', () => {
  vi.spyOn(console, 'warn').mockImplementation(() => {})
  const c: Record<string, number> = {}
  const bump = (k: string, n = 1) => { c[k] = (c[k] ?? 0) + n }
  fc.assert(fc.property(arbitraryMachine(), arbitraryScript(), fc.nat(9), (m, script, seed) => {
    bump('cases'); fs.writeFileSync('/tmp/xm-bench/last.json', JSON.stringify([m.description, script, seed]))
    const live = new LiveRun(m.build, { seed })
    live.start()
    if (live.status !== 'active') { bump('start ' + live.status + ' ' + String((live.actor.getSnapshot() as any).error?.message).replace(/[0-9.#mks:>]+/g,'~').slice(0,60)); return }
    let steps = 0
    for (const s of script) {
      if (live.status !== 'active') break
      bump('scripted'); steps++
      const before = JSON.stringify(live.see().system)
      const sight = s.does === 'send' ? live.send(s.event) : s.does === 'batch' ? live.send(...s.events) : live.pass(live.now + s.ms)
      if (JSON.stringify(sight.system) !== before) bump('changing')
      bump('told', sight.told.length); bump('emitted', sight.emitted.length); bump('timers', sight.due.length)
      bump('actors', Object.keys(sight.system.actors).length)
      if (Object.keys(sight.system.actors).length > 1) bump('with children')
      if (sight.system.actors['@0']!.processing !== 1) bump('ended ' + live.status)
      for (const a of Object.values(sight.system.actors)) bump('actor ' + (a.state as any).status)
    }
    bump('steps' , steps)
    if (steps >= 10) bump('long')
  }), { numRuns: 1500 })
  console.log(c)
})
