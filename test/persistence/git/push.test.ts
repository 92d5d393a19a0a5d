import '../../seed.ts'
import { spawn } from 'node:child_process'
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, expect, test } from 'vitest'
import { archive } from '../../../src/persistence/git/index.ts'
import { checkPush } from '../../../src/persistence/git/push.ts'
import { takeTurn } from '../../../src/persistence/git/push-turn.ts'
import { initRepository, openRepository } from '../../../src/persistence/git/repository.ts'
import { memoryStore } from '../../../src/persistence/memory.ts'
import { TestRun } from '../../../src/testing/store-conformance/test-run.ts'
import { temporaryDirectory } from '../filesystem/directory.ts'

const { dir, remove } = temporaryDirectory()
afterAll(remove)
const zero = '0'.repeat(40)

test('whatever is pushed in whatever order: a key has the run that came first, and a run without one is always taken', async () => {
  const gitdir = join(dir, 'all.git')
  const runs: { readonly run: TestRun; readonly pin: string | undefined }[] = []
  for (const namespace of ['shop', 'stock']) {
    for (const key of ['a', 'b', undefined]) {
      for (const input of [1, 2, 3]) {
        const store = memoryStore()
        const run = await new TestRun('sha1', { namespace, input, ...(key && { key }) }).create(store, {}, 1)
        runs.push({ run, pin: key && `${namespace}/${key}` })
        const archived = archive(store, { gitdir })
        await archived.caughtUp()
        await archived.close()
      }
    }
  }
  let count = 0
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.uniqueArray(fc.constantFrom(...runs), { minLength: 1, maxLength: 3 })),
      async pushes => {
        const target = join(dir, `${count++}.git`)
        await initRepository(target, { bare: true, objectFormat: 'sha1' })
        mkdirSync(join(target, 'objects/info'), { recursive: true })
        writeFileSync(join(target, 'objects/info/alternates'), `${join(gitdir, 'objects')}\n`)
        const there = new Map<string, string>()
        const pins = new Map<string, string>()
        for (const push of pushes) {
          const next = new Map(pins)
          let fits = true
          for (const { run, pin } of push) {
            if (pin === undefined) continue
            fits &&= (next.get(pin) ?? run.id) === run.id
            next.set(pin, run.id)
          }
          const pushed = push.map(({ run }) => {
            const name = `refs/heads/r/${run.id}`
            return { name, old: there.get(name) ?? zero, fresh: run.history().at(-1)!.id }
          })
          const repository = openRepository(target)
          const check = (): unknown => checkPush(repository, pushed).runs
          if (!fits) expect(check).toThrow(expect.objectContaining({ code: 'PUSH_REFUSED' }))
          else {
            expect(check()).toEqual(push.map(({ run }) => run.id))
            for (const [pin, run] of next) pins.set(pin, run)
            for (const { name, fresh } of pushed) there.set(name, fresh)
            const lines = [...there].map(([name, oid]) => `${oid} ${name}\n`).sort()
            writeFileSync(join(target, 'packed-refs'), `# pack-refs with: peeled fully-peeled \n${lines.join('')}`)
          }
          repository.objects.close()
        }
      },
    ),
  )
})

test('a push takes its turn when the process before it has ended, and says which one it is that does not', async () => {
  const gitdir = join(dir, 'turns.git')
  await initRepository(gitdir, { bare: true, objectFormat: 'sha1' })
  const others = [1, 2].map(() => spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)']))
  try {
    const [one, two] = others.map(({ pid }) => pid!) as [number, number]
    await takeTurn(gitdir, one)
    await expect(takeTurn(gitdir, two, { pause: 1, tries: 3 })).rejects.toMatchObject({
      code: 'STORE_LOCKED',
      details: { path: gitdir, pid: one },
    })
    const turn = takeTurn(gitdir, two)
    others[0]!.kill('SIGKILL')
    await turn
    // What another process of the same number left is nobody's.
    const left = readdirSync(join(gitdir, 'xmachines/pushes'))
    expect(left).toEqual(['2'])
    writeFileSync(join(gitdir, 'xmachines/pushes/2'), JSON.stringify({ process: two, start: 'before' }))
    await takeTurn(gitdir, process.pid, { pause: 1, tries: 0 })
  } finally {
    for (const other of others) other.kill('SIGKILL')
  }
})

test('a push that fits what was there does not fit a ref that another one has set meanwhile', async () => {
  const gitdir = join(dir, 'moved.git')
  const store = memoryStore()
  const run = await new TestRun('sha1', { key: 'a' }).create(store, {}, 2)
  const archived = archive(store, { gitdir })
  await archived.caughtUp()
  await archived.close()
  const repository = openRepository(gitdir)
  const name = `refs/heads/r/${run.id}`
  const [, middle, last] = run.history().map(({ id }) => id)
  const push = (old: string, fresh: string) => checkPush(repository, [{ name, old, fresh }])
  expect(() => push(middle!, last!).checkAgain()).not.toThrow() // set to the same by another one
  await repository.refs.set([{ name, from: last!, to: middle! }])
  expect(() => push(middle!, last!).checkAgain()).not.toThrow()
  expect(() => push(run.id, last!).checkAgain()).toThrow(/was set by another push meanwhile/)
  repository.objects.close()
})
