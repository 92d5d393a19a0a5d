import fc from 'fast-check'
import { expect } from 'vitest'
import { type Run, replay, type Store, type Unit, verifyRun, XMachinesError } from 'xmachines'
import { memoryStore } from 'xmachines/persistence/memory'
import { createHostIn } from '../../src/actors/host/index.ts'
import { openRunIn } from '../../src/actors/run/open.ts'
import { faultyStore } from '../../src/testing/faulty-store.ts'
import { all } from '../actors/run/collect.ts'
import { VirtualEnvironment } from '../actors/supervisor/virtual-environment.ts'
import { onEveryStore } from './every-store.ts'
import { orders } from './orders.ts'
import { shownUnit } from './played.ts'

type Orders = ReturnType<typeof orders>
type Step = { readonly type: 'time'; readonly ms: number } | { readonly type: 'finish' } | { readonly type: string }

const what = fc.constantFrom('kept', 'child', 'gone')
const script = fc.array(
  fc.oneof(
    fc.record({ type: fc.constant('ADD'), by: fc.integer({ min: 1, max: 9 }) }),
    { weight: 3, arbitrary: fc.record({ type: fc.constantFrom('START', 'START', 'LEAVE'), what }) },
    fc.record({ type: fc.constantFrom('LATER', 'finish') }),
    fc.record({ type: fc.constant('time'), ms: fc.constantFrom(1, 100, 450, 1_000) }),
  ),
  { maxLength: 10 },
)
const way = fc.constantFrom('state' as const, 'event' as const)

/** Plays steps; time passes for the environment, or is told. */
async function play(run: Run, steps: readonly Step[], { calls }: Orders, time: VirtualEnvironment, told: boolean) {
  for (const step of steps) {
    if (step.type === 'finish') {
      calls.finish()
      await time.settled()
    } else if (step.type === 'time') {
      await time.advance((step as { ms: number }).ms)
      if (told) await run.advance(time.now())
    } else await run.apply(step as never, told ? { at: time.now() } : undefined)
  }
}

const start = (environment: ReturnType<VirtualEnvironment['fork']>, machine: Orders['first'], store: Store) =>
  openRunIn(environment, machine, { store, key: 'a' }) as unknown as Promise<Run>

async function close(run: Run, time: VirtualEnvironment): Promise<void> {
  const closing = run.close({ timeout: 0 })
  await time.advance(0)
  await closing
}

/** A run of the first version, closed, in a store of its own: the same for the same script. @param store empty */
async function prepared(store: Store, before: readonly Step[], by: 'state' | 'event') {
  const versions = orders(by)
  const time = new VirtualEnvironment()
  const kept = time.awaits(store)
  const run = await start(time.fork('old'), versions.first, faultyStore(kept))
  // A run that is no more than created leaves no snapshot.
  await play(run, [{ type: 'LEAVE' }, ...before], versions, time, false)
  await close(run, time)
  versions.calls.finish()
  await time.advance(50)
  return { ...versions, versions, time, store, kept, id: run.id, before: await encoded(kept, run.id) }
}

interface Encoded {
  readonly timers: readonly { readonly id: string; readonly due: number }[]
  readonly invocations: readonly { readonly path: readonly string[]; readonly entered: number }[]
}

/** What is pending at a unit, as a store keeps it. */
async function encoded(store: Store, run: string, atMost = Number.MAX_SAFE_INTEGER): Promise<Encoded> {
  return (await store.loadSnapshot(run, { atMost }))!.state as unknown as Encoded
}

const migrationsIn = (units: readonly Unit[]) => units.filter(({ origin }) => origin.kind === 'migration')

/** The history gives the live state, to whoever has both versions; and the hashes in it are those of a replay. */
async function agrees({ kept, second, first, id }: Awaited<ReturnType<typeof prepared>>, run: Run) {
  const head = (await kept.head(id))!
  expect(await verifyRun(kept, second, head)).toEqual({ run: id, units: head.seq })
  let last: unknown
  for await (const { snapshot } of replay([second, first], kept.read(id))) last = snapshot
  const { value, context, status } = run.getSnapshot()
  expect(last).toMatchObject({ value, context, status })
}

onEveryStore(
  'a run that goes over is what its history says; what is pending keeps its time and its key where its state is still there',
  open =>
    fc.asyncProperty(script, script, way, fc.boolean(), async (before, after, by, hosted) => {
      const world = await prepared(open(), before, by)
      const { time, kept, second, id } = world
      const store = faultyStore(kept)
      const host = hosted ? createHostIn(time, { machine: second, store }) : undefined
      const run = ((await host?.open({ key: 'a' })) ?? (await start(time, second, store))) as unknown as Run
      const [unit, ...others] = migrationsIn(await all(kept.read(id)))
      expect(others).toEqual([])
      if (by === 'state') {
        const now = await encoded(kept, id, unit!.seq)
        const timers = ({ timers }: Encoded) => timers.map(({ id, due }) => `${id} ${due}`).sort()
        const invocations = ({ invocations }: Encoded) =>
          invocations.map(({ path, entered }) => [...path, entered].join())
        const left = timers(world.before).filter(one => !one.includes('.gone.'))
        expect(timers(now)).toEqual([...left, `xstate.after.300.order.fresh.on ${unit!.at + 300}`].sort())
        expect(invocations(now)).toEqual(invocations(world.before).filter(one => !one.startsWith('gone')))
      }
      await time.settled()
      await play(run, after, world.versions, time, false)
      await time.settled()
      await agrees(world, run)
      expect(migrationsIn(await all(kept.read(id)))).toHaveLength(1)
      const closing = host === undefined ? undefined : host.close()
      await close(run, time)
      await time.advance(10_000)
      await closing
      expect(time.timers).toBe(0)
    }),
  { memory: 50, servers: 3 },
)

/** How a run goes over where nothing happens to it. */
async function undisturbed(before: readonly Step[], by: 'state' | 'event'): Promise<readonly unknown[]> {
  const { time, second, kept, id } = await prepared(memoryStore(), before, by)
  await start(time, second, faultyStore(kept))
  const migrations = migrationsIn(await all(kept.read(id))).map(shownUnit)
  expect(migrations).toHaveLength(1)
  return migrations
}

/** More than opening a run makes, while it goes over. */
const calls = 14

onEveryStore(
  'whenever a process dies while it brings a run over: it goes over once, as undisturbed',
  open =>
    fc.asyncProperty(script, way, fc.boolean(), fc.nat(calls), async (before, by, written, at) => {
      const world = await prepared(open(), before, by)
      const dying = mortal(world.kept, at, written)
      const opened = await start(world.time.fork('dying'), world.second, dying.store).catch(error => error)
      if (opened instanceof Error) expect(opened).toBeInstanceOf(XMachinesError)
      if (at === calls) expect(dying.dead()).toBe(false)
      await goesOn(world, await undisturbed(before, by))
    }),
  { memory: 100, servers: 3 },
)

onEveryStore(
  'two processes that bring a run over at once: it goes over once, as undisturbed',
  (open, elsewhere) =>
    fc.asyncProperty(script, way, fc.nat(12), async (before, by, turns) => {
      const world = await prepared(open(), before, by)
      const process = (name: string) =>
        start(world.time.fork(name), world.second, faultyStore(world.time.awaits(elsewhere(world.store))))
      const one = process('one')
      for (let turn = 0; turn < turns; turn++) await Promise.resolve()
      const two = process('two')
      for (const run of [await one, await two]) await run.apply({ type: 'ADD', by: 1 } as never)
      await goesOn(world, await undisturbed(before, by))
    }),
  { memory: 15, servers: 3 },
)

async function goesOn(world: Awaited<ReturnType<typeof prepared>>, expected: readonly unknown[]): Promise<void> {
  const { time, kept, second, id } = world
  const run = await start(time.fork('next'), second, faultyStore(kept))
  expect((await run.apply({ type: 'ADD', by: 1 } as never)).ok).toBe(true)
  expect(migrationsIn(await all(kept.read(id))).map(shownUnit)).toEqual(expected)
  await agrees(world, run)
}

/** A store whose process dies at its `at`-th call: nothing is answered any more, that call is still carried out or not. */
function mortal(kept: Store, at: number, written: boolean) {
  let calls = 0
  const gone = () => new XMachinesError('STORE_UNAVAILABLE', 'The process is dead.')
  const store = new Proxy(kept, {
    get(target, name) {
      const value = Reflect.get(target, name) as unknown
      if (typeof value !== 'function') return value
      return (...args: unknown[]) => {
        const call = calls++
        if (call < at) return value.apply(target, args)
        // Streams are read in vain, too.
        if (name === 'read' || name === 'list')
          return new ReadableStream({ start: controller => controller.error(gone()) })
        const done = call === at && written ? value.apply(target, args) : Promise.resolve()
        return done.then(() => Promise.reject(gone()))
      }
    },
  })
  return { store, dead: () => calls > at }
}

onEveryStore(
  'the history of a run that goes over is the same in any store, with the same ids',
  open => {
    const historyIn = async (store: Store, before: readonly Step[], after: readonly Step[], by: 'state' | 'event') => {
      const versions = orders(by)
      const time = new VirtualEnvironment()
      const kept = time.awaits(store)
      for (const machine of [versions.first, versions.second]) {
        const run = (await openRunIn(time, machine, { store: kept, key: 'a', time: 'source' })) as unknown as Run
        await time.settled()
        await play(run, machine === versions.first ? before : after, versions, time, true)
        await close(run, time)
      }
      return (await all(kept.read((await kept.find('order', 'a'))!))).map(shownUnit)
    }
    return fc.asyncProperty(script, script, way, async (before, after, by) => {
      expect(await historyIn(open(), before, after, by)).toEqual(await historyIn(memoryStore(), before, after, by))
    })
  },
  { memory: 20, servers: 3 },
)
