import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Store } from 'xmachines'
import { memoryStore } from 'xmachines/persistence/memory'
import { createHostIn } from '../../src/actors/host/index.ts'
import { openRunIn } from '../../src/actors/run/open.ts'
import { faultyStore, type StoreFaultPoint } from '../../src/testing/faulty-store.ts'
import { all } from '../actors/run/collect.ts'
import { foreman, worker } from '../actors/run/families.ts'
import { VirtualEnvironment } from '../actors/supervisor/virtual-environment.ts'
import { onEveryStore } from './every-store.ts'

/** What happens to a parent, and to the processes that have it open; a crashed process lives on and knows of nothing. */
type Happening =
  | { readonly does: 'hire' | 'restarted'; readonly by: 0 | 1; readonly key: string }
  | { readonly does: 'finish' | 'fail'; readonly by: 0 | 1; readonly key: string }
  | { readonly does: 'crash' | 'close' | 'time'; readonly by: 0 | 1 }
  | { readonly does: StoreFaultPoint; readonly by: 0 | 1 }

const faults = [
  ...(['append.before', 'append.after', 'append.torn', 'append.duplicate', 'append.late'] as const),
  ...(['find.before', 'find.delay', 'head.before', 'head.late'] as const),
  ...(['deliver.before', 'deliver.after', 'deliver.torn', 'deliver.duplicate', 'deliver.late'] as const),
] as const

const by = fc.constantFrom(0 as const, 1 as const)
const key = fc.constantFrom('a', 'b', 'c')
const happenings = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: fc.record({ does: fc.constantFrom('hire' as const, 'restarted' as const), by, key }) },
    { weight: 4, arbitrary: fc.record({ does: fc.constantFrom('finish' as const, 'fail' as const), by, key }) },
    {
      weight: 2,
      arbitrary: fc.record({ does: fc.constantFrom('crash' as const, 'close' as const, 'time' as const), by }),
    },
    { weight: 3, arbitrary: fc.record({ does: fc.constantFrom(...faults), by }) },
  ) as fc.Arbitrary<Happening>,
  { maxLength: 25 },
)

/** The law, read from the store alone. */
async function checkLaw(store: Store, run: string): Promise<void> {
  const units = await all(store.read(run))
  const spawned = units.flatMap(({ seq, mail = [] }) =>
    mail.flatMap((sent, index) => ('policy' in sent ? [{ seq, index, name: sent.spawn, policy: sent.policy }] : [])),
  )
  const heads = (await all(store.list({ namespace: 'worker' }))).filter(({ beside }) => beside.parent?.run === run)
  const told = units.flatMap(({ events, origin }) =>
    events
      .filter(({ type }) => type.startsWith('xmachines.') && type.endsWith('.run'))
      .map(event => ({ event, origin })),
  )
  for (const { seq, index, name, policy } of spawned) {
    const children = heads
      .filter(({ beside: { parent } }) => parent!.seq === seq && parent!.index === index)
      .sort((x, y) => x.beside.parent!.restarts - y.beside.parent!.restarts)
    const failures = told.filter(
      ({ origin }) => origin.kind === 'undelivered' && origin.seq === seq && origin.index === index,
    )
    const ends = told.filter(({ origin }) =>
      children.some(child => origin.kind === 'child' && origin.run === child.run),
    )
    // It is created once, or said once that it is not: its key was another child's.
    if (children.length === 0) {
      expect(failures.map(({ event }) => (event as { error?: { code?: string } }).error?.code)).toEqual(['RUN_EXISTS'])
      continue
    }
    expect(failures).toEqual([])
    // One after the other takes its place, as its policy says.
    expect(children.map(({ beside }) => beside.parent!.restarts)).toEqual(children.map((_, at) => at))
    expect(children.length).toBeLessThanOrEqual(typeof policy === 'object' ? policy.restart + 1 : 1)
    for (const child of children.slice(0, -1)) expect(child.status).toBe('error')
    // Its end is told once, when it has come.
    const last = children.at(-1)!
    expect(ends.map(({ origin }) => origin)).toEqual(last.status === 'active' ? [] : [{ kind: 'child', run: last.run }])
    for (const { event } of ends) {
      expect(event).toMatchObject({ ...name, run: last.run })
      expect(event.type).toBe(last.status === 'done' ? 'xmachines.done.run' : 'xmachines.error.run')
    }
  }
  for (const head of [...heads, (await store.head(run))!])
    expect(head.beside, head.key).toMatchObject({ inbox: [], mailing: [], returns: [] })
}

/** What is left is done by whoever knows the machines; then the law holds. */
async function endWell(store: Store, time: VirtualEnvironment, rounds: number): Promise<void> {
  const host = createHostIn(time.fork('last'), { machine: [foreman, worker], store: faultyStore(store) })
  const run = await host.open({ key: 'f' })
  for (let round = 0; round < rounds; round++) {
    await time.advance(2000)
    await time.settled()
  }
  await checkLaw(store, run.id)
  const closing = host.close()
  await time.advance(5000)
  await closing
}

onEveryStore(
  'whenever processes crash, two of them at once: a child is created once, and its end is told once',
  (open, elsewhere) =>
    fc.asyncProperty(happenings, async schedule => {
      const time = new VirtualEnvironment()
      const shared = open()
      const kept = time.awaits(shared)
      const apart = () => faultyStore(time.awaits(elsewhere(shared)))
      let processes = 0
      const stores = [apart(), apart()]
      const start = (which: 0 | 1) => {
        stores[which] = apart()
        return openRunIn(time.fork(`p${++processes}`), foreman, { store: stores[which]!, key: 'f' })
      }
      const runs = [await start(0), await start(1)]
      for (const happening of schedule) {
        const { by } = happening
        const send = (event: Parameters<(typeof runs)[0]['apply']>[0]) =>
          // The process of a run that ended with its store is gone.
          runs[by]!.apply(event).catch(async () => (runs[by] = await start(by)))
        switch (happening.does) {
          case 'hire':
            await send({ type: 'HIRE', keys: [happening.key], amount: 1 })
            break
          case 'restarted':
            await send({ type: 'HIRE_RESTARTED', keys: [happening.key], amount: 1 })
            break
          case 'finish':
          case 'fail':
            await send({ type: 'TELL', key: happening.key, event: happening.does === 'fail' ? 'FAIL' : 'FINISH' })
            break
          case 'crash':
            runs[by] = await start(by)
            break
          case 'close': {
            const closing = runs[by]!.close({ timeout: 0 })
            await time.advance(0)
            await closing
            runs[by] = await start(by)
            break
          }
          case 'time':
            await time.advance(200)
            break
          default: {
            const held = stores[by]!.faults.plan(happening.does as StoreFaultPoint)
            if (/late|delay/.test(happening.does)) void held.met.then(() => time.settled()).then(() => held.release())
          }
        }
      }
      await endWell(kept, time, 8)
    }),
  { servers: 15 },
)

/** A store of which one write is lost, or its acknowledgement, and everything after it: the process dies there. */
function dying(store: Store, at: number, lost: boolean): { readonly store: Store; readonly calls: () => number } {
  let calls = 0
  const wrapped = new Proxy(store, {
    get(target, name) {
      const value = Reflect.get(target, name, target) as unknown
      if (typeof value !== 'function') return value
      return (...args: unknown[]) => {
        if (typeof name === 'string' && /^(append|deliver|find|head|read)$/.test(name)) {
          calls++
          // A dead process hears of nothing.
          if (calls > at || (calls === at && lost)) return new Promise(() => {})
          if (calls === at) {
            Reflect.apply(value, target, args)
            return new Promise(() => {})
          }
        }
        return Reflect.apply(value, target, args) as unknown
      }
    },
  })
  return { store: wrapped, calls: () => calls }
}

/** One of each kind is hired, and ends. */
async function play(store: Store, time: VirtualEnvironment): Promise<void> {
  const run = await openRunIn(time.fork('dies'), foreman, { store, key: 'f' })
  await run.apply({ type: 'HIRE', keys: ['a', 'b'], amount: 1 })
  await run.apply({ type: 'HIRE_RESTARTED', keys: ['c'], amount: 1 })
  for (let turn = 0; turn < 4; turn++) await time.settled()
  await run.apply({ type: 'TELL', key: 'a', event: 'FINISH' })
  await run.apply({ type: 'TELL', key: 'b', event: 'FAIL' })
  await run.apply({ type: 'TELL', key: 'c', event: 'FAIL' })
  for (let turn = 0; turn < 4; turn++) await time.settled()
}

async function playDying(store: Store, at: number, lost: boolean): Promise<void> {
  const time = new VirtualEnvironment()
  const kept = time.awaits(store)
  void play(dying(kept, at, lost).store, time).catch(() => {})
  for (let turn = 0; turn < 14; turn++) await time.settled()
  await endWell(kept, time, 4)
}

test('a process that dies at any call of the store: created once, told once', async () => {
  const whole = dying(memoryStore(), Number.POSITIVE_INFINITY, false)
  await play(whole.store, new VirtualEnvironment())
  expect(whole.calls()).toBeGreaterThan(20)
  for (let at = 1; at <= whole.calls(); at++) for (const lost of [true, false]) await playDying(memoryStore(), at, lost)
}, 120_000)

onEveryStore(
  'a process that dies at one of its calls: created once, told once',
  open => fc.asyncProperty(fc.integer({ min: 1, max: 30 }), fc.boolean(), (at, lost) => playDying(open(), at, lost)),
  { memory: 10 },
)
