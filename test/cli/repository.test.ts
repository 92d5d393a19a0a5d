import { chmodSync, existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { deflateSync } from 'node:zlib'
import { beforeAll, describe, expect, it } from 'vitest'
import { openRun } from 'xmachines'
import { gitStore } from '../../src/persistence/git/index.ts'
import { fsck, git } from '../persistence/git/stock-git.ts'
import { ended, jsonLines, start, xmachines } from './command.ts'
import { counter as counting } from './machines/counter.ts'
import { counter, counterLog, Workspace } from './workspace.ts'

const space = new Workspace()
let store: string
let repository: string
let clone: string

beforeAll(async () => {
  store = space.path('store')
  await xmachines('run', space.log(counterLog(200, 6)), '--machine', counter, '--store', store, '--topic', 'shop')
  await xmachines('fork', store, 'k1', '--at', '3', '--key', 'f1', '--machine', counter)
  repository = space.path('ledger.git')
  clone = space.path('clone')
})

/** Everything that both must share. */
async function exportOf(place: string): Promise<string> {
  const { code, stdout, stderr } = await xmachines('export', place)
  expect([code, stderr]).toEqual([0, expect.stringMatching(/^\d+ runs, /)])
  return stdout
}

describe('xmachines archive', () => {
  it('commits a store to a repository, and once more only what is new', async () => {
    const first = await xmachines('archive', store, repository, '--json')
    expect([first.code, first.stderr]).toEqual([0, expect.stringContaining('committed to')])
    expect(jsonLines(first.stdout)).toMatchObject([{ gitdir: repository, units: expect.any(Number), flushes: 1 }])
    expect(fsck(repository)).toBe('')
    const again = await xmachines('archive', store, repository, '--json')
    expect(jsonLines(again.stdout)).toMatchObject([{ units: 0, flushes: 0 }])
    git(repository, 'clone', '-q', repository, clone)
  })

  it('follows until it is interrupted', async () => {
    const child = start('archive', store, space.path('followed.git'), '--follow', '--json')
    child.stdout!.once('data', () => {})
    await new Promise<void>(resolve => child.stderr!.once('data', () => resolve()))
    const end = ended(child)
    child.kill('SIGINT')
    expect((await end).code).toBe(130)
  })

  it('says what is wrong with a place', async () => {
    const { code, stderr } = await xmachines('archive', space.path('nothing'), repository)
    expect([code, stderr]).toEqual([2, expect.stringContaining('STORE_MISSING')])
    // A repository in the midst of a store's files.
    const before = readdirSync(store)
    const within = await xmachines('archive', store, store)
    expect([within.code, within.stderr]).toEqual([2, expect.stringMatching(/^USAGE_INVALID: .* is a store of files/)])
    expect(readdirSync(store)).toEqual(before)
  })
})

describe('a clone of the repository', () => {
  it('reads as the story of its runs', async () => {
    const head = jsonLines<{ run: string; key: string }>((await xmachines('runs', clone, '--json')).stdout)
    const { run } = head.find(({ key }) => key === 'k1')!
    const story = git(clone, 'log', '--reverse', '--format=%s', `origin/r/${run}`).split('\n')
    expect(story[0]).toMatch(/^machine counter /)
    expect(story[1]).toBe('run shop/k1')
    expect(story[2]).toMatch(/^1 (ADD|DRAW)$/)
  })

  it('exports what the store does', async () => {
    expect(jsonLines(await exportOf(clone))).toEqual(jsonLines(await exportOf(store)))
  })

  it('is replayed, verified and compared', async () => {
    const machine = ['--machine', counter]
    const [here, there] = [
      await xmachines('replay', store, 'k1', ...machine),
      await xmachines('replay', clone, 'k1', ...machine),
    ]
    expect([there.code, there.stdout]).toEqual([0, here.stdout])
    const verified = await xmachines('verify', clone, ...machine)
    expect([verified.code, verified.stderr]).toEqual([0, expect.stringContaining('all as recorded')])
    const diff = await xmachines('diff', clone, 'k1', 'f1', ...machine)
    expect(diff.stdout).toBe((await xmachines('diff', store, 'k1', 'f1', ...machine)).stdout)
    const log = await xmachines('log', clone, 'k1')
    expect(log.stdout).toBe((await xmachines('log', store, 'k1')).stdout)
  })

  it('is imported: the same runs, ids and states', async () => {
    const other = space.path('imported')
    const imported = await xmachines('import', other, clone)
    expect([imported.code, imported.stderr]).toEqual([0, expect.stringContaining('0 not imported')])
    // Under which lease a unit was appended is not imported.
    const units = (text: string): unknown[] =>
      jsonLines(text).flatMap(({ epoch: _, ...line }) => (line.seq === undefined ? [] : [line]))
    expect(units(await exportOf(other))).toEqual(units(await exportOf(store)))
    const verified = await xmachines('verify', other, '--machine', counter)
    expect([verified.code, verified.stderr]).toEqual([0, expect.stringContaining('all as recorded')])
  })

  it('without what was recorded is verified as far as that goes', async () => {
    const { run } = jsonLines<{ run: string; key: string }>((await xmachines('runs', clone, '--json')).stdout).find(
      ({ key }) => key === 'k1',
    )!
    const single = space.path('single')
    git(clone, 'clone', '-q', '--bare', '--single-branch', '--branch', `r/${run}`, repository, single)
    const verified = await xmachines('verify', single, '--machine', counter)
    expect([verified.code, verified.stderr]).toEqual([
      0,
      expect.stringMatching(/all as recorded\. \d+ units could not be compared: no state is recorded/),
    ])
  })

  it.each([
    ['a mirror', ['--mirror']],
    ['an ordinary clone', []],
  ])('is written to: a run goes on in a repository (%s)', async (_, how) => {
    const ledger = space.path('written')
    git(clone, 'clone', '-q', ...how, repository, ledger)
    const listed = async (): Promise<readonly { run: string; key: string }[]> =>
      jsonLines((await xmachines('runs', ledger, '--json')).stdout)
    const had = await listed()
    const before = git(ledger, 'rev-list', '--count', '--all')
    const forked = await xmachines('fork', ledger, 'k1', '--at', '2', '--key', 'f2', '--machine', counter)
    expect([forked.code, forked.stderr]).toEqual([0, ''])
    expect(fsck(ledger)).toBe('')
    expect(Number(git(ledger, 'rev-list', '--count', '--all'))).toBeGreaterThan(Number(before))
    const runs = await listed()
    expect(runs.map(({ key }) => key)).toContain('f2')
    expect(runs.filter(({ key }) => key !== 'f2')).toMatchObject(had.map(({ run, key }) => ({ run, key })))
    // A key has the run that the clone brought, not a second one.
    const store = gitStore({ dir: ledger })
    const run = await openRun(counting, { store, namespace: 'shop', key: 'k1' })
    expect(run.id).toBe(had.find(({ key }) => key === 'k1')!.run)
    expect((await store.head(run.id))!.seq).toBeGreaterThan(2)
    await run.close()
    await store.close()
    const verified = await xmachines('verify', ledger, '--machine', counter)
    expect([verified.code, verified.stderr]).toEqual([0, expect.stringContaining('all as recorded')])
  })
})

describe('xmachines verify', () => {
  /** A copy of loose objects, to be tampered with, and the units of its run k2, the creation first. */
  async function tampered(): Promise<{
    readonly dir: string
    readonly run: string
    readonly units: readonly string[]
  }> {
    const dir = space.path('loose.git')
    git(space.dir, 'init', '-q', '--bare', dir)
    git(dir, '-c', 'fetch.unpackLimit=100000', 'fetch', '-q', repository, '+refs/*:refs/*')
    const listed = jsonLines<{ run: string; key: string }>((await xmachines('runs', dir, '--json')).stdout)
    const { run } = listed.find(({ key }) => key === 'k2')!
    return { dir, run, units: git(dir, 'rev-list', '--reverse', `${run}^..r/${run}`).split('\n') }
  }

  /** Writes other bytes for an object, as if they were what its id says. */
  function overwrite(dir: string, oid: string, change: (content: string) => string): void {
    const type = git(dir, 'cat-file', '-t', oid)
    const content = change(`${git(dir, 'cat-file', type, oid)}\n`)
    const path = pathOf(dir, oid)
    chmodSync(path, 0o644)
    writeFileSync(path, deflateSync(`${type} ${Buffer.byteLength(content)}\0${content}`))
  }

  const pathOf = (dir: string, oid: string): string => join(dir, 'objects', oid.slice(0, 2), oid.slice(2))

  async function expectNamed(dir: string, run: string, commit: string): Promise<void> {
    const { code, stdout } = await xmachines('verify', dir, '--machine', counter, '--json')
    const lines = jsonLines<{ run: string; error?: { code: string; message: string } }>(stdout)
    const bad = lines.filter(({ error }) => error)
    expect([code, bad.map(found => found.run), bad[0]!.error]).toEqual([
      1,
      [run],
      { code: 'COMMIT_DAMAGED', message: expect.stringContaining(`Commit ${commit}`) },
    ])
    expect(lines).toHaveLength(7)
  }

  it('names the first bad commit of a run, and says of the others that they are as recorded', async () => {
    const { dir, run, units } = await tampered()
    const [fourth, seventh] = [units[4]!, units[7]!]
    for (const commit of [seventh, fourth]) {
      overwrite(dir, commit, text => text.replace('xmachines', 'somebody'))
      await expectNamed(dir, run, commit)
    }
    overwrite(dir, git(dir, 'rev-parse', `${units[2]}:unit.json`), text => text.replace('"at": ', '"at": 9'))
    await expectNamed(dir, run, units[2]!)
  })

  it('names a commit that has another parent than it had, in whatever order', async () => {
    const { dir, run, units } = await tampered()
    const [fifth, sixth, seventh, eighth] = units.slice(5) as [string, string, string, string]
    /** A commit again, on another one, with an id of its own. */
    const again = (commit: string, parent: string): string => {
      const file = space.path('commit')
      writeFileSync(file, `${git(dir, 'cat-file', 'commit', commit).replace(/^parent .*$/m, `parent ${parent}`)}\n`)
      return git(dir, 'hash-object', '-w', '-t', 'commit', file)
    }
    const leftOut = again(seventh, fifth)
    const swapped = again(seventh, fifth)
    for (const [head, bad] of [
      [again(eighth, leftOut), leftOut],
      [again(eighth, again(sixth, swapped)), swapped],
    ] as const) {
      git(dir, 'update-ref', `refs/heads/r/${run}`, head)
      await expectNamed(dir, run, bad)
    }
  })

  it('names a commit that is missing, or that misses an object', async () => {
    const { dir, run, units } = await tampered()
    for (const [object, commit] of [
      [git(dir, 'rev-parse', `${units[6]}:unit.json`), units[6]!],
      [git(dir, 'rev-parse', `${units[5]}^{tree}`), units[5]!],
      [units[3]!, units[3]!],
    ] as const) {
      rmSync(pathOf(dir, object))
      await expectNamed(dir, run, commit)
    }
  })

  it('names the last commit where that is bad, and says of the others that they are as recorded', async () => {
    const { dir, run, units } = await tampered()
    overwrite(dir, units.at(-1)!, text => text.replace('xmachines', 'somebody'))
    await expectNamed(dir, run, units.at(-1)!)
  })

  it('as all other commands that look at every run', async () => {
    const { dir, run, units } = await tampered()
    const all = jsonLines<{ run: string; key: string }>((await xmachines('runs', dir, '--json')).stdout)
    const half = all.find(({ key }) => key === 'k3')!.run
    const middle = git(dir, 'rev-parse', `r/${half}~1`)
    for (const bad of [units.at(-1)!, middle]) overwrite(dir, bad, text => text.replace('xmachines', 'somebody'))
    const copied = space.path('copied')
    const asked = {
      runs: xmachines('runs', dir, '--json'),
      replay: xmachines('replay', dir, '--machine', counter, '--json'),
      bisect: xmachines('bisect', dir, '--good', counter, '--bad', counter, '--json'),
      export: xmachines('export', dir),
      import: xmachines('import', space.path('imported'), dir, '--json'),
      copy: xmachines('copy', dir, copied, '--json'),
      archive: xmachines('archive', dir, space.path('again.git')),
      lease: xmachines('lease', 'list', dir),
    }
    const runsIn = (text: string): readonly unknown[] =>
      [...new Set(jsonLines(text).flatMap(line => (line.error ? [] : [line.run])))].sort()
    const whole = all.map(line => line.run).filter(other => other !== run)
    for (const [name, asking] of Object.entries(asked)) {
      const { code, stdout, stderr } = await asking
      expect([name, code, stderr]).toEqual([name, 1, expect.stringContaining(`Commit ${units.at(-1)} of run ${run}`)])
      if (['replay', 'bisect', 'import', 'copy', 'export'].includes(name))
        expect([name, stderr]).toEqual([name, expect.stringContaining(middle)])
      if (name === 'runs') expect(runsIn(stdout)).toEqual(whole)
      if (name === 'replay' || name === 'import') expect(runsIn(stdout)).toEqual(whole.filter(other => other !== half))
    }
    expect(jsonLines((await asked.bisect).stdout).at(-1)).toEqual({ same: true, runs: all.length - 1, failed: 2 })
    // One that is named is found beside them.
    expect(await xmachines('log', dir, 'k1')).toMatchObject({ code: 0 })
  })
})

describe('a location', () => {
  it('may be a URL wherever a repository or a store is read', async () => {
    const whole = (await exportOf(repository)).split('\n').length
    for (const from of [`file://${repository}`, `git:${repository}`]) {
      const other = space.path('imported')
      expect(await xmachines('import', other, from)).toMatchObject({ code: 0 })
      expect((await exportOf(other)).split('\n')).toHaveLength(whole)
    }
    const archived = space.path('by-url.git')
    expect(await xmachines('archive', store, `git:${archived}`)).toMatchObject({ code: 0 })
    expect(fsck(archived)).toBe('')
  })

  it('that is elsewhere is refused, and its password not told', async () => {
    for (const elsewhere of [
      'https://user:secret@example.invalid/ledger.git',
      'postgres://user:secret@127.0.0.1:1/db',
      'user:secret@example.invalid:ledger.git',
      'u:secret@example.invalid:ledger.git',
    ]) {
      const commands = [
        ['archive', store, elsewhere],
        ['git', 'init', elsewhere],
        ['import', space.path('imported'), elsewhere],
      ]
      for (const command of commands as [string, ...string[]][]) {
        const { code, stdout, stderr } = await xmachines(...command)
        const wanted = command[0] === 'import' && elsewhere.startsWith('postgres') ? 'UNAVAILABLE' : 'UNSUPPORTED'
        expect([command[0], code, stderr]).toEqual([
          command[0],
          wanted === 'UNAVAILABLE' ? 1 : 2,
          expect.stringMatching(new RegExp(`^STORE_${wanted}: `)),
        ])
        expect(stdout + stderr).not.toContain('secret')
      }
      expect(existsSync(elsewhere)).toBe(false)
    }
  })

  it('that is empty, as an unset variable leaves it, is refused: nothing is made where one is', async () => {
    for (const command of [
      ['runs', ''],
      ['git', 'init', ''],
      ['archive', store, ''],
      ['copy', store, ''],
    ]) {
      const { code, stderr } = await xmachines(...(command as [string, ...string[]]))
      expect([command[0], code, stderr]).toEqual([command[0], 2, expect.stringMatching(/^USAGE_INVALID: .* is empty/)])
    }
  })

  it('that is a bundle is told, and what makes a repository of it', async () => {
    const bundle = space.path('ledger.bundle')
    git(repository, 'bundle', 'create', '-q', bundle, '--all')
    for (const command of [['runs'], ['verify', '--machine', counter], ['export']]) {
      const [name, ...more] = command as [string, ...string[]]
      const { code, stderr } = await xmachines(name, bundle, ...more)
      expect([code, stderr]).toEqual([2, expect.stringMatching(/^STORE_FOREIGN: .* is a file.*git clone --mirror/)])
    }
  })
})

describe('what is no ledger', () => {
  it('is refused with its code', async () => {
    const plain = space.path('plain')
    git(space.dir, 'init', '-q', plain)
    const { code, stderr } = await xmachines('runs', plain)
    expect([code, stderr]).toEqual([2, expect.stringMatching(/^STORE_FOREIGN: .* without runs/)])
    for (const elsewhere of [
      'https://example.invalid/ledger.git',
      'ssh://git@example.invalid/ledger.git',
      'git@example.invalid:ledger.git',
      'git://example.invalid/ledger.git',
    ]) {
      for (const command of [['runs'], ['fork', 'k1', '--at', '1']]) {
        const [name, ...more] = command as [string, ...string[]]
        const remote = await xmachines(name, elsewhere, ...more)
        expect([elsewhere, remote.stderr]).toEqual([
          elsewhere,
          expect.stringMatching(/^STORE_UNSUPPORTED: .*Clone a repository/),
        ])
      }
    }
  })
})
