import { execFileSync, execSync } from 'node:child_process'
import * as fs from 'node:fs'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as isomorphic from 'isomorphic-git'
import { openRun, replay, type Store } from 'xmachines'
import { fileStore } from 'xmachines/persistence/filesystem'
import { archive, gitStore, openClone } from 'xmachines/persistence/git'
import { type Comparison, compare } from './compare.ts'
import { type OrderEvent, order, orderEvents } from './machines.ts'

const manyRuns = 1000
const manyUnits = 50_000

/** A fresh directory for each round, gone after it. */
function scratch(): { readonly path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), 'xmachines-bench-'))
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) }
}

function git(dir: string, ...args: readonly string[]): void {
  execFileSync('git', ['-C', dir, ...args], { stdio: 'ignore' })
}

/** Sends events to many runs, as many at once as there are runs. */
async function fill(store: Store, runs: number, events: readonly OrderEvent[]): Promise<void> {
  const opened = await Promise.all(Array.from({ length: runs }, (_, i) => openRun(order, { store, key: `o-${i}` })))
  let next = 0
  await Promise.all(
    opened.map(async run => {
      while (next < events.length) await run.apply(events[next++]!)
    }),
  )
  await Promise.all(opened.map(run => run.close()))
}

/** What `git fast-import` is given: the commits of the runs of a repository, as Git itself says them. */
function fastExport(gitdir: string, to: string): void {
  execSync(`git -C ${gitdir} fast-export --branches='r/*' > ${to}`, { stdio: ['ignore', 'ignore', 'inherit'] })
}

/** The side that all writing is compared with: stock Git at its best settings, of a stream that is ready. */
function fastImport(stream: () => string, units: number) {
  let place = scratch()
  return {
    name: 'git fast-import',
    prepare() {
      place = scratch()
      git(place.path, 'init', '-q', '--bare', '.')
      git(place.path, 'config', 'pack.compression', '0')
    },
    run() {
      execSync(`git fast-import --quiet --depth=0 --active-branches=2000 < ${stream()}`, { cwd: place.path })
      return units
    },
    after: () => place.remove(),
  }
}

/** The Git store: many runs overlapped, with all of it committed at the end; one run awaited. */
export async function gitAppend(): Promise<Comparison[]> {
  const events = orderEvents(manyUnits)
  const sample = scratch()
  const first = gitStore({ gitdir: join(sample.path, 'r.git') })
  await fill(first, manyRuns, events)
  await first.close()
  const stream = join(sample.path, 'stream')
  fastExport(join(sample.path, 'r.git'), stream)
  let place = scratch()
  const overlapped = await compare(
    'git-append: 1,000 runs',
    1,
    fastImport(() => stream, manyUnits),
    {
      name: 'run.apply, until all is committed',
      prepare() {
        place = scratch()
      },
      async run() {
        const store = gitStore({ gitdir: join(place.path, 'r.git') })
        await fill(store, manyRuns, events)
        await store.close()
        return manyUnits
      },
      after: () => place.remove(),
    },
    3,
  )
  sample.remove()
  const awaitedUnits = 300
  const awaited = await compare(
    'git-append: one run, awaited',
    8,
    {
      name: 'isomorphic-git, low level',
      prepare() {
        place = scratch()
        git(place.path, 'init', '-q', '--bare', '.')
      },
      run: () => commitOneByOne(place.path, events.slice(0, awaitedUnits)),
      after: () => place.remove(),
    },
    {
      name: 'await run.apply',
      prepare() {
        place = scratch()
      },
      async run() {
        const store = gitStore({ gitdir: join(place.path, 'r.git') })
        const run = await openRun(order, { store, key: 'o' })
        for (const event of events.slice(0, awaitedUnits)) await run.apply(event)
        await run.close()
        await store.close()
        return awaitedUnits
      },
      after: () => place.remove(),
    },
    5,
  )
  return [overlapped, awaited]
}

/** One commit after the other with isomorphic-git's plumbing: two blobs, a tree, a commit, a ref. */
async function commitOneByOne(gitdir: string, events: readonly OrderEvent[]): Promise<number> {
  let parent: string | undefined
  for (const [seq, event] of events.entries()) {
    const files = { 'events.json': [event], 'unit.json': { seq, at: seq, origin: { kind: 'outside' } } }
    const tree: { mode: string; path: string; oid: string; type: 'blob' }[] = []
    for (const [path, content] of Object.entries(files)) {
      const blob = Buffer.from(JSON.stringify(content, null, 2))
      tree.push({ mode: '100644', path, oid: await isomorphic.writeBlob({ fs, gitdir, blob }), type: 'blob' })
    }
    const who = { name: 'bench', email: 'bench@example.invalid', timestamp: seq, timezoneOffset: 0 }
    const oid = await isomorphic.writeCommit({
      fs,
      gitdir,
      commit: {
        tree: await isomorphic.writeTree({ fs, gitdir, tree }),
        parent: parent === undefined ? [] : [parent],
        author: who,
        committer: who,
        message: `${seq} ${event.type}\n`,
      },
    })
    await isomorphic.writeRef({ fs, gitdir, ref: 'refs/heads/r/bench', value: oid, force: true })
    parent = oid
  }
  return events.length
}

/** An archive of a store of files. */
export async function gitArchive(): Promise<Comparison[]> {
  const source = scratch()
  const writer = fileStore(join(source.path, 'store'), { fsync: false })
  await fill(writer, manyRuns, orderEvents(manyUnits))
  await writer.close()
  const sample = join(source.path, 'r.git')
  await archiveInto(join(source.path, 'store'), sample)
  const stream = join(source.path, 'stream')
  fastExport(sample, stream)
  let place = scratch()
  const result = await compare(
    'git-archive',
    1,
    fastImport(() => stream, manyUnits),
    {
      name: 'archive(store)',
      prepare() {
        place = scratch()
      },
      async run() {
        await archiveInto(join(source.path, 'store'), join(place.path, 'r.git'))
        return manyUnits
      },
      after: () => place.remove(),
    },
    5,
  )
  source.remove()
  return [result]
}

async function archiveInto(dir: string, gitdir: string): Promise<void> {
  const store = fileStore(dir, { readOnly: true })
  const archived = archive(store, { gitdir })
  await archived.caughtUp()
  await archived.close()
  await store.close()
}

/** A long run from a clone that Git has packed: replayed, against Git that only prints it. */
export async function gitReplay(): Promise<Comparison[]> {
  const units = 10_000
  const place = scratch()
  const gitdir = join(place.path, 'r.git')
  const store = gitStore({ gitdir, fsync: false })
  const run = await openRun(order, { store, key: 'o' })
  for (const event of orderEvents(units)) await run.apply(event)
  await run.close()
  await store.close()
  const clone = join(place.path, 'clone.git')
  git(gitdir, 'clone', '-q', '--mirror', gitdir, clone)
  git(clone, 'repack', '-adfq')
  const result = await compare(
    'git-replay: 10 k units',
    0.5,
    {
      name: 'git rev-list | git cat-file',
      run() {
        const list = `git rev-list --objects --no-object-names r/${run.id}`
        execSync(`${list} | git cat-file --batch --buffer > /dev/null`, { cwd: clone })
        return units
      },
    },
    {
      name: 'replay(clone.read)',
      async run() {
        const opened = openClone({ gitdir: clone })
        let last = 0
        for await (const step of replay(order, opened.read(run.id))) last = step.seq
        await opened.close()
        return last
      },
    },
  )
  place.remove()
  return [result]
}
