import { map, merge } from 'rxjs'
import { createRun } from 'xmachines'
import { toObservable } from 'xmachines/transports/rxjs'
import { thermostat } from './thermostat.ts'

await using kitchen = createRun(thermostat, { input: { room: 'kitchen' } })
await using cellar = createRun(thermostat, { input: { room: 'cellar' } })

// What both runs emit, as one Observable. Each stream ends with its run, and the merged one with the last of them.
merge(toObservable(kitchen.out), toObservable(cellar.out))
  .pipe(map(({ seq, event }) => `${event.room}: ${event.type.toLowerCase()} at ${event.celsius}° (unit ${seq})`))
  .subscribe({ next: line => console.log(line), complete: () => console.log('both runs are closed') })

await kitchen.apply({ type: 'MEASURED', celsius: 17 })
await cellar.apply({ type: 'MEASURED', celsius: 11 })
await kitchen.apply({ type: 'MEASURED', celsius: 19 }) // still heating: nothing to tell
await kitchen.apply({ type: 'MEASURED', celsius: 22 })
