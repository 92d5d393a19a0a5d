import '../../seed.ts'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type CallerFs, FsFiles } from '../../../src/persistence/git/over-fs/caller-fs.ts'
import { LoggedStore } from '../../../src/persistence/git/over-fs/logged-store.ts'
import { OperationLog } from '../../../src/persistence/git/over-fs/operation-log.ts'
import { TestRun } from '../../../src/testing/store-conformance/test-run.ts'

/** Files in memory. Each call takes as long as `turn` says, which may throw in its place. */
class SlowFiles implements CallerFs {
  readonly #files = new Map<string, Uint8Array>()
  readonly #turn: (call: string) => Promise<void>

  constructor(turn: (call: string) => Promise<void>) {
    this.#turn = turn
  }

  readonly promises: CallerFs['promises'] = {
    readFile: path => this.#do('readFile', () => this.#files.get(path) ?? missing(path)),
    writeFile: (path, data) => this.#do('writeFile', () => this.#files.set(path, data.slice())),
    mkdir: () => Promise.resolve(),
    readdir: path =>
      this.#do('readdir', () =>
        [...this.#files.keys()].filter(file => file.startsWith(`${path}/`)).map(file => file.slice(path.length + 1)),
      ),
    rename: (from, to) =>
      this.#do('rename', () => {
        this.#files.set(to, this.#files.get(from) ?? missing(from))
        this.#files.delete(from)
      }),
    unlink: path => this.#do('unlink', () => this.#files.delete(path)),
    flush: () => this.#do('flush', () => {}),
  }

  async #do<T>(call: string, work: () => T): Promise<T> {
    await this.#turn(call)
    return work()
  }
}

function missing(path: string): never {
  throw Object.assign(new Error(`${path} is not there`), { code: 'ENOENT' })
}

function storeIn(fs: CallerFs): LoggedStore {
  return new LoggedStore(new OperationLog(new FsFiles(fs, '/r.git')), { location: '/r.git', objectFormat: 'sha1' })
}

/** Appends unit after unit, and looks before each whether what was acknowledged is there. Returns how far it was acknowledged. */
async function client(store: LoggedStore, run: TestRun, rounds: number): Promise<number> {
  let acknowledged = -1
  for (let round = 0; round < rounds; round++) {
    // Who was refused looks where the run stands, as an open run does.
    const head = await store.head(run.id).catch(() => undefined)
    if (head !== undefined) {
      expect(head.seq).toBeGreaterThanOrEqual(acknowledged)
      Object.assign(run, { seq: head.seq, revision: head.revision })
    } else if (acknowledged >= 0) continue
    const item = head === undefined ? run.creates() : run.goesOn()
    const [outcome] = await store.append([item]).catch(() => [undefined])
    if (outcome?.status === 'appended') acknowledged = outcome.seq
  }
  return acknowledged
}

test('what was acknowledged is never missing where files are slow and one call of them fails', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.scheduler(),
      fc.integer({ min: 0, max: 40 }),
      fc.constantFrom('writeFile', 'rename', 'flush', 'readFile', 'readdir'),
      async (scheduler, fails, failing) => {
        let calls = 0
        const fs = new SlowFiles(async call => {
          await scheduler.schedule(Promise.resolve(), call)
          if (call === failing && calls++ === fails) throw Object.assign(new Error('not this time'), { code: 'EIO' })
        })
        const store = storeIn(fs)
        const runs = Array.from({ length: 4 }, (_, index) => new TestRun('sha1', { key: `${index}` }))
        const acknowledged = await scheduler.waitFor(Promise.all(runs.map(run => client(store, run, 8))))
        calls = Number.POSITIVE_INFINITY
        const again = storeIn(fs)
        for (const [at, run] of runs.entries()) {
          const seq = acknowledged[at]!
          const heads = await scheduler.waitFor(Promise.all([store.head(run.id), again.head(run.id)]))
          for (const head of heads) expect(head?.seq ?? -1).toBeGreaterThanOrEqual(seq)
        }
      },
    ),
  )
}, 60_000)
