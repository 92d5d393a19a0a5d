import { beforeAll, expect, it } from 'vitest'
import { xmachines } from './command.ts'
import { counter, Workspace } from './workspace.ts'

const space = new Workspace()
const store = space.path('store')

beforeAll(async () => {
  const log = space.log([{ key: 'k', at: 1, event: { type: 'ADD', by: 1 } }])
  await xmachines('run', log, '--machine', counter, '--store', store, '--topic', 'shop')
})

it.each([
  ['a unit from which on there is none', ['--from', '7'], / has 1 unit: none to show from 7 on\.\n$/],
  ['a breakpoint that no unit meets', ['--break', 'AD'], / did not stop: no unit meets AD\.\n$/],
  ['a breakpoint that is met', ['--break', 'ADD'], /^$/],
])('replay says so of %s', async (_, options, said) => {
  expect(await xmachines('replay', store, 'k', '--machine', counter, ...options)).toMatchObject({
    code: 0,
    stderr: expect.stringMatching(said),
  })
})

it('verify does not pass where it was given a namespace that no run has', async () => {
  const verify = ['verify', store, '--machine', counter, '--namespace'] as const
  expect(await xmachines(...verify, 'shop')).toMatchObject({ code: 0 })
  expect(await xmachines(...verify, 'shpo')).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/USAGE_INVALID: The store has no run of the namespace shpo/),
  })
})
