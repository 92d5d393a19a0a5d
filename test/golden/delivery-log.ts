import { expect } from 'vitest'
import { openRun, type Store } from 'xmachines'
import { golden } from './machines.ts'

type SentEvent = { type: string; [key: string]: unknown }

const script = {
  paid: [
    [10, { type: 'ADD', sku: 'a', price: 3 }],
    [
      20,
      [
        { type: 'ADD', sku: 'b', price: 4 },
        { type: 'NOTE', text: 'zwei Äpfel 🍎' },
      ],
    ],
    [30, { type: 'LABEL' }],
    [40, { type: 'PAUSE' }],
    [50, { type: 'GO_ON' }],
    [4000, { type: 'ADD', sku: 'c', price: 0.1 }],
    [4100, { type: 'PAY', amount: 7 }],
    [4200, { type: 'LABEL' }],
  ],
  refused: [
    [10, { type: 'ADD', sku: 'a', price: 300 }],
    [20, { type: 'PAY', amount: 300 }],
    [30, { type: 'DRIVE' }],
    [31, { type: 'WHERE' }],
    [32, { type: 'STOPPED' }],
    [33, { type: 'STOPPED' }],
    [34, { type: 'STOPPED' }],
    [35, { type: 'DRIVE' }],
    [36, { type: 'CANCEL' }],
    [70_000, { type: 'LABEL' }],
  ],
  pending: [
    [10, { type: 'ADD', sku: 'a', price: 1 }],
    [20, { type: 'DRIVE' }],
    [30, { type: 'STOPPED' }],
    [40, { type: 'PAUSE' }],
  ],
} satisfies Record<string, [at: number, event: SentEvent | SentEvent[]][]>

/** Records the runs of the first golden logs. */
export async function recordDeliveries(store: Store): Promise<void> {
  for (const [key, steps] of Object.entries(script)) {
    const run = await openRun(golden, { store, key, time: 'source', at: 0 })
    for (const [at, events] of steps) {
      expect(await run.apply(events as never, { at }), `${key} at ${at}`).toMatchObject({ ok: true })
      await quiet(run)
    }
    await run.close()
  }
}

/** Resolves when the outcomes of what runs outside are recorded: their order is part of the history. */
async function quiet(run: { apply(events: readonly never[]): Promise<{ readonly seq: number }> }): Promise<void> {
  for (let seq = -1, still = 0; still < 20; still++) {
    const now = (await run.apply([])).seq
    if (now !== seq) still = 0
    seq = now
    await new Promise(resolve => setImmediate(resolve))
  }
}
