import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, it, vi } from 'vitest'
import { defineMachine, openRun } from 'xmachines'
import { archive, gitStore } from '../../src/persistence/git/index.ts'
import { memoryStore } from '../../src/persistence/memory.ts'
import { fsck, git } from '../persistence/git/stock-git.ts'
import { type Ended, ended, isBuilt, jsonLines, startIn, xmachines } from './command.ts'
import { counter as counting } from './machines/counter.ts'
import { counter, counterLog, Workspace } from './workspace.ts'

const space = new Workspace()
const root = fileURLToPath(new URL('../..', import.meta.url))
let work: string
let server: string
let runs: readonly { readonly run: string; readonly key: string; readonly units: number }[]

/** A push that others are beside. */
function pushing(from: string, ...refs: readonly string[]): Promise<Ended> {
  return ended(spawn('git', ['-C', from, 'push', '-f', server, ...refs], { env: pushEnvironment() }))
}

/** Pushes with stock Git; the hook finds the command line where the tests have it. */
function push(from: string, ...refs: readonly string[]): { readonly code: number | null; readonly said: string } {
  const { status, stdout, stderr } = spawnSync('git', ['-C', from, 'push', '-f', server, ...refs], {
    encoding: 'utf8',
    env: pushEnvironment(),
  })
  return { code: status, said: stdout + stderr }
}

function pushEnvironment(): NodeJS.ProcessEnv {
  const command = isBuilt()
    ? `${root}dist/cli.js`
    : `--import ${root}node_modules/jiti/lib/jiti-register.mjs ${root}src/cli/main.ts`
  return { ...process.env, LC_ALL: 'C', XMACHINES: `${process.execPath} ${command}` }
}

beforeAll(async () => {
  const store = space.path('store')
  work = space.path('work.git')
  await xmachines('run', space.log(counterLog(80, 3)), '--machine', counter, '--store', store, '--topic', 'shop')
  await xmachines('archive', store, work)
  server = space.path('server.git')
  const made = await xmachines('git', 'init', server, '--machine', counter, '--json')
  expect([made.code, jsonLines(made.stdout)]).toEqual([0, [{ gitdir: server }]])
  const listed = jsonLines<{ run: string; key: string; seq: number }>((await xmachines('runs', work, '--json')).stdout)
  runs = listed.map(({ run, key, seq }) => ({ run, key, units: seq }))
})

describe('a repository that `xmachines git init` made', () => {
  it('has what keeps histories safe, and is made once', async () => {
    const config = readFileSync(join(server, 'config'), 'utf8')
    expect((await xmachines('git', 'init', server, '--machine', counter)).code).toBe(0)
    expect(readFileSync(join(server, 'config'), 'utf8')).toBe(config)
    for (const name of ['receive.denyNonFastForwards', 'receive.denyDeletes', 'receive.fsckObjects'])
      expect(git(server, 'config', name)).toBe('true')
    expect(git(server, 'config', 'core.fsync')).toContain('reference')
    expect(fsck(server)).toBe('')
  })

  it('says of a shallow clone why it takes nothing from it', () => {
    const shallow = space.path('shallow')
    git(space.dir, 'clone', '-q', '--bare', '--depth=2', '--no-single-branch', `file://${work}`, shallow)
    const { code, said } = push(shallow, '--all')
    expect(code).toBe(1)
    expect(said).toMatch(/COMMIT_DAMAGED: .*shallow \(git fetch --unshallow\)/)
  })

  it('takes runs that replay, with what was recorded and without', async () => {
    const [first, ...others] = runs
    expect(push(work, `r/${first!.run}`)).toMatchObject({ code: 0 })
    expect(push(work, '--all')).toMatchObject({ code: 0 })
    expect(git(server, 'rev-parse', `r/${others[0]!.run}`)).toBe(git(work, 'rev-parse', `r/${others[0]!.run}`))
    expect(fsck(server)).toBe('')
  })

  it('takes away nothing', () => {
    const [first] = runs
    const before = git(server, 'rev-parse', `r/${first!.run}`)
    expect(push(work, `+r/${first!.run}~1:r/${first!.run}`)).toMatchObject({ code: 1 })
    expect(push(work, `:r/${first!.run}`)).toMatchObject({ code: 1 })
    expect(git(server, 'rev-parse', `r/${first!.run}`)).toBe(before)
  })

  it('refuses what is not what its name says', () => {
    const [first, second] = runs
    const names = [
      [`r/${first!.run}:refs/heads/r/feature`, /PUSH_REFUSED: .*r\/feature names no run/],
      [`r/${first!.run}:refs/heads/r/${'1'.repeat(40)}`, /COMMIT_DAMAGED/],
      [`r/${first!.run}:refs/heads/m/${second!.run}`, /PUSH_REFUSED: .*not the machine that it names/],
      // Git would show these for the short name of the branch.
      [`r/${second!.run}:refs/tags/r/${first!.run}`, /PUSH_REFUSED: .*shown where the branch/],
      [`r/${second!.run}:refs/r/${first!.run}`, /PUSH_REFUSED: .*shown where the branch/],
    ] as const
    for (const [ref, text] of names) {
      const { code, said } = push(work, ref)
      expect([code, said]).toEqual([1, expect.stringMatching(text)])
    }
    expect(push(work, `r/${first!.run}:refs/heads/main`).code).toBe(0)
  })

  it('refuses a unit that does not replay, and one that was not made by the package', async () => {
    const { run } = runs[0]!
    // A history that goes on: made where nobody asks whether it replays.
    const other = space.path('other.git')
    git(work, 'clone', '-q', '--mirror', work, other)
    const head = git(other, 'rev-parse', `r/${run}`)
    git(
      other,
      'update-ref',
      `refs/heads/r/${run}`,
      git(other, 'commit-tree', '-p', head, '-m', '99 ADD', `${head}^{tree}`),
    )
    const forged = push(other, `r/${run}`)
    expect([forged.code, forged.said]).toEqual([1, expect.stringMatching(/COMMIT_DAMAGED: Commit [0-9a-f]+/)])

    const store = space.path('tampered')
    const exported = jsonLines<{ seq?: number; run: string; outputs?: object[] }>(
      (await xmachines('export', work)).stdout,
    )
    const lines = exported.map(line =>
      line.run === run && line.seq === 1 ? { ...line, outputs: [{ type: 'LIE' }] } : line,
    )
    const file = space.path('export.ndjson')
    writeFileSync(file, lines.map(line => `${JSON.stringify(line)}\n`).join(''))
    expect((await xmachines('import', store, file)).code).toBe(0)
    const lying = space.path('lying.git')
    await xmachines('archive', store, lying)
    const fresh = space.path('fresh.git')
    await xmachines('git', 'init', fresh, '--machine', counter)
    server = fresh
    const { code, said } = push(lying, '--all')
    expect([code, said]).toEqual([1, expect.stringMatching(/unit 1: outputs differ/)])
    expect(git(fresh, 'for-each-ref')).toBe('')

    // Histories alone are taken. What is recorded of them later is compared with them, though no run is in that push.
    expect(push(lying, 'refs/heads/r/*:refs/heads/r/*')).toMatchObject({ code: 0 })
    const later = push(lying, 'xmachines/provenance')
    expect([later.code, later.said]).toEqual([1, expect.stringMatching(/unit 1: outputs differ/)])
    expect(push(work, 'xmachines/provenance')).toMatchObject({
      code: 0,
      said: expect.stringMatching(/3 runs, \d+ units decided again: all as recorded/),
    })
  })

  it('refuses to record a part of a run that does not replay', async () => {
    const place = space.path('parts.git')
    await xmachines('git', 'init', place, '--machine', counter)
    server = place
    expect(push(work, 'refs/heads/r/*:refs/heads/r/*')).toMatchObject({ code: 0 })
    const forged = space.path('forged.git')
    git(work, 'clone', '-q', '--mirror', work, forged)
    const file = space.path('units.ndjson')
    writeFileSync(file, `{"run":"${runs[0]!.run}","from":2,"units":[{"state":"1:lie"}]}\n`)
    const blob = git(forged, 'hash-object', '-w', file)
    git(forged, 'update-index', '--add', '--cacheinfo', `100644,${blob},units.ndjson`)
    const commit = git(forged, 'commit-tree', '-m', 'forged', git(forged, 'write-tree'))
    git(forged, 'update-ref', 'refs/heads/xmachines/provenance', commit)
    const { code, said } = push(forged, 'xmachines/provenance')
    expect([code, said]).toEqual([1, expect.stringMatching(/unit 2: /)])
  })

  it('refuses a second run of a key, pushed with the first one, after it or at the same time', async () => {
    const place = space.path('keys.git')
    await xmachines('git', 'init', place, '--machine', counter)
    server = place
    const both = space.path('both.git')
    const made: string[] = []
    for (const machine of [counting, defineMachine(counting, { version: '2' })]) {
      const store = memoryStore()
      const run = await openRun(machine, { store, namespace: 'shop', key: 'k' })
      made.push(run.id)
      await run.close()
      const archived = archive(store, { gitdir: both })
      await archived.caughtUp()
      await archived.close()
    }
    const [first, second] = made as [string, string]
    const together = push(both, `r/${first}`, `r/${second}`)
    expect([together.code, together.said]).toEqual([
      1,
      expect.stringMatching(/PUSH_REFUSED: .*a second run of key 'k' in 'shop'/),
    ])
    expect(push(both, `r/${first}`)).toMatchObject({ code: 0 })
    const after = push(both, `r/${second}`)
    expect([after.code, after.said]).toEqual([
      1,
      expect.stringContaining(`which refs/heads/r/${first} has. Push units of that run`),
    ])
    expect(git(place, 'for-each-ref', '--format=%(refname)')).toBe(`refs/heads/r/${first}`)

    server = space.path('turns.git')
    await xmachines('git', 'init', server, '--machine', counter)
    // Whoever comes first stands still between the hook's answer and its ref.
    const [came, goOn] = [space.path('came'), space.path('go-on')]
    const halt = `#!/bin/sh\n[ "$1" = prepared ] && mkdir ${came} 2>/dev/null && until [ -e ${goOn} ]; do sleep 0.02; done\nexit 0\n`
    writeFileSync(join(server, 'hooks/reference-transaction'), halt, { mode: 0o755 })
    const one = pushing(both, `r/${first}`)
    await vi.waitFor(() => expect(existsSync(came)).toBe(true), { timeout: 30_000, interval: 10 })
    let isOver = false
    const other = pushing(both, `r/${second}`).finally(() => {
      isOver = true
    })
    const waits = (): boolean => readdirSync(join(server, 'xmachines/pushes')).some(name => name.startsWith('.'))
    await vi.waitFor(() => expect(isOver || waits()).toBe(true), { timeout: 30_000, interval: 10 })
    writeFileSync(goOn, '')
    expect(await one).toMatchObject({ code: 0 })
    expect(await other).toMatchObject({ code: 1, stderr: expect.stringMatching(/a second run of key 'k' in 'shop'/) })
  })

  it('refuses units while a store has it open, and takes them when that is closed', async () => {
    const place = space.path('open.git')
    await xmachines('git', 'init', place)
    server = place
    const { run } = runs[0]!
    const store = gitStore({ gitdir: place })
    await store.append([])
    const { code, said } = push(work, `r/${run}`)
    expect([code, said]).toEqual([1, expect.stringContaining(`STORE_LOCKED: process ${process.pid} (since`)])
    expect(push(work, `r/${run}:refs/heads/copy`)).toMatchObject({ code: 0 })
    await store.close()
    expect(push(work, `r/${run}`)).toMatchObject({ code: 0 })
    const again = gitStore({ gitdir: place })
    expect(await again.head(run)).toMatchObject({ run, beside: { held: true } })
    await again.close()
  })

  it.each(['with a:colon', 'mit ü: und "'])('takes pushes wherever it lies: %s', async name => {
    server = space.path(`${name}.git`)
    await xmachines('git', 'init', server, '--machine', counter)
    expect(push(work, '--all')).toMatchObject({ code: 0, said: expect.stringContaining('all as recorded') })
    expect(push(work, `r/${runs[0]!.run}:refs/heads/r/${runs[1]!.run}`)).toMatchObject({ code: 1 })
  })

  it('takes pushes at a linked working tree', async () => {
    const main = space.path('main')
    git(space.dir, 'init', '-q', main)
    git(main, '-c', 'user.name=t', '-c', 'user.email=t@example.invalid', 'commit', '-q', '--allow-empty', '-m', 'work')
    server = space.path('linked')
    git(main, 'worktree', 'add', '-q', server)
    await xmachines('git', 'init', server, '--machine', counter)
    expect(push(work, '--all')).toMatchObject({ code: 0, said: expect.stringContaining('all as recorded') })
  })

  it('refuses refs that hide commits, or that branches of ours cannot be beside', async () => {
    server = space.path('free.git')
    await xmachines('git', 'init', server, '--machine', counter)
    const { run } = runs[0]!
    const unit = git(work, 'rev-parse', `r/${run}~2`)
    for (const name of [
      `refs/replace/${unit}`,
      'refs/heads/r',
      'refs/heads/m',
      'refs/heads/xmachines',
      'refs/heads/xmachines/provenance/mine',
      'refs/notes/xmachines/mine',
      'refs/xmachines',
    ]) {
      const { code, said } = push(work, `r/${run}:${name}`)
      expect([code, said]).toEqual([1, expect.stringContaining(`PUSH_REFUSED: ${name} `)])
    }
    expect(push(work, `r/${run}:refs/heads/xmachines-mine`)).toMatchObject({ code: 0 })
    expect(push(work, '--all')).toMatchObject({ code: 0 })
  })

  it('keeps a hook of somebody else', async () => {
    const place = space.path('hooked.git')
    git(space.dir, 'init', '-q', '--bare', place)
    const hook = join(place, 'hooks/pre-receive')
    mkdirSync(join(place, 'hooks'), { recursive: true })
    writeFileSync(hook, '#!/bin/sh\nexit 0\n')
    const { code, stderr } = await xmachines('git', 'init', place)
    expect([code, stderr]).toEqual([2, expect.stringMatching(/^STORE_FOREIGN: .*pre-receive is a hook/)])
    expect(readFileSync(hook, 'utf8')).toBe('#!/bin/sh\nexit 0\n')
  })

  it('asks Git where it looks for hooks: one that it would never run is not written', async () => {
    const place = space.path('elsewhere.git')
    git(space.dir, 'init', '-q', '--bare', place)
    const elsewhere = space.path('hooks')
    const global = space.path('gitconfig')
    writeFileSync(global, `[core]\n\thooksPath = ${elsewhere}\n`)
    const init = (env: Readonly<Record<string, string>>) => {
      const child = startIn(env, 'git', 'init', place, '--machine', counter)
      child.stdin!.end()
      return ended(child)
    }
    const refused = expect.stringMatching(/^STORE_FOREIGN: .*core\.hooksPath is '.*-hooks'.* config core\.hooksPath/)
    const everywhere = await init({ GIT_CONFIG_GLOBAL: global })
    expect([everywhere.code, everywhere.stderr]).toEqual([2, refused])
    git(place, 'config', 'core.hooksPath', elsewhere)
    const here = await init({})
    expect([here.code, here.stderr]).toEqual([2, refused])
    for (const folder of [elsewhere, join(place, 'hooks')]) expect(existsSync(join(folder, 'pre-receive'))).toBe(false)

    // The way out that it names; and a folder of the repository that has another name.
    for (const inside of ['hooks', 'own/hooks']) {
      git(place, 'config', 'core.hooksPath', inside)
      expect(await init({ GIT_CONFIG_GLOBAL: global })).toMatchObject({ code: 0 })
      server = place
      const { code, said } = push(work, `r/${runs[0]!.run}:refs/heads/r/feature`)
      expect([code, said]).toEqual([1, expect.stringContaining('PUSH_REFUSED')])
      rmSync(join(place, inside, 'pre-receive'))
    }
  })
})
