import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { openRun, replay, type Store, type Unit } from 'xmachines'
import { fileStore } from 'xmachines/persistence/filesystem'
import { memoryStore } from 'xmachines/persistence/memory'
import { persisted } from '../property/played.ts'
import { golden } from './machines.ts'

/*
 * Histories of earlier versions, which replay for ever: `<format>/<XState that recorded it>/` holds a file store, and what
 * a person would see of it. `XM_RECORD=v1/xstate-5.26 npx vitest run --project … test/golden` records one anew.
 */

const root = new URL('.', import.meta.url).pathname
const recording = process.env.XM_RECORD
const recorded = ['v1'].flatMap(format => {
  const dir = join(root, format)
  return existsSync(dir) ? readdirSync(dir).map(name => `${format}/${name}`) : []
})

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

/** What a person sees of a run: its units, and the state that they lead to. */
async function seen(store: Store, key: string): Promise<object> {
  const run = await openRun(golden, { store, key, create: false })
  try {
    const units: object[] = []
    for await (const { seq, id, at, events, origin, outputs, state } of store.read(run.id))
      units.push({ seq, id, at, events, origin, outputs, state })
    return JSON.parse(JSON.stringify({ id: run.id, state: persisted(run as never), units }))
  } finally {
    await run.close()
  }
}

async function record(dir: string): Promise<void> {
  rmSync(dir, { recursive: true, force: true })
  mkdirSync(dir, { recursive: true })
  const store = fileStore(join(dir, 'store'))
  for (const [key, steps] of Object.entries(script)) {
    const run = await openRun(golden, { store, key, time: 'source', at: 0 })
    for (const [at, events] of steps) {
      expect(await run.apply(events as never, { at }), `${key} at ${at}`).toMatchObject({ ok: true })
      await quiet(run)
    }
    await run.close()
  }
  const sights: Record<string, object> = {}
  for (const key of Object.keys(script)) sights[key] = await seen(store, key)
  await store.close()
  writeFileSync(join(dir, 'seen.json'), `${JSON.stringify(sights, null, 1)}\n`)
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

if (recording !== undefined) {
  test(`records ${recording}`, () => record(join(root, recording)))
} else {
  describe.each(recorded)('%s', name => {
    const sights = JSON.parse(readFileSync(join(root, name, 'seen.json'), 'utf8')) as Record<string, { id: string }>

    /** A copy: reading a store may write its index. */
    function store(): Store {
      const dir = mkdtempSync(join(tmpdir(), 'xmachines-golden-'))
      cpSync(join(root, name, 'store'), dir, { recursive: true })
      const opened = fileStore(dir)
      onTestFinished(async () => {
        await opened.close()
        rmSync(dir, { recursive: true })
      })
      return opened
    }

    test.each(Object.keys(sights))('%s is what it was', async key => {
      expect(await seen(store(), key)).toEqual(sights[key])
    })

    test.each(Object.keys(sights))('%s replays to the same states, outputs and effects', async key => {
      const { id } = sights[key]!
      let units = 0
      for await (const step of replay(golden, store().read(id), { verify: true })) {
        expect(step.divergence, `unit ${step.seq}`).toBeUndefined()
        units++
      }
      expect(units).toBeGreaterThan(3)
    })

    test.each(Object.keys(sights))('%s, appended to a new store, gets the same ids', async key => {
      const from = store()
      const { id } = sights[key]!
      const units: Unit[] = []
      for await (const unit of from.read(id)) units.push(unit)
      const to = memoryStore()
      const machine = await from.machine(units[0]!.creation!.machine)
      const [outcome] = await to.append([{ run: id, expected: null, units, machine: machine! }])
      expect(outcome).toMatchObject({ status: 'appended' })
      const ids: string[] = []
      for await (const unit of to.read(id)) ids.push(unit.id)
      expect(ids).toEqual(units.map(unit => unit.id))
    })
  })

  test('there are logs of both ends of the range of XState', () => {
    expect(recorded).toEqual(['v1/xstate-5.26', 'v1/xstate-5.33'])
  })
}
