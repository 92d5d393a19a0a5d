import type { Store } from '../actors/contracts/store.ts'
import type { ObjectFormat } from '../actors/contracts/unit.ts'
import { type Consumption, consumeLog } from './event-log/consume.ts'
import { headsOf } from './heads.ts'
import { openInput } from './input.ts'
import { loadMachines } from './load-machine.ts'
import { withStore } from './open-store.ts'
import { notesDirectory } from './store-doors.ts'
import { type Terminal, usage } from './terminal.ts'
import { counted } from './text.ts'

/** What `run` is told of a log. */
export interface RunLogOptions {
  readonly machine: readonly string[]
  readonly store: string
  readonly topic?: string
  readonly strict?: boolean
  readonly residents?: number
  readonly notes?: string
  readonly objectFormat?: ObjectFormat
}

/** Applies a log to durable runs; answers the exit code. */
export async function runLog(terminal: Terminal, log: string, options: RunLogOptions): Promise<number> {
  const { strict = false, residents, objectFormat } = options
  const dir = options.notes ?? (await notesDirectory(options.store))
  if (dir === undefined)
    throw usage('--notes is needed: a store that is no directory has no place for what the log was.')
  const machines = await loadMachines(options.machine)
  const input = await openInput(log)
  try {
    return await withStore(terminal, options.store, { access: 'create', objectFormat }, async store => {
      const topic = options.topic ?? input.name
      const began = performance.now()
      const done = await consumeLog(terminal, { input, store, dir, machines, topic, strict, residents })
      await summarise(terminal, store, topic, done, (performance.now() - began) / 1000)
      return done.refused + done.failed === 0 ? 0 : 1
    })
  } finally {
    input.chunks.destroy()
  }
}

async function summarise(
  terminal: Terminal,
  store: Store,
  namespace: string,
  { events, duplicates, refused, failed, interrupted }: Consumption,
  seconds: number,
): Promise<void> {
  let runs = 0
  for await (const _ of headsOf(store, { namespace })) runs++
  const perSecond = Math.round((events + duplicates) / seconds)
  const record = {
    topic: namespace,
    runs,
    events,
    duplicates,
    refused,
    failed,
    seconds: Number(seconds.toFixed(3)),
    perSecond,
    interrupted,
  }
  await terminal.print(record, () => {
    const parts = [
      counted(runs, 'run'),
      `${counted(events, 'event')} applied`,
      ...(duplicates === 0 ? [] : [`${counted(duplicates, 'duplicate')} recognised`]),
      ...(refused === 0 ? [] : [`${counted(refused, 'line')} refused: see dead-letters.ndjson`]),
      ...(failed === 0 ? [] : [`${counted(failed, 'run')} failed`]),
      `${perSecond.toLocaleString('en-US')} events/s`,
    ]
    return `${interrupted ? 'Interrupted: ' : ''}${parts.join(', ')}.${interrupted ? ' Run it again to go on.' : ''}`
  })
}
