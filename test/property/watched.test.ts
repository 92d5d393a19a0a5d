import fc from 'fast-check'
import { expect } from 'vitest'
import { inspectHistory, type RunInspectionEvent, type Telemetry } from 'xmachines'
import { memoryStore } from 'xmachines/persistence/memory'
import { statelyEvent } from '../../src/cli/stately-events.ts'
import { arbitraryMachine, arbitraryScript } from '../arbitraries/machines.ts'
import { onEveryStore } from './every-store.ts'
import { ignoreFirstStep, play } from './played.ts'

/** What was told, as it is written down. */
function written(events: readonly RunInspectionEvent[]): string {
  return events.map(event => JSON.stringify(statelyEvent(event))).join('\n')
}

/** Counts what begins and what ends, and gives every unit the same trace. */
function counting(): { readonly telemetry: Telemetry; readonly open: () => number } {
  const trace = { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' }
  let open = 0
  const span = () => {
    open++
    let over = false
    const end = (): void => {
      if (!over) open--
      over = true
    }
    return { trace, end, decided() {}, durable() {}, within: <T>(work: () => T): T => work() }
  }
  const begin = () => {
    open++
    return () => void open--
  }
  const residents: Telemetry['residents'] = (_of, change) => void (open += change)
  return {
    telemetry: {
      unit: span,
      attempt: span,
      delivery: span,
      within: (_trace, work) => work(),
      append: begin,
      residents,
      leases: begin,
      fenced() {},
      drained() {},
      lost() {},
    },
    open: () => open,
  }
}

onEveryStore(
  'a run that is watched is the same run; its history shows what was shown live; whatever is measured comes to an end',
  open =>
    fc.asyncProperty(arbitraryMachine(), arbitraryScript(), async ({ build }, script) => {
      const alone = await play(build(), script, memoryStore()).catch(ignoreFirstStep)
      if (alone === undefined) return
      const store = open()
      const shown: RunInspectionEvent[] = []
      const { telemetry, open: going } = counting()
      const watched = { inspect: (event: RunInspectionEvent) => void shown.push(event), telemetry }
      expect(await play(build(), script, store, { watched })).toEqual(alone)
      expect(going()).toBe(0)
      const live = written(shown)
      const past: RunInspectionEvent[] = []
      await inspectHistory(build(), store.read(alone.id), event => past.push(event))
      expect(written(past)).toBe(live)
    }),
  { memory: 30 },
)
