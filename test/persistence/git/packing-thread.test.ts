import { once } from 'node:events'
import { join } from 'node:path'
import type { Worker } from 'node:worker_threads'
import fc from 'fast-check'
import { expect, onTestFinished, test } from 'vitest'
import type { RecordedEvent } from '../../../src/actors/contracts/json.ts'
import type { Store } from '../../../src/actors/contracts/store.ts'
import { RepositoryWriter } from '../../../src/persistence/git/archive.ts'
import { archive } from '../../../src/persistence/git/index.ts'
import { PackingThread } from '../../../src/persistence/git/packing-thread.ts'
import { memoryStore } from '../../../src/persistence/memory.ts'
import { TestRun, testUnit } from '../../../src/testing/store-conformance/test-run.ts'
import { endings } from '../../endings.ts'
import { temporaryDirectory } from '../filesystem/directory.ts'
import { filled } from './filled.ts'
import { fsck, git } from './stock-git.ts'

const ends = endings()

function place(): string {
  const { dir, remove } = temporaryDirectory()
  ends.push(remove)
  return join(dir, 'archive.git')
}

/** The threads that are started until the test ends. */
function threads(): readonly Worker[] {
  const started: Worker[] = []
  const notice = (worker: Worker): unknown => started.push(worker)
  process.on('worker', notice)
  onTestFinished(() => void process.off('worker', notice))
  return started
}

/** A repository whose batches go over to `thread`. */
function opened(store: Store, thread: PackingThread): Promise<RepositoryWriter> {
  return RepositoryWriter.open(place(), { bare: true, source: store, thread })
}

/** The same with a thread and without. */
async function both(store: Store, worthwhile: number) {
  const here = await opened(store, new PackingThread(Number.POSITIVE_INFINITY))
  const there = await opened(store, new PackingThread(worthwhile))
  const writers = [here, there]
  ends.push(...writers.map(writer => () => writer.close()))
  return {
    take: async (run: string) => {
      for (const { archiver } of writers) await archiver.take(store, (await store.head(run))!)
    },
    commit: async () => {
      for (const { archiver } of writers) await archiver.commit()
    },
    expectSame() {
      const [one, other] = writers.map(({ repository }) => git(repository.gitdir, 'for-each-ref'))
      expect(other).toBe(one)
      expect(there.archiver.counts).toEqual(here.archiver.counts)
      expect(fsck(there.repository.gitdir)).toBe('')
    },
  }
}

const json = fc.dictionary(fc.oneof(fc.string(), fc.constantFrom('__proto__', 'toJSON', 'ключ')), fc.jsonValue())
const events = fc.array(
  json.map(content => ({ ...content, type: 'E' }) as RecordedEvent),
  { minLength: 1, maxLength: 3 },
)

test('wherever a batch goes over to a thread, and whatever is in it, the branches are the same', async () => {
  const started = threads()
  const formats = fc.constantFrom('sha1' as const, 'sha256' as const)
  const flushes = fc.array(fc.array(fc.tuple(fc.nat(2), fc.array(events, { minLength: 1, maxLength: 4 }))), {
    minLength: 1,
    maxLength: 3,
  })
  await fc.assert(
    fc.asyncProperty(formats, fc.integer({ min: 1, max: 12 }), flushes, async (format, worthwhile, flushes) => {
      const store = memoryStore({ objectFormat: format })
      const runs = [0, 1, 2].map(() => new TestRun(format))
      for (const run of runs) await run.create(store)
      const repositories = await both(store, worthwhile)
      for (const flush of flushes) {
        for (const [at, batches] of flush) {
          const run = runs[at]!
          await run.goOn(
            store,
            batches.map((events, n) => ({ ...testUnit(run.seq + 1 + n), events })),
          )
          await repositories.take(run.id)
        }
        await repositories.commit()
      }
      repositories.expectSame()
      for (const end of ends.splice(0).reverse()) await end()
    }),
    { numRuns: 12 },
  )
  expect(started.length).toBeGreaterThan(0)
})

test.each(['sha1', 'sha256'] as const)('of everything that a store of %s has', async format => {
  const { store, runs } = await filled(format)
  const repositories = await both(store, 5)
  for (const run of runs) await repositories.take(run.id)
  await repositories.commit()
  repositories.expectSame()
})

test('few units start no thread; many do, and it ends with the archive', async () => {
  const started = threads()
  const store = memoryStore()
  const run = await new TestRun('sha1').create(store, {}, 100)
  const gitdir = place()
  const archived = archive(store, { gitdir, interval: 1e9 })
  await archived.caughtUp()
  expect(started).toHaveLength(0)
  await run.goOn(store, 5000)
  await archived.caughtUp()
  expect(started).toHaveLength(1)
  const ended = once(started[0]!, 'exit')
  await archived.close()
  await ended
  expect(git(gitdir, 'rev-list', '--count', `r/${run.id}`)).toBe('5102')
  expect(fsck(gitdir)).toBe('')
})

test('a thread that ends in the middle costs one pass: what it had is committed without one', async () => {
  const started = threads()
  const store = memoryStore()
  const run = await new TestRun('sha1').create(store, {}, 3000)
  const gitdir = place()
  const errors: unknown[] = []
  process.once('worker', (worker: Worker) => void worker.terminate())
  const archived = archive(store, { gitdir, interval: 1, onError: error => errors.push(error) })
  ends.push(() => archived.close())
  const failed = (error: unknown): boolean => errors.push(error) === 0
  while (!(await archived.caughtUp().then(() => true, failed)));
  expect(errors).toMatchObject([{ code: 'STORE_UNAVAILABLE', retryable: true, details: { path: gitdir } }])
  await run.goOn(store, 3000)
  await archived.caughtUp()
  expect(started).toHaveLength(1)
  expect(git(gitdir, 'rev-list', '--count', `r/${run.id}`)).toBe('6002')
  expect(fsck(gitdir)).toBe('')
})
