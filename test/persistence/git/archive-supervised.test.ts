import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { openRun, type Store, type Supervisor, supervise, XMachinesError } from 'xmachines'
import { memoryStore } from 'xmachines/persistence/memory'
import { memoryBroker } from 'xmachines/transports/memory'
import { type Archive, archive, type UnitSource } from '../../../src/persistence/git/index.ts'
import { faultyStore } from '../../../src/testing/faulty-store.ts'
import { counter } from '../../actors/run/machines.ts'
import { endings } from '../../endings.ts'
import { temporaryDirectory } from '../filesystem/directory.ts'
import { fsck, git } from './stock-git.ts'

const add = (by: number) => ({ type: 'ADD', by })

const ends = endings()

interface World {
  readonly store: Store
  readonly supervisor: Supervisor
  /** Sends, and waits until it is settled. */
  send(...records: (readonly [key: string, event: object])[]): Promise<void>
}

/** A supervisor of a topic in memory. */
function world(store: Store = memoryStore()): World {
  const broker = memoryBroker({ partitions: 2 })
  const consumer = broker.consumer({ topic: 't', group: 'g' })
  const supervisor = supervise({ machine: counter, store, consumer, deadLetters: broker.producer({ topic: 'd' }) })
  ends.push(
    () => broker.close(),
    () => supervisor.close(),
  )
  return {
    store,
    supervisor,
    async send(...records) {
      const sent = records.map(([key, event]) => ({ key, value: JSON.stringify(event) }))
      await broker.producer({ topic: 't' }).send(sent)
      await supervisor.caughtUp()
    },
  }
}

/** What an archive looks at of a supervisor, and how often it lists the store, or asks for a head. */
class Watched implements UnitSource {
  readonly store: Store
  readonly units: UnitSource['units']
  lists = 0
  heads: string[] = []
  readonly #waiting: (() => void)[] = []

  /** @param buffer instead of what the archive asks for */
  constructor({ supervisor, store }: Pick<World, 'supervisor' | 'store'>, buffer?: number) {
    this.units = options => supervisor.units(buffer === undefined ? options : { ...options, buffer })
    this.store = new Proxy(store, {
      get: (target, name) => {
        const value = target[name as keyof Store] as unknown
        return typeof value !== 'function'
          ? value
          : (...args: readonly unknown[]) => {
              this.#asked(name, args[0])
              return Reflect.apply(value, target, args)
            }
      },
    })
  }

  /** Resolves when a head is asked for. */
  asked(): Promise<void> {
    return new Promise(resolve => this.#waiting.push(resolve))
  }

  #asked(name: string | symbol, of: unknown): void {
    if (name === 'list') this.lists++
    if (name !== 'head') return
    this.heads.push(of as string)
    for (const resolve of this.#waiting.splice(0)) resolve()
  }
}

/** A directory where no repository is yet. */
function place(): string {
  const { dir, remove } = temporaryDirectory()
  ends.push(remove)
  return join(dir, 'archive.git')
}

function started(source: Store | UnitSource, gitdir: string): Archive {
  // No pass but those that are asked for, by a caller or by what moved.
  const archived = archive(source, { gitdir, interval: 1e9, onError: () => {} })
  ends.push(() => archived.close())
  return archived
}

/** Every branch has the commits that the store's histories have, and stock Git finds nothing wrong. Gives the units, creations not counted. */
async function expectWhole(gitdir: string, store: Store): Promise<number> {
  let units = 0
  for await (const { run, seq } of store.list()) {
    const ids: string[] = []
    for await (const { id } of store.read(run)) ids.push(id)
    const commits = git(gitdir, 'log', '--reverse', '--format=%H', `refs/heads/r/${run}`).split('\n')
    expect(commits.slice(1)).toEqual(ids)
    units += seq
  }
  expect(fsck(gitdir)).toBe('')
  return units
}

describe('an archive of a supervisor', () => {
  test('commits what was there, then what moves, each unit once; the store is listed once', async () => {
    const here = world()
    await here.send(['a', add(1)], ['b', add(2)], ['b', add(3)])
    const source = new Watched(here)
    const gitdir = place()
    const archived = started(source, gitdir)
    expect(await archived.caughtUp()).toEqual({ units: 3, flushes: 1 })
    expect([source.lists, source.heads]).toEqual([1, []])
    for (let round = 0; round < 5; round++) await archived.caughtUp()
    await here.send(['b', add(4)], ['c', add(5)])
    expect(await archived.caughtUp()).toEqual({ units: 5, flushes: 2 })
    await archived.checkpoint()
    const moved = await Promise.all(['b', 'c'].map(key => here.store.find('t', key)))
    expect([source.lists, source.heads.toSorted()]).toEqual([1, moved.toSorted()])
    expect(await expectWhole(gitdir, here.store)).toBe(5)
  })

  test('looks at once at what moves after a rest', async () => {
    const here = world()
    const source = new Watched(here)
    const archived = started(source, place())
    expect(await archived.caughtUp()).toEqual({ units: 0, flushes: 0 })
    const asked = source.asked()
    await here.send(['a', add(1)])
    await asked
    expect(source.lists).toBe(1)
    expect((await archived.caughtUp()).units).toBe(1)
  })

  test('has caught up with what the caller knows to be durable, however many hands its notice goes through', async () => {
    const here = world()
    const units: UnitSource['units'] = options => here.supervisor.units(options).pipeThrough(new TransformStream())
    const archived = started({ store: here.store, units }, place())
    const run = await openRun(counter, { store: here.store, key: 'x' })
    for (let count = 1; count <= 20; count++) {
      await run.apply({ type: 'ADD', by: 1 })
      expect((await archived.caughtUp()).units).toBe(count)
    }
    await run.close()
  })

  test('lists the store again where units passed it by, which held nobody up', async () => {
    const here = world()
    const source = new Watched(here, 2)
    const gitdir = place()
    const archived = started(source, gitdir)
    await archived.caughtUp()
    // More than two in one append.
    await here.send(...Array.from({ length: 40 }, (_, i) => [`k${i % 4}`, add(i)] as const))
    expect((await archived.caughtUp()).units).toBe(40)
    expect(source.lists).toBeGreaterThan(1)
    const { lists } = source
    await archived.caughtUp()
    expect(source.lists).toBe(lists)
    expect(await expectWhole(gitdir, here.store)).toBe(40)
  })

  test('goes on where another one stopped, also with what came while there was none', async () => {
    const here = world()
    const gitdir = place()
    const first = started(here.supervisor, gitdir)
    await here.send(['a', add(1)])
    expect((await first.caughtUp()).units).toBe(1)
    await first.close()
    await here.send(['a', add(2)], ['b', add(3)])
    const second = started(here.supervisor, gitdir)
    await here.send(['b', add(4)])
    expect((await second.caughtUp()).units).toBe(3)
    expect(await expectWhole(gitdir, here.store)).toBe(4)
  })

  test('that is closed first leaves the supervisor alone; one that is closed last has all', async () => {
    const here = world()
    const gitdir = place()
    const first = started(here.supervisor, gitdir)
    await first.close()
    await expect(first.caughtUp()).rejects.toMatchObject({ code: 'STORE_CLOSED' })
    await here.send(['a', add(1)])
    const second = started(here.supervisor, gitdir)
    await second.caughtUp()
    await here.send(['a', add(2)])
    await here.supervisor.close()
    expect((await second.caughtUp()).units).toBe(2)
    expect((await second.caughtUp()).units).toBe(2)
    await second.close()
    expect(await expectWhole(gitdir, here.store)).toBe(2)
  })

  test('tries again what could not be committed, and says so until it can', async () => {
    const here = world()
    const gitdir = place()
    await here.send(['a', add(1)], ['b', add(1)])
    const run = (await here.store.find('t', 'a'))!
    const archived = started(here.supervisor, gitdir)
    await archived.caughtUp()
    const ours = git(gitdir, 'rev-parse', `r/${run}`)
    const foreign = git(gitdir, 'commit-tree', `${ours}^{tree}`, '-p', run, '-m', '1 ADD')
    git(gitdir, 'update-ref', `refs/heads/r/${run}`, foreign)
    await here.send(['a', add(2)], ['b', add(2)])
    await expect(archived.caughtUp()).rejects.toMatchObject({ retryable: expect.any(Boolean) })
    await expect(archived.caughtUp()).rejects.toMatchObject({ details: { run } })
    await expect(archived.caughtUp()).rejects.toMatchObject({ details: { run } })
    git(gitdir, 'update-ref', `refs/heads/r/${run}`, ours)
    await archived.caughtUp()
    expect(await expectWhole(gitdir, here.store)).toBe(4)
  })

  test('fails with a stream of units that breaks', async () => {
    const here = world()
    const broken = new ReadableStream({ start: controller => controller.error(new Error('cut off')) })
    const archived = started({ store: here.store, units: () => broken }, place())
    await expect(archived.caughtUp()).rejects.toThrow('cut off')
  })
})

/** What happens: records of these keys, faults of the store, and what is waited for or begins again. */
const deed = fc.oneof(
  { weight: 4, arbitrary: fc.array(fc.nat(5), { minLength: 1, maxLength: 12 }) },
  { weight: 3, arbitrary: fc.constantFrom('settle' as const, 'catch up' as const) },
  { weight: 1, arbitrary: fc.constantFrom('archive again' as const, 'supervise again' as const) },
  { weight: 3, arbitrary: fc.constantFrom('append.after' as const, 'append.before' as const, 'head.before' as const) },
)

test('whatever happens, the branches are the histories once it has caught up', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(deed, { maxLength: 14 }), fc.constantFrom(undefined, 1, 3), async (deeds, buffer) => {
      const store = faultyStore(memoryStore())
      const broker = memoryBroker({ partitions: 2 })
      const producer = broker.producer({ topic: 't' })
      const gitdir = place()
      const superviseIt = () =>
        supervise({
          machine: counter,
          store,
          consumer: broker.consumer({ topic: 't', group: 'g' }),
          restart: { backoff: () => 0 },
        })
      const archiveIt = () =>
        archive(new Watched({ store, supervisor }, buffer), { gitdir, interval: 1, onError: () => {} })
      let supervisor = superviseIt()
      let archived = archiveIt()
      /** Faults that are left meet it: it is asked until it could. */
      const catchUp = async (): Promise<void> => {
        while (!(await archived.caughtUp().then(() => true, retryable)));
      }
      await catchUp()
      for (const each of deeds) {
        if (Array.isArray(each)) {
          await producer.send(each.map(key => ({ key: `k${key}`, value: JSON.stringify(add(key)) })))
        } else if (each === 'settle') await supervisor.caughtUp()
        else if (each === 'catch up') await catchUp()
        else if (each === 'archive again') {
          await archived.close()
          archived = archiveIt()
        } else if (each === 'supervise again') {
          await Promise.all([supervisor.close(), archived.close()])
          supervisor = superviseIt()
          archived = archiveIt()
        } else store.faults.plan(each)
      }
      await supervisor.caughtUp()
      await catchUp()
      await expectWhole(gitdir, store)
      await Promise.all([supervisor.close(), archived.close()])
      await broker.close()
    }),
    { numRuns: Number(process.env.FC_RUNS) || 30 },
  )
})

function retryable(error: unknown): false {
  if (XMachinesError.is(error) && error.retryable) return false
  throw error
}
