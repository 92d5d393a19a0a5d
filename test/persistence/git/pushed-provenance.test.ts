import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import { archive, gitStore, openClone } from '../../../src/persistence/git/index.ts'
import { checkPush } from '../../../src/persistence/git/push.ts'
import { openRepository } from '../../../src/persistence/git/repository.ts'
import { memoryStore } from '../../../src/persistence/memory.ts'
import { collect, TestRun, testUnit } from '../../../src/testing/store-conformance/test-run.ts'
import { endings } from '../../endings.ts'
import { temporaryDirectory } from '../filesystem/directory.ts'
import { fsck, git } from './stock-git.ts'

const ends = endings()

const zero = '0'.repeat(40)
const provenance = 'refs/heads/xmachines/provenance'
const source = 'shop/orders/0'
/** A repository with three runs: one that goes on, one that has ended, and one that nothing is recorded of. */
let gitdir: string
let [run, ended, unrecorded] = [] as unknown as [TestRun, TestRun, TestRun]

beforeEach(async () => {
  const { dir, remove } = temporaryDirectory()
  ends.push(remove)
  gitdir = join(dir, 'ledger.git')
  const store = memoryStore()
  const unit = (seq: number, position: bigint) =>
    testUnit(seq, { sources: [{ id: source, position }], outputs: [{ type: 'SAID', seq }], state: `1:${seq}` })
  run = await new TestRun('sha1', { key: 'goes on' }).create(store)
  await run.goOn(store, [unit(1, 1n), unit(2, 2n)])
  await archived(store, gitdir)
  await run.goOn(store, [unit(3, 3n), unit(4, 4n)])
  ended = await new TestRun('sha1', { key: 'ended' }).create(store)
  await ended.goOn(store, [unit(1, 9n)], { status: 'done', value: 'over' })
  await archived(store, gitdir)
  const other = memoryStore()
  unrecorded = await new TestRun('sha1', { key: 'unrecorded' }).create(other, {}, 3)
  const there = join(dir, 'other.git')
  await archived(other, there)
  git(gitdir, 'fetch', '-q', there, `refs/heads/r/${unrecorded.id}:refs/heads/r/${unrecorded.id}`)
})

async function archived(store: ReturnType<typeof memoryStore>, place: string): Promise<void> {
  const following = archive(store, { gitdir: place })
  await following.caughtUp()
  await following.close()
}

/** The line that was recorded last of what is kept beside a run, changed. */
function besideOf({ id }: TestRun, change: (beside: Record<string, unknown>) => object): string {
  const lines = git(gitdir, 'log', '--format=%H', provenance)
    .split('\n')
    .flatMap(commit => git(gitdir, 'show', `${commit}:units.ndjson`).split('\n'))
  const line = lines.find(text => text.startsWith(`{"run":"${id}","beside":`))!
  const { beside } = JSON.parse(line) as { beside: Record<string, unknown> }
  return JSON.stringify({ run: id, beside: { ...beside, ...change(beside) } })
}

function unitsOf({ id }: TestRun, from: number, ...units: readonly object[]): string {
  return JSON.stringify({ run: id, from, units })
}

function recorded(seq: number): object {
  return { outputs: [{ type: 'SAID', seq }], sources: [{ id: source, position: `${seq}` }], state: `1:${seq}` }
}

/** A commit of lines on what is recorded, made by hand as whoever pushes could. */
function forged(...lines: readonly string[]): string {
  const made = (args: readonly string[], input: string): string =>
    spawnSync('git', ['-C', gitdir, ...args], { input, encoding: 'utf8' }).stdout.trim()
  const blob = made(['hash-object', '-w', '--stdin'], lines.map(line => `${line}\n`).join(''))
  const tree = made(['mktree'], `100644 blob ${blob}\tunits.ndjson\n`)
  return git(gitdir, 'commit-tree', '-m', 'forged', '-p', provenance, tree)
}

/** What a push of lines adds to. @throws */
function pushed(...lines: readonly string[]): readonly string[] {
  const repository = openRepository(gitdir)
  ends.push(() => repository.objects.close())
  return checkPush(repository, [
    { name: provenance, old: git(gitdir, 'rev-parse', provenance), fresh: forged(...lines) },
  ]).runs
}

function refusal(...lines: readonly string[]): { readonly code: string; readonly message: string } {
  try {
    return { code: 'taken', message: pushed(...lines).join(' ') }
  } catch (error) {
    return error as { readonly code: string; readonly message: string }
  }
}

describe('what is recorded is not changed by a push:', () => {
  test.each([
    ['outputs', () => unitsOf(run, 2, { ...recorded(2), outputs: [{ type: 'LIE' }] }, recorded(3), recorded(4)), 2],
    ['a state hash', () => unitsOf(run, 3, recorded(3), { ...recorded(4), state: '1:lie' }), 4],
    ['a position', () => unitsOf(run, 4, { ...recorded(4), sources: [{ id: source, position: '99' }] }), 4],
    ['units that are left out, as none follow', () => unitsOf(run, 3), 3],
    ['units that are left out, as others are said again', () => unitsOf(run, 1, recorded(1)), 2],
  ])('%s', (_, line, seq) => {
    expect(refusal(line())).toMatchObject({
      code: 'PUSH_REFUSED',
      message: expect.stringContaining(`would change how unit ${seq} of run ${run.id} was recorded`),
      details: { run: run.id, seq },
    })
  })

  test.each([
    ['the status', () => besideOf(run, () => ({ status: 'done' })), /the status/],
    ['the state', () => besideOf(ended, () => ({ value: 'elsewhere' })), /the state/],
    ['the time of the creation', () => besideOf(run, () => ({ created: 1 })), /how the creation was recorded/],
    ['a position, taken back', () => besideOf(run, () => ({ sources: [{ id: source, position: '1' }] })), /position/],
    ['a position, taken away', () => besideOf(run, () => ({ sources: [] })), /position/],
  ])('%s', (_, line, what) => {
    expect(refusal(line())).toMatchObject({ code: 'PUSH_REFUSED', message: expect.stringMatching(what) })
  })

  test('what is said again as it was said is taken, and decided again', () => {
    expect(
      pushed(
        unitsOf(run, 3, recorded(3), recorded(4)),
        besideOf(run, () => ({})),
      ),
    ).toEqual([run.id])
  })
})

describe('what a push records', () => {
  test('is of runs and units that are there', () => {
    const nobody = unitsOf({ id: '1'.repeat(40) } as TestRun, 1, {})
    expect(refusal(nobody)).toMatchObject({
      code: 'PUSH_REFUSED',
      message: expect.stringContaining('which is not here'),
    })
    expect(refusal(unitsOf(run, 5, recorded(5)))).toMatchObject({
      code: 'PUSH_REFUSED',
      message: expect.stringContaining('records unit 5'),
    })
  })

  test('of units of which nothing was recorded is taken; every run that it names is decided again', () => {
    expect(pushed(unitsOf(unrecorded, 0, {}, {}, {}, {}))).toEqual([unrecorded.id])
  })

  test('moves a position no further than units show, of a run that goes on', () => {
    const moved = (of: TestRun, position: string): string =>
      besideOf(of, ({ revision }) => ({ revision: Number(revision) + 1, sources: [{ id: source, position }] }))
    expect(refusal(moved(run, '99999999999999999999'))).toMatchObject({
      code: 'PUSH_REFUSED',
      message: expect.stringContaining(`position 99999999999999999999 of source '${source}', which no unit has`),
      details: { run: run.id, source, position: '99999999999999999999' },
    })
    // Another run's unit has it: this one refused what came before.
    expect(pushed(moved(run, '9'))).toEqual([run.id])
    expect(pushed(moved(ended, '12'))).toEqual([ended.id])
  })

  test('comes from a clone that went on, with the units', async () => {
    const clone = `${gitdir}.clone`
    git(gitdir, 'clone', '-q', '--mirror', gitdir, clone)
    const store = gitStore({ gitdir: clone, fsync: false })
    const head = (await store.head(run.id))!
    const unit = testUnit(5, { sources: [{ id: source, position: 70n }] })
    await store.append([{ run: run.id, expected: { seq: 4, revision: head.revision }, units: [unit] }])
    await store.close()
    const names = [provenance, `refs/heads/r/${run.id}`]
    const refs = names.map(name => ({
      name,
      old: git(gitdir, 'rev-parse', name),
      fresh: git(clone, 'rev-parse', name),
    }))
    git(gitdir, 'fetch', '-q', clone, ...names)
    const repository = openRepository(gitdir)
    ends.push(() => repository.objects.close())
    const { runs, recorded: seqs } = checkPush(repository, refs)
    expect(runs).toEqual([run.id])
    expect([...seqs(run.id)]).toEqual([0, 1, 2, 3, 4, 5])
    // Without the units it records what nobody has.
    expect(() => checkPush(repository, [refs[0]!])).toThrow(expect.objectContaining({ code: 'PUSH_REFUSED' }))
  })
})

test.each([
  ['no JSON', () => `{"run":"${run.id}","from":4,"units":[{"outputs":`],
  ['no line of ours', () => 'hello'],
  ['an empty line', () => ''],
  ['a run of another format', () => `{"run":"${run.id}${'0'.repeat(24)}","from":4,"units":[{}]}`],
  ['a unit that is no object', () => unitsOf(run, 4, null as never)],
  ['outputs that are none', () => unitsOf(run, 4, { outputs: 'SAID' })],
  ['a position that is none', () => unitsOf(run, 4, { sources: [{ id: source, position: 'ten' }] })],
  ['nothing beside', () => `{"run":"${run.id}","beside":{}}`],
  ['a status that is none', () => besideOf(run, () => ({ status: 'fine' }))],
  ['an owner that is none', () => besideOf(run, () => ({ owners: { a: 1 } }))],
])('a line that cannot be read is told by its file, to a push and to readers: %s', async (_, line) => {
  const text = line()
  expect(refusal(text, unitsOf(run, 4, recorded(4)))).toMatchObject({
    code: 'COMMIT_DAMAGED',
    message: expect.stringContaining('The branch xmachines/provenance is bad'),
    details: { commit: provenance },
  })
  git(gitdir, 'update-ref', provenance, forged(text))
  const clone = openClone({ gitdir })
  ends.push(() => clone.close())
  const reading = Promise.all([collect(clone.list()), collect(clone.read(run.id))])
  await expect(reading).rejects.toMatchObject({ code: 'COMMIT_DAMAGED', details: { commit: provenance } })
})

test('what ids are made of is read from commits alone, whatever was recorded', async () => {
  const lie = { events: [{ type: 'LIE' }], id: zero, seq: 7, at: 7, origin: { kind: 'stop' }, creation: {} }
  git(gitdir, 'update-ref', provenance, forged(unitsOf(run, 4, { ...recorded(4), ...lie })))
  const clone = openClone({ gitdir })
  ends.push(() => clone.close())
  const last = (await collect(clone.read(run.id))).at(-1)!
  const { id, at, events } = run.history().at(-1)!
  expect(last).toMatchObject({ seq: 4, id, at, events, origin: { kind: 'outside' } })
  expect(last.creation).toBeUndefined()
})

test('a push sets no ref that readers would take for what a writer, or a clone, keeps', () => {
  const fresh = git(gitdir, 'rev-parse', `r/${run.id}`)
  const repository = openRepository(gitdir)
  ends.push(() => repository.objects.close())
  for (const name of [
    'refs/notes/xmachines',
    'refs/xmachines/snapshots',
    `refs/remotes/origin/r/${run.id}`,
    'refs/remotes/origin/xmachines/provenance',
    // The same files, where a file system ignores case.
    `refs/heads/R/${run.id}`,
    `refs/Heads/r/${run.id}`,
    'refs/heads/XMachine\u017f/provenance',
    'refs/heads/xmachines\u200d/provenance',
    `refs/Replace/${fresh}`,
  ]) {
    for (const [old, to] of [
      [zero, fresh],
      [fresh, zero],
    ] as const)
      expect(() => checkPush(repository, [{ name, old, fresh: to }])).toThrow(
        expect.objectContaining({ code: 'PUSH_REFUSED', details: expect.objectContaining({ ref: name }) }),
      )
  }
  // What `git push --mirror` would bring.
  const notes = { name: 'refs/notes/xmachines', old: zero, fresh }
  expect(() => checkPush(repository, [notes])).toThrow(/ Push the branches: git push --all\./)
  for (const name of ['refs/notes/commits', 'refs/heads/Feature/R', 'refs/heads/RM'])
    expect(checkPush(repository, [{ name, old: zero, fresh }]).runs).toEqual([])
  expect(fsck(gitdir)).toBe('')
})
