import { beforeAll, describe, expect, it } from 'vitest'
import { openRun, tell } from 'xmachines'
import { fileStore } from 'xmachines/persistence/filesystem'
import { createMachine, fromPromise, setup } from 'xstate'
import { durationText } from '../../src/cli/text.ts'
import { TestRun } from '../../src/testing/store-conformance/test-run.ts'
import { jsonLines, xmachines } from './command.ts'
import { parcel } from './machines/parcel.ts'
import { Workspace } from './workspace.ts'

const space = new Workspace()
const machine = 'test/cli/machines/parcel.ts'
let store: string
let run: string

beforeAll(async () => {
  store = space.path('store')
  const files = fileStore(store)
  const account = await openRun(createMachine({ id: 'account' }), { store: files, key: 'a-1' })
  const handle = await openRun(parcel, { store: files, key: 'p-1', time: 'source', at: 1_700_000_000_000 })
  run = handle.id
  await handle.apply({ type: 'SEND' }, { at: 1_700_000_001_500 })
  for await (const { value } of handle.snapshot) if (value === 'underway') break
  await handle.advance(1_700_000_001_500 + 90_000)
  for await (const { seq } of account.snapshot) if (seq === 1) break
  await handle.close({ timeout: 0 })
  await account.close()
  await files.close()
})

interface LogLine {
  readonly seq: number
  readonly since?: number
  readonly origin: { readonly kind: string }
  readonly [name: string]: unknown
}

async function lines(...flags: string[]): Promise<readonly LogLine[]> {
  const { code, stdout, stderr } = await xmachines('log', store, 'p-1', '--json', ...flags)
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  return jsonLines<LogLine>(stdout)
}

describe('xmachines log', () => {
  it('shows what is recorded: origins, times, outcomes, attempts, mail', async () => {
    const units = await lines()
    expect(units.map(({ origin }) => origin.kind)).toEqual(['outside', 'outside', 'effect', 'timer'])
    expect(units.map(({ since }) => since)).toEqual([undefined, 1500, 0, 90_000])
    expect(units[2]).toMatchObject({
      attempts: 2,
      invocation: { key: `${run}/1/payment`, attempts: 2, outcome: 'done' },
      mail: [{ to: { namespace: 'account', key: 'a-1' }, event: { type: 'CHARGED' } }],
    })
    expect(units[3]!.pending).toEqual([{ key: expect.stringMatching(`^${run}/3/`), attempts: 1 }])
    for (const unit of units) expect(Object.keys(unit)).not.toContain('timers')
  })

  it('shows which process has in flight what is pending', async () => {
    const shared = space.path('shared')
    const files = fileStore(shared)
    const run = new TestRun('sha1', { key: 's-1' })
    const keys = [`${run.id}/0/one`, `${run.id}/0/two`] as const
    await run.create(files, {
      beside: { process: 'p', attempts: { [keys[0]]: 1, [keys[1]]: 3 }, owners: { [keys[1]]: 'q' } },
    })
    await files.close()
    const { stdout } = await xmachines('log', shared, 's-1', '--json')
    expect(jsonLines<LogLine>(stdout)[0]!.pending).toEqual([
      { key: keys[0], attempts: 1, owner: 'p' },
      { key: keys[1], attempts: 3, owner: 'q' },
    ])
    const text = (await xmachines('log', shared, 's-1')).stdout
    expect(text).toContain('one pending, attempt 1 in process p, two pending, attempt 3 in process q')
  })

  it('--machine adds what only the machine knows: timers, and invocations that were entered and left', async () => {
    const recorded = await lines()
    const units = await lines('--machine', machine)
    expect(units.map(({ timers, invocations, ...rest }) => rest)).toEqual(recorded)
    const late = { id: 'xstate.after.3600000.parcel.charging', actor: [], due: 1_700_003_601_500 }
    const reminder = { id: 'xstate.after.90000.parcel.underway', actor: [], due: 1_700_000_091_500 }
    const payment = { src: 'charge', actor: ['payment'], key: `${run}/1/payment` }
    expect(units[0]).toMatchObject({ timers: { armed: [], cancelled: [], fired: null } })
    expect(units[1]).toMatchObject({ timers: { armed: [late] }, invocations: { entered: [payment], left: [] } })
    expect(units[2]).toMatchObject({
      timers: { armed: [reminder], cancelled: [late], fired: null },
      invocations: { entered: [{ src: 'watch' }], left: [{ ...payment, outcome: 'done' }] },
    })
    expect(units[3]).toMatchObject({
      timers: { armed: [], cancelled: [], fired: reminder },
      invocations: { entered: [{ src: 'watch' }], left: [{ src: 'watch', outcome: 'stopped' }] },
    })
  })

  it('shows a person the same in a table', async () => {
    const { stdout } = await xmachines('log', store, 'p-1', '--machine', machine)
    expect(stdout).toMatch(/^SEQ +TIME +AFTER +ORIGIN +EVENTS +OUTPUTS +NOTES\n/)
    expect(stdout).toMatch(/ 1\.5 s +outside +SEND +payment entered \(charge\), .*charging armed, due in 1 h\n/)
    expect(stdout).toMatch(/effect payment of 1 +xmachines\.resolve +2 attempts, payment done, .*charging cancelled/)
    expect(stdout).toMatch(/due in 1 min 30 s.*, CHARGED to account\/a-1\n/)
    expect(stdout).toMatch(/timer 0 of 2 +\(timer\) +xstate\.after\.90000\.parcel\.underway fired/)
    expect(stdout).toMatch(/pending, attempt 1\n/)
  })

  it('shows where mail came from', async () => {
    const { stdout } = await xmachines('log', store, 'a-1')
    expect(stdout).toMatch(new RegExp(`mail ${run.slice(0, 12)}/2 +CHARGED\n`))
  })

  it('shows why something failed', async () => {
    const files = fileStore(space.path('failing'))
    const failing = setup({
      actors: { charge: fromPromise(() => Promise.reject(new TypeError('no money'))) },
    }).createMachine({
      id: 'failing',
      initial: 'charging',
      states: {
        charging: { invoke: { src: 'charge', onError: 'told' } },
        told: { entry: tell({ machine: 'account', key: 'none' }, { type: 'CHARGE' }) },
      },
    })
    const handle = await openRun(failing, { store: files, key: 'f-1' })
    for await (const { seq } of handle.snapshot) if (seq === 2) break
    await handle.close()
    await files.close()
    const { stdout } = await xmachines('log', files.location, 'f-1')
    expect(stdout).toMatch(/ xmachines\.reject .*TypeError: no money$/m)
    expect(stdout).toMatch(/ xmachines\.undelivered .*RUN_UNKNOWN: .*account\/none/m)
  })

  it('names a machine that cannot decide the history', async () => {
    const { code, stderr } = await xmachines('log', store, 'p-1', '--machine', 'test/cli/machines/plain.mjs')
    expect(code).toBe(1)
    expect(stderr).toMatch(/^RUN_DAMAGED: Unit 2/)
  })
})

it('a span of time is shown in its two largest units', () => {
  const spans = [0, 999, 1000, 1509, 60_000, 61_999, 3_600_000, 3_660_000, 90_000_000, 400 * 86_400_000]
  expect(spans.map(durationText)).toEqual([
    '0 ms',
    '999 ms',
    '1 s',
    '1.5 s',
    '1 min',
    '1 min 1 s',
    '1 h',
    '1 h 1 min',
    '1 d 1 h',
    '400 d',
  ])
})
