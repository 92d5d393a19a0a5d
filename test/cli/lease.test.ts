import { expect, it } from 'vitest'
import { openRun } from 'xmachines'
import { fileStore } from 'xmachines/persistence/filesystem'
import { jsonLines, xmachines } from './command.ts'
import { counter as machine } from './machines/counter.ts'
import { counter, Workspace } from './workspace.ts'

const space = new Workspace()

it('shows the owners of partitions, and ends one that is gone: then its runs can be written to again', async () => {
  const store = space.path('store')
  const log = space.log([{ key: 'k', at: 1, event: { type: 'ADD', by: 1 } }])
  const ran = await xmachines('run', log, '--machine', counter, '--store', store, '--topic', 'shop')
  expect(ran).toMatchObject({ code: 0 })
  const files = fileStore(store)
  const { lease: key } = (await files.head((await files.find('shop', 'k'))!))!
  const { epoch } = await files.claim({ ...key!, owner: 'gone', group: 'g' })
  await files.close()

  const row = { ...key!, epoch, owner: 'gone', group: 'g' }
  expect(jsonLines((await xmachines('lease', 'list', store, '--json')).stdout)).toEqual([{ ...row, runs: 1 }])
  expect((await xmachines('lease', 'list', store)).stdout).toMatch(
    new RegExp(`^NAMESPACE +PARTITION +EPOCH +OWNER +GROUP +RUNS\\nshop +0 +${epoch} +gone +g +1\\n$`),
  )
  expect((await xmachines('lease', 'list', store, '--namespace', 'x', '--json')).stdout).toBe('')

  const apply = async (): Promise<unknown> => {
    const own = fileStore(store)
    try {
      await using run = await openRun(machine, { store: own, namespace: 'shop', key: 'k' })
      return await run.apply({ type: 'ADD', by: 2 })
    } finally {
      await own.close()
    }
  }
  await expect(apply()).rejects.toMatchObject({ code: 'LEASE_HELD' })
  const release = ['lease', 'release', store, '0', '--namespace', 'shop'] as const
  const released = await xmachines(...release, '--json')
  expect(jsonLines(released.stdout)).toEqual([row])
  expect(await apply()).toMatchObject({ ok: true })

  expect(await xmachines(...release)).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/^USAGE_INVALID: Partition 0 of shop has no owner/),
  })
  for (const [partition, namespace] of [
    ['9', 'shop'],
    ['0', 'other'],
  ] as const)
    expect(await xmachines('lease', 'release', store, partition, '--namespace', namespace)).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/^USAGE_INVALID: .* was never claimed/),
    })
})
