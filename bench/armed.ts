import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createRun } from 'xmachines'
import { fileStore } from 'xmachines/persistence/filesystem'
import { setup } from 'xstate'
import type { Measure } from './compare.ts'

/** XM_ARMED: how many runs wait for their timer. */
const count = Number(process.env.XM_ARMED ?? 1_000_000)

const reminder = setup({
  types: { context: {} as { ms: number }, input: {} as { ms: number } },
  delays: { wait: ({ context }) => context.ms },
}).createMachine({
  id: 'reminder',
  context: ({ input }) => ({ ms: input.ms }),
  initial: 'waiting',
  states: { waiting: { after: { wait: 'over' } }, over: { type: 'final' } },
})

/** What a fresh process does that hosts them: prints how much memory that takes beside the open store, and when the timer that is due has fired, s. */
const hosting = `
  import { createHost } from 'xmachines'
  import { fileStore } from 'xmachines/persistence/filesystem'
  import { setup } from 'xstate'
  const reminder = setup({ delays: { wait: ({ context }) => context.ms } }).createMachine({
    id: 'reminder', context: ({ input }) => ({ ms: input.ms }), initial: 'waiting',
    states: { waiting: { after: { wait: 'over' } }, over: { type: 'final' } },
  })
  const memory = () => (gc(), gc(), process.memoryUsage().heapUsed + process.memoryUsage().external)
  const store = fileStore(process.argv[1], { fsync: false })
  const due = await store.find('reminder', 'due')
  const before = memory()
  const start = process.hrtime.bigint()
  const host = createHost({ machine: reminder, store })
  for await (const event of host.events) if (event.type === 'woken' && event.run === due) break
  const seconds = Number(process.hrtime.bigint() - start) / 1e9
  const added = memory() - before
  const { status } = await store.head(due)
  console.log(JSON.stringify({ seconds, added, status }))
  await host.close()
  await store.close()
`

/** A million runs out of memory, each with a timer armed: what they cost a process that hosts them, and that one that is due wakes. */
export async function armed(): Promise<Measure[]> {
  const dir = mkdtempSync(join(tmpdir(), 'xmachines-bench-'))
  try {
    const store = fileStore(dir, { fsync: false })
    for (let from = 0; from < count; from += 1000) {
      const runs = Array.from({ length: Math.min(1000, count - from) }, (_, i) => {
        const isDue = from + i === count >> 1
        const key = isDue ? 'due' : `reminder-${from + i}`
        return createRun(reminder, { store, key, input: { ms: isDue ? 1 : 5 * 86_400_000 + from + i } })
      })
      await Promise.all(runs.map(run => run.close()))
    }
    await store.close()
    const args = ['--expose-gc', '--input-type=module', '-e', hosting, dir]
    const printed = execFileSync(process.execPath, args, { encoding: 'utf8' })
    const { seconds, added, status } = JSON.parse(printed) as { seconds: number; added: number; status: string }
    if (status !== 'done') throw new Error(`The run whose timer was due is ${status}.`)
    return [
      { bench: `armed: hosting ${count} timers`, value: Math.round(added / 1e5) / 10, unit: 'MB', atMost: 10 },
      { bench: 'armed: one that is due fires', value: Math.round(seconds * 1000) / 1000, unit: 's', atMost: 1 },
    ]
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}
