import '../../seed.ts'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { openRun, replay } from 'xmachines'
import { assign, setup } from 'xstate'
import type { Store } from '../../../src/actors/contracts/store.ts'
import { type Archive, archive, gitStore, openClone } from '../../../src/persistence/git/index.ts'
import { noteText } from '../../../src/persistence/git/note.ts'
import { memoryStore } from '../../../src/persistence/memory.ts'
import { TestRun, testUnit } from '../../../src/testing/store-conformance/test-run.ts'
import { endings } from '../../endings.ts'
import { temporaryDirectory } from '../filesystem/directory.ts'
import { filled } from './filled.ts'
import { fsck, git, gitTries } from './stock-git.ts'

const ends = endings()

function place(): string {
  const { dir, remove } = temporaryDirectory()
  ends.push(remove)
  return join(dir, 'store.git')
}

function started(store: Store, gitdir: string): Archive {
  const archived = archive(store, { gitdir, interval: 1e9 })
  ends.push(() => archived.close())
  return archived
}

/** Every note, by the commit that it is on. */
function notesOf(gitdir: string): Map<string, string> {
  const list = gitTries(gitdir, 'notes', '--ref=xmachines', 'list')
    .said.split('\n')
    .filter(line => line.length > 60)
  return new Map(
    list.map(line => {
      const [blob, commit] = line.split(' ') as [string, string]
      return [commit, `${git(gitdir, 'cat-file', 'blob', blob)}\n`]
    }),
  )
}

/** The notes that the units of a run must have. */
function wanted(run: TestRun): [string, string][] {
  return run.history().flatMap(unit => {
    // The seed of a fork's history is another run's.
    if (unit.run !== run.id) return []
    const text = noteText(unit as never)
    return text === undefined ? [] : [[unit.id, text]]
  })
}

test('a log shows how units were recorded, and an ordinary clone takes it along when it is told to', async () => {
  const gitdir = place()
  const store = memoryStore()
  const lease = await store.claim({ namespace: 'tests', partition: 0, owner: 'me', group: 'g' })
  const run = await new TestRun('sha1', { key: 'k' }).create(store, { lease })
  const sources = [{ id: 'log/\u202eorders', position: 12n }]
  await run.goOn(store, [testUnit(1, { sources, state: '1:abc', outputs: [{ type: 'PAID', text: '\u001b[31m' }] })], {
    lease,
  })
  await started(store, gitdir).checkpoint()
  const format = '--format=%s%n%N'
  const lines = ['1 NEXT', 'epoch: 1', String.raw`source: "log/\u202eorders" 12`, 'state: 1:abc']
  const story = [...lines, String.raw`output: {"type":"PAID","text":"\u001b[31m"}`].join('\n')
  expect(git(gitdir, 'log', '-1', '--notes=xmachines', format, `r/${run.id}`)).toBe(story)
  expect(fsck(gitdir)).toBe('')
  const clone = place()
  const config = ['+refs/notes/*:refs/notes/*', '+refs/xmachines/*:refs/xmachines/*']
  const flags = config.flatMap(refspec => ['-c', `remote.origin.fetch=${refspec}`])
  git(gitdir, 'clone', '-q', '--no-checkout', ...flags, gitdir, clone)
  expect(git(clone, 'log', '-1', '--notes=xmachines', format, `origin/r/${run.id}`)).toBe(story)
})

test.each(['sha1', 'sha256'] as const)(
  'of everything that a store of %s has, forks and all, in a tree of folders',
  async format => {
    const gitdir = place()
    const { store, runs } = await filled(format)
    await runs[2]!.goOn(store, 700)
    const archived = started(store, gitdir)
    await archived.checkpoint()
    // What is there is not written again.
    const before = git(gitdir, 'rev-parse', 'refs/notes/xmachines')
    await archived.checkpoint()
    expect(git(gitdir, 'rev-parse', 'refs/notes/xmachines')).toBe(before)
    const notes = notesOf(gitdir)
    for (const [commit, text] of runs.flatMap(wanted)) expect(notes.get(commit)).toBe(text)
    expect(notes.size).toBe(new Map(runs.flatMap(wanted)).size)
    expect(fsck(gitdir)).toBe('')
  },
)

test('however appends, flushes, checkpoints, restarts and notes of others follow each other: each unit has its note, once', async () => {
  const step = fc.constantFrom('append', 'append', 'flush', 'checkpoint', 'restart', 'their note')
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 14 }), async steps => {
      const gitdir = place()
      const store = memoryStore()
      const runs = [new TestRun('sha1'), new TestRun('sha1')]
      for (const run of runs) await run.create(store, {}, 1)
      let archived = started(store, gitdir)
      await archived.caughtUp()
      const theirs = new Set<string>()
      let count = 0
      for (const step of steps) {
        const run = runs[count++ % 2]!
        if (step === 'append') await run.goOn(store, 1 + (count % 3))
        else if (step === 'flush') await archived.caughtUp()
        else if (step === 'checkpoint') await archived.checkpoint()
        else if (step === 'restart') {
          await archived.close()
          archived = started(store, gitdir)
        } else {
          // The machine's commit is no unit.
          git(gitdir, 'notes', '--ref=xmachines', 'add', '-f', '-m', `theirs ${count}`, run.machine.oid)
          theirs.add(run.machine.oid)
        }
      }
      await archived.checkpoint()
      const notes = notesOf(gitdir)
      for (const [commit, text] of runs.flatMap(wanted)) expect(notes.get(commit)).toBe(text)
      for (const commit of theirs) expect(notes.get(commit)).toMatch(/^theirs/)
      expect(notes.size).toBe(runs.flatMap(wanted).length + theirs.size)
      expect(fsck(gitdir)).toBe('')
      await archived.close()
    }),
    { numRuns: 12 },
  )
}, 120_000)

const counter = setup({ types: {} as { context: { count: number }; events: { type: 'ADD' } } }).createMachine({
  id: 'counter',
  context: { count: 0 },
  on: { ADD: { actions: assign({ count: ({ context }) => context.count + 1 }) } },
})

test('a clone opens a long run at the newest state, and replays what follows', async () => {
  const gitdir = place()
  const store = gitStore({ gitdir, interval: 1e9, fsync: false })
  const run = await openRun(counter, { store, key: 'long' })
  await run.apply(Array.from({ length: 3 }, () => ({ type: 'ADD' as const })))
  await Promise.all(Array.from({ length: 600 }, () => run.apply({ type: 'ADD' })))
  await run.close()
  await store.close()
  const clone = place()
  git(gitdir, 'clone', '-q', '--mirror', gitdir, clone)
  expect(fsck(clone)).toBe('')
  const there = openClone({ gitdir: clone })
  const snapshot = (await there.loadSnapshot(run.id))!
  expect(snapshot.seq).toBe(601)
  expect(await there.loadSnapshot(run.id, { atMost: 600 })).toBeUndefined()
  await there.close()
  // One whose run is another one's is not taken.
  const foreign = git(clone, 'rev-parse', 'refs/xmachines/snapshots')
  git(clone, 'update-ref', `refs/heads/r/${run.id}`, git(clone, 'rev-parse', `r/${run.id}~5`))
  const shorter = openClone({ gitdir: clone })
  expect(await shorter.loadSnapshot(run.id)).toBeUndefined()
  await shorter.close()
  git(clone, 'update-ref', `refs/heads/r/${run.id}`, git(gitdir, 'rev-parse', `r/${run.id}`))
  expect(git(clone, 'rev-parse', 'refs/xmachines/snapshots')).toBe(foreign)
  // The journal of a store in a clone begins with it.
  const again = gitStore({ gitdir: clone, fsync: false })
  expect((await again.loadSnapshot(run.id))!.seq).toBe(601)
  const opened = await openRun(counter, { store: again, id: run.id })
  expect(opened.getSnapshot().context).toEqual({ count: 603 })
  await opened.close()
  let last: unknown
  for await (const { snapshot } of replay(counter, again.read(run.id))) last = snapshot.context
  expect(last).toEqual({ count: 603 })
  await again.close()
})

test('who has caught up and closes waits for no note', async () => {
  const gitdir = place()
  const store = memoryStore()
  const run = await new TestRun('sha1', { key: 'k' }).create(store)
  await run.goOn(store, [testUnit(1, { state: '1:abc' })])
  const archived = started(store, gitdir)
  await archived.caughtUp()
  await archived.close()
  expect(notesOf(gitdir).size).toBe(0)
})
