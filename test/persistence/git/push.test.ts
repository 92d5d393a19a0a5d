import '../../seed.ts'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, expect, test } from 'vitest'
import { archive } from '../../../src/persistence/git/index.ts'
import { checkPush } from '../../../src/persistence/git/push.ts'
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
