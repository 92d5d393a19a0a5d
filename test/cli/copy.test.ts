import { symlinkSync } from 'node:fs'
import { beforeAll, describe, expect, it } from 'vitest'
import { ended, jsonLines, start, xmachines } from './command.ts'
import { counter, counterLog, Workspace } from './workspace.ts'

const space = new Workspace()
let store: string
let exported: string

beforeAll(async () => {
  store = space.path('store')
  await xmachines('run', space.log(counterLog(300, 8)), '--machine', counter, '--store', store, '--topic', 'shop')
  await xmachines('fork', store, 'k1', '--at', '3', '--key', 'f1')
  exported = (await xmachines('export', store)).stdout
})

type Line = Record<string, unknown> & { readonly beside?: Record<string, unknown> }

/** An export without what a copy that leaves its source changes: its runs are held, and due at no time. */
function withoutHold(text: string): readonly Line[] {
  return jsonLines<Line>(text).map(line =>
    line.beside === undefined ? line : { ...line, beside: { ...line.beside, held: null, due: null, process: null } },
  )
}

describe('xmachines copy', () => {
  it('copies a store; what is there already is left, and runs of a source that goes on are held', async () => {
    const target = space.path('target')
    const first = await xmachines('copy', store, target, '--json')
    expect(first).toMatchObject({ code: 0 })
    const [{ runs, units }] = jsonLines<{ runs: number; units: number }>(first.stdout) as [
      { runs: number; units: number },
    ]
    expect(runs).toBe(9)
    expect(units).toBeGreaterThan(300)
    const copied = (await xmachines('export', target)).stdout
    expect(withoutHold(copied)).toEqual(withoutHold(exported))
    expect(jsonLines<Line>(copied).every(({ beside }) => beside?.held !== false)).toBe(true)
    const again = await xmachines('copy', `file://${store}`, target, '--json')
    expect(jsonLines(again.stdout)).toEqual([{ runs, unchanged: runs, units: 0, failed: 0 }])
    expect((await xmachines('verify', target, '--machine', counter)).code).toBe(0)
  })

  it('takes over from a source that is fenced: equal, with the epoch, and nothing is held', async () => {
    const [source, target] = [space.copy(store), space.path('target')]
    expect((await xmachines('copy', source, target, '--source', 'fence', '--follow')).code).toBe(0)
    expect((await xmachines('export', target)).stdout).toBe(exported)
  })

  it('refuses a store as its own copy, under whatever name, and changes nothing', async () => {
    const link = space.path('link')
    symlinkSync(store, link)
    for (const same of [store, `file:${store}`, `${store}/.`, link]) {
      const { code, stderr } = await xmachines('copy', store, same)
      expect([code, stderr]).toEqual([2, expect.stringMatching(/^USAGE_INVALID: .* into itself/)])
    }
    expect((await xmachines('export', store)).stdout).toBe(exported)
  })

  it('follows until it is interrupted', async () => {
    const target = space.path('target')
    const child = start('copy', store, target, '--follow', '--json')
    // Each pass prints where it ends only; so the store is looked at.
    while ((await xmachines('runs', target, '--json')).stdout.split('\n').length < 10);
    child.kill('SIGINT')
    const { code, stdout } = await ended(child)
    expect(code).toBe(130)
    expect(jsonLines<{ runs: number }>(stdout)).toMatchObject([{ runs: 9, failed: 0 }])
  })

  it('names what cannot be copied, and what it cannot follow', async () => {
    const target = space.path('target')
    await xmachines('run', space.log(counterLog(40, 8)), '--machine', counter, '--store', target, '--topic', 'shop')
    const { code, stderr } = await xmachines('copy', target, space.copy(store))
    expect(code).toBe(1)
    expect(stderr).toContain('IMPORT_DIFFERS')
    const moved = await xmachines('copy', target, space.copy(store), '--source', 'fence', '--follow')
    expect(moved).toMatchObject({ code: 1 })
    expect(moved.stderr).toContain('it is not fenced while runs cannot be copied')
    const quiet = await xmachines('copy', store, target, '--source', 'quiet', '--follow')
    expect(quiet).toMatchObject({ code: 2 })
    expect(quiet.stderr).toContain('USAGE_INVALID')
    expect(await xmachines('copy', space.path('nothing'), target)).toMatchObject({ code: 2 })
  })
})
