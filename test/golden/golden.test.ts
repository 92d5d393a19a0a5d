import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { type Creation, copyStore, type Machines, openRun, replay, type Sent, type Store, type Unit } from 'xmachines'
import { fileStore } from 'xmachines/persistence/filesystem'
import { memoryStore } from 'xmachines/persistence/memory'
import { persisted } from '../property/played.ts'
import { recordDeliveries } from './delivery-log.ts'
import { golden } from './machines.ts'
import { nextShop, parcel, shop } from './shop.ts'
import { recordShops } from './shop-log.ts'

/*
 * Histories of earlier versions, which replay for ever: `<format>/<XState that recorded it>[-shop]/` holds a file store, and what
 * a person would see of it. `XM_RECORD=v1/xstate-5.26 npx vitest run --project … test/golden` records one anew.
 */

const root = new URL('.', import.meta.url).pathname
const recording = process.env.XM_RECORD
const recorded = ['v1'].flatMap(format => {
  const dir = join(root, format)
  return existsSync(dir) ? readdirSync(dir).map(name => `${format}/${name}`) : []
})

/** What a log is of, and which of its units' fields a person is shown. */
interface Kind {
  readonly machines: Machines
  readonly record: (store: Store) => Promise<void>
  readonly shown: readonly (keyof Unit)[]
}
const shown = ['seq', 'id', 'at', 'events', 'origin', 'outputs', 'state'] as const
const deliveries: Kind = { machines: golden, record: recordDeliveries, shown }
const shops: Kind = {
  machines: [nextShop, shop, parcel] as never,
  record: recordShops,
  shown: [...shown, 'run', 'mail', 'sources', 'requestId', 'trace', 'attempts', 'creation', 'machine', 'epoch'],
}
const kindOf = (log: string): Kind => (log.endsWith('-shop') ? shops : deliveries)

/** What a person sees of a run: its units, and the state that they lead to. */
async function seen({ machines, shown }: Kind, store: Store, id: string): Promise<object> {
  const run = await openRun(machines as never, { store, id })
  try {
    const units: object[] = []
    for await (const unit of store.read(run.id)) units.push(Object.fromEntries(shown.map(name => [name, unit[name]])))
    return asJson({ id: run.id, state: persisted(run as never), units })
  } finally {
    await run.close()
  }
}

/** Positions may be larger than numbers are. */
function asJson(value: object): object {
  return JSON.parse(JSON.stringify(value, (_key, part) => (typeof part === 'bigint' ? `${part}n` : part))) as object
}

async function record(log: string): Promise<void> {
  const [kind, dir] = [kindOf(log), join(root, log)]
  rmSync(dir, { recursive: true, force: true })
  mkdirSync(dir, { recursive: true })
  const store = fileStore(join(dir, 'store'))
  await kind.record(store)
  const sights: Record<string, object> = {}
  for await (const { run, key } of store.list()) sights[key ?? 'unkeyed'] = await seen(kind, store, run)
  await store.close()
  writeFileSync(join(dir, 'seen.json'), `${JSON.stringify(sights, null, 1)}\n`)
}

/** A copy: reading a store may write its index. */
function storeOf(log: string): Store {
  const dir = mkdtempSync(join(tmpdir(), 'xmachines-golden-'))
  cpSync(join(root, log, 'store'), dir, { recursive: true })
  const opened = fileStore(dir)
  onTestFinished(async () => {
    await opened.close()
    rmSync(dir, { recursive: true })
  })
  return opened
}

async function idsOf(store: Store): Promise<Record<string, readonly string[]>> {
  const ids: Record<string, string[]> = {}
  for await (const { run } of store.list()) {
    ids[run] = []
    for await (const unit of store.read(run)) ids[run].push(unit.id)
  }
  return ids
}

if (recording !== undefined) {
  test(`records ${recording}`, () => record(recording), 120_000)
} else {
  describe.each(recorded)('%s', log => {
    const sights = JSON.parse(readFileSync(join(root, log, 'seen.json'), 'utf8')) as Record<string, { id: string }>
    const kind = kindOf(log)

    test.each(Object.keys(sights))('%s is what it was', async key => {
      expect(await seen(kind, storeOf(log), sights[key]!.id)).toEqual(sights[key])
    })

    test.each(Object.keys(sights))('%s replays to the same states, outputs and effects', async key => {
      const { id } = sights[key]!
      const store = storeOf(log)
      const { seq } = (await store.head(id))!
      let last = -1
      for await (const step of replay(kind.machines, store.read(id), { verify: true })) {
        expect(step.divergence, `unit ${step.seq}`).toBeUndefined()
        last = step.seq
      }
      expect(last).toBe(seq)
      expect(seq).toBeGreaterThan(0)
    })

    test('copied to a new store, its units get the same ids', async () => {
      const [from, to] = [storeOf(log), memoryStore()]
      await copyStore(from, to)
      expect(await idsOf(to)).toEqual(await idsOf(from))
    })
  })

  test('there are logs of both ends of the range of XState', () => {
    expect(recorded.toSorted()).toEqual([
      'v1/xstate-5.26',
      'v1/xstate-5.26-shop',
      'v1/xstate-5.33',
      'v1/xstate-5.33-shop',
    ])
  })

  // A new kind does not compile until it is named here, and fails until there is a golden log of it.
  test.each(['5.26', '5.33'])('the logs of XState %s hold units of every kind', async version => {
    const every: Record<keyof Unit, true> = {
      seq: true,
      at: true,
      events: true,
      origin: true,
      outputs: true,
      mail: true,
      sources: true,
      requestId: true,
      trace: true,
      attempts: true,
      state: true,
      creation: true,
      machine: true,
      epoch: true,
      run: true,
      id: true,
    }
    const kinds = { origin: new Set<string>(), told: new Set<string>(), sent: new Set<string>() }
    const fields = { unit: new Set<string>(), creation: new Set<string>() }
    for (const log of recorded.filter(name => name.includes(version))) {
      const store = storeOf(log)
      for await (const { run, fork } of store.list()) {
        for (const name in fork?.creation) fields.creation.add(name)
        for await (const unit of store.read(run)) {
          kinds.origin.add(unit.origin.kind)
          if (unit.origin.kind === 'effect') for (const { type } of unit.events) kinds.told.add(type)
          for (const sent of unit.mail ?? []) kinds.sent.add(kindOfSent(sent))
          // Some are getters of a class.
          for (const name in every) if (unit[name as keyof Unit] !== undefined) fields.unit.add(name)
          for (const name in unit.creation) fields.creation.add(name)
        }
      }
    }
    const origins: Record<Unit['origin']['kind'], true> = {
      outside: true,
      effect: true,
      timer: true,
      mail: true,
      undelivered: true,
      child: true,
      stop: true,
      migration: true,
    }
    const creation: Record<keyof Creation, true> = {
      machine: true,
      namespace: true,
      key: true,
      nonce: true,
      input: true,
      snapshot: true,
      fork: true,
      time: true,
    }
    expect([...kinds.origin].sort()).toEqual(Object.keys(origins).sort())
    expect([...kinds.told].sort()).toEqual(
      ['complete', 'error', 'next', 'reject', 'resolve', 'send'].map(word => `xmachines.${word}`),
    )
    expect([...kinds.sent].sort()).toEqual(['end', 'mail', 'restart', 'spawn', 'stop'])
    expect([...fields.creation].sort()).toEqual(Object.keys(creation).sort())
    expect([...fields.unit].sort()).toEqual(Object.keys(every).sort())
  })
}

function kindOfSent(sent: Sent): string {
  if ('to' in sent) return 'mail'
  if ('parent' in sent) return 'end'
  if ('stop' in sent) return 'stop'
  if ('restart' in sent) return 'restart'
  return (sent satisfies { readonly spawn: unknown }) && 'spawn'
}
