import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Run, replay, type Store, type Unit, verifyRun, XMachinesError } from 'xmachines'
import { fileStore } from 'xmachines/persistence/filesystem'
import { memoryStore } from 'xmachines/persistence/memory'
import { createHostIn } from '../../src/actors/host/index.ts'
import { openRunIn } from '../../src/actors/run/open.ts'
import { faultyStore } from '../../src/testing/faulty-store.ts'
import { all } from '../actors/run/collect.ts'
import { settled, VirtualEnvironment } from '../actors/supervisor/virtual-environment.ts'
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
      await settled()
    } else if (step.type === 'time') {
      await time.advance((step as { ms: number }).ms)
      if (told) await run.advance(time.now())
    } else await run.apply(step as never, told ? { at: time.now() } : undefined)
  }
}

const open = (environment: ReturnType<VirtualEnvironment['fork']>, machine: Orders['first'], store: Store) =>
  openRunIn(environment, machine, { store, key: 'a' }) as unknown as Promise<Run>

async function close(run: Run, time: VirtualEnvironment): Promise<void> {
  const closing = run.close({ timeout: 0 })
  await time.advance(0)
  await closing
}

/** A run of the first version, closed, in a store of its own: the same for the same script. */
async function prepared(before: readonly Step[], by: 'state' | 'event') {
  const versions = orders(by)
  const time = new VirtualEnvironment()
  const memory = memoryStore()
  const run = await open(time.fork('old'), versions.first, faultyStore(memory))
  // A run that is no more than created leaves no snapshot.
  await play(run, [{ type: 'LEAVE' }, ...before], versions, time, false)
  await close(run, time)
  versions.calls.finish()
  await time.advance(50)
  return { ...versions, versions, time, memory, id: run.id, before: await encoded(memory, run.id) }
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
async function agrees({ memory, second, first, id }: Awaited<ReturnType<typeof prepared>>, run: Run) {
  const head = (await memory.head(id))!
  expect(await verifyRun(memory, second, head)).toEqual({ run: id, units: head.seq })
  let last: unknown
  for await (const { snapshot } of replay([second, first], memory.read(id))) last = snapshot
  const { value, context, status } = run.getSnapshot()
  expect(last).toMatchObject({ value, context, status })
}

test('a run that goes over is what its history says; what is pending keeps its time and its key where its state is still there', async () => {
  await fc.assert(
    fc.asyncProperty(script, script, way, fc.boolean(), async (before, after, by, hosted) => {
      const world = await prepared(before, by)
      const { time, memory, second, id } = world
      const store = faultyStore(memory)
      const host = hosted ? createHostIn(time, { machine: second, store }) : undefined
      const run = ((await host?.open({ key: 'a' })) ?? (await open(time, second, store))) as unknown as Run
      const [unit, ...others] = migrationsIn(await all(memory.read(id)))
      expect(others).toEqual([])
      if (by === 'state') {
        const now = await encoded(memory, id, unit!.seq)
        const timers = ({ timers }: Encoded) => timers.map(({ id, due }) => `${id} ${due}`).sort()
        const invocations = ({ invocations }: Encoded) =>
          invocations.map(({ path, entered }) => [...path, entered].join())
        const left = timers(world.before).filter(one => !one.includes('.gone.'))
        expect(timers(now)).toEqual([...left, `xstate.after.300.order.fresh.on ${unit!.at + 300}`].sort())
        expect(invocations(now)).toEqual(invocations(world.before).filter(one => !one.startsWith('gone')))
      }
      await settled()
      await play(run, after, world.versions, time, false)
      await settled()
      await agrees(world, run)
      expect(migrationsIn(await all(memory.read(id)))).toHaveLength(1)
      const closing = host === undefined ? undefined : host.close()
      await close(run, time)
      await time.advance(10_000)
      await closing
      expect(time.timers).toBe(0)
    }),
    { numRuns: Number(process.env.FC_RUNS) || 50 },
  )
}, 60_000)

test('whenever a process dies while it brings a run over, or two do so at once: it goes over once, as undisturbed', async () => {
  await fc.assert(
    fc.asyncProperty(script, way, fc.boolean(), fc.nat(12), async (before, by, written, turns) => {
      const undisturbed = await prepared(before, by)
      await open(undisturbed.time, undisturbed.second, faultyStore(undisturbed.memory))
      const expected = migrationsIn(await all(undisturbed.memory.read(undisturbed.id))).map(shownUnit)
      expect(expected).toHaveLength(1)
      // Until no call is left to die at.
      for (let at = 0, died = true; died; at++) {
        const world = await prepared(before, by)
        const dying = mortal(world.memory, at, written)
        const opened = await open(world.time.fork('dying'), world.second, dying.store).catch(error => error)
        if (opened instanceof Error) expect(opened).toBeInstanceOf(XMachinesError)
        died = dying.dead()
        await goesOn(world, expected)
      }
      const world = await prepared(before, by)
      const one = open(world.time.fork('one'), world.second, faultyStore(world.memory))
      for (let turn = 0; turn < turns; turn++) await Promise.resolve()
      const two = open(world.time.fork('two'), world.second, faultyStore(world.memory))
      for (const run of [await one, await two]) await run.apply({ type: 'ADD', by: 1 } as never)
      await goesOn(world, expected)
    }),
    { numRuns: Number(process.env.FC_RUNS) || 15 },
  )
}, 60_000)

async function goesOn(world: Awaited<ReturnType<typeof prepared>>, expected: readonly unknown[]): Promise<void> {
  const { time, memory, second, id } = world
  const run = await open(time.fork('next'), second, faultyStore(memory))
  expect((await run.apply({ type: 'ADD', by: 1 } as never)).ok).toBe(true)
  expect(migrationsIn(await all(memory.read(id))).map(shownUnit)).toEqual(expected)
  await agrees(world, run)
}

/** A store whose process dies at its `at`-th call: nothing is answered any more, that call is still carried out or not. */
function mortal(memory: Store, at: number, written: boolean) {
  let calls = 0
  const gone = () => new XMachinesError('STORE_UNAVAILABLE', 'The process is dead.')
  const store = new Proxy(memory, {
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

test('memory and files have the same history of a run that goes over, with the same ids', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'xmachines-migrations-'))
  let count = 0
  const historyIn = async (place: Store, before: readonly Step[], after: readonly Step[], by: 'state' | 'event') => {
    const versions = orders(by)
    const time = new VirtualEnvironment()
    for (const machine of [versions.first, versions.second]) {
      const run = (await openRunIn(time, machine, { store: place, key: 'a', time: 'source' })) as unknown as Run
      await settled()
      await play(run, machine === versions.first ? before : after, versions, time, true)
      const closing = run.close({ timeout: 0 })
      await time.advance(0)
      await closing
    }
    const units = (await all(place.read((await place.find('order', 'a'))!))).map(shownUnit)
    await place.close()
    return units
  }
  try {
    await fc.assert(
      fc.asyncProperty(script, script, way, async (before, after, by) => {
        const files = await historyIn(fileStore(join(dir, String(count++))), before, after, by)
        expect(files).toEqual(await historyIn(memoryStore(), before, after, by))
      }),
      { numRuns: Number(process.env.FC_RUNS) || 20 },
    )
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}, 60_000)
