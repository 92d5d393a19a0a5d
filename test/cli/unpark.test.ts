import { expect, it } from 'vitest'
import { fileStore } from 'xmachines/persistence/filesystem'
import { jsonLines, xmachines } from './command.ts'
import { counter, Workspace } from './workspace.ts'

const space = new Workspace()
const line = (by: number) => ({ key: 'k', at: by, event: { type: 'ADD', by } })

/** Parks the run, as a supervisor does, and leaves its partition with an owner if asked. */
async function park(dir: string, owned: boolean): Promise<void> {
  const store = fileStore(dir)
  const { run, seq, revision, lease } = (await store.head((await store.find('shop', 'k'))!))!
  const epoch = (await store.claim({ ...lease!, owner: 'gone', group: 'g' })).epoch
  const parked = { at: 1, code: 'RUN_DAMAGED', message: 'It could not be decided.' }
  await store.append([
    { run, expected: { seq, revision }, units: [], lease: { ...lease!, epoch }, beside: { parked }, due: null },
  ])
  if (!owned) await store.release({ ...lease!, epoch })
  await store.close()
}

it.each([[false], [true]])(
  'unparks a run, whose partition has an owner: %s; what comes later is applied',
  async owned => {
    const store = space.path('store')
    const run = (by: readonly number[], name: string) =>
      xmachines(
        'run',
        space.log(by.map(line), `${name}.ndjson`),
        '--machine',
        counter,
        '--store',
        store,
        '--topic',
        'shop',
        '--notes',
        space.path('notes'),
      )
    expect(await run([1], 'first')).toMatchObject({ code: 0 })
    await park(store, owned)
    expect((await xmachines('runs', store)).stdout).toMatch(/ awake \(parked\) /)
    const refused = await run([1, 2], 'second')
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringMatching(/RUN_PARKED: .*unpark/) })
    await park(store, owned)
    const unparked = await xmachines('unpark', store, 'k', '--json')
    expect(unparked).toMatchObject({ code: 0 })
    expect(jsonLines(unparked.stdout)).toMatchObject([{ key: 'k', namespace: 'shop', parked: { code: 'RUN_DAMAGED' } }])
    expect(await run([1, 2, 3], 'third')).toMatchObject({ code: 0 })
    const [shown] = jsonLines<{ seq: number }>((await xmachines('runs', store, '--json')).stdout)
    expect(shown!.seq).toBeGreaterThan(1)
    const again = await xmachines('unpark', store, 'k')
    expect(again).toMatchObject({ code: 2, stderr: expect.stringMatching(/^USAGE_INVALID: .* does not stand parked/) })
  },
)
