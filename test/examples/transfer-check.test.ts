import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createHost, type RecordedEvent, type Store, type Unit } from 'xmachines'
import { fileStore } from 'xmachines/persistence/filesystem'
import { memoryStore } from 'xmachines/persistence/memory'
import { account, bank, transfer } from '../../examples/transfer/machines.ts'
import { all } from '../actors/run/collect.ts'

const orders = [
  { from: 'a', to: 'b', amount: 40 },
  { from: 'b', to: 'a', amount: 10 },
  // More than b may hold: it is given back.
  { from: 'a', to: 'b', amount: 250 },
  // More than there is: it is refused.
  { from: 'b', to: 'a', amount: 9_000 },
]

let dir: string
let honest: Store

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'xmachines-transfer-'))
  honest = memoryStore()
  const accounts = createHost({ machine: account, store: honest })
  const banks = createHost({ machine: [bank, transfer], store: honest })
  for (const key of ['a', 'b']) await accounts.open({ key, input: { balance: 500, limit: 700 } })
  const run = await banks.open({ key: 'bank' })
  const over = new Promise<void>(resolve =>
    run.actorRef.subscribe(({ context: { ended } }) => {
      if (Object.values(ended).reduce((sum, count) => sum + count, 0) === orders.length) resolve()
    }),
  )
  for (const order of orders) await run.apply({ type: 'ORDER', ...order })
  await over
  await Promise.all([banks.close(), accounts.close()])
})

afterAll(() => rmSync(dir, { recursive: true, force: true }))

/** A copy of the store in files, in which some units say something else; what the checker says of it. */
async function check(
  name: string,
  change: (unit: Unit, key: string | undefined) => readonly RecordedEvent[],
): Promise<{ readonly failed: boolean; readonly said: string }> {
  const path = join(dir, name)
  const copy = fileStore(path, { fsync: false })
  for (const { run, machine, key, status, value } of await all(honest.list())) {
    const units = (await all(honest.read(run))).map(unit => {
      const { id: _, run: __, epoch: ___, writer: ____, ...rest } = unit as Unit & { readonly writer?: unknown }
      return { ...rest, events: change(unit, key) }
    })
    const record = (await honest.machine(machine))!
    const outcomes = await copy.append([{ run, expected: null, units, machine: record, status, value: value! }])
    expect(outcomes).toMatchObject([{ status: 'appended' }])
  }
  await copy.close()
  const checked = promisify(execFile)(process.execPath, [
    '--import',
    'jiti/register',
    'examples/transfer/check.ts',
    path,
  ])
  return checked.then(
    ({ stdout }) => ({ failed: false, said: stdout }),
    (thrown: { readonly code: unknown; readonly stdout: string }) => {
      expect(thrown.code).toBe(1)
      return { failed: true, said: thrown.stdout }
    },
  )
}

describe('the checker of the transfers', () => {
  test('finds nothing wrong where nothing is', async () => {
    expect(await check('as-it-is', ({ events }) => events)).toEqual({
      failed: false,
      said: expect.stringMatching(/4 transfers: .*money: 1000 before, 1000 after\nall is well/s),
    })
  })

  test('finds money that nobody took', async () => {
    const { failed, said } = await check('made', ({ events }, key) =>
      events.map(event =>
        key === 'b' && event.type === 'CREDIT' && event.amount === 40 ? { ...event, amount: 41 } : event,
      ),
    )
    expect(failed).toBe(true)
    expect(said).toMatch(/WRONG: there were 1000, and there are 1001/)
    expect(said).toMatch(/WRONG: transfer t-\d+ \(CREDITED\) did/)
  })

  test('finds a transfer that the bank was not told of, and one that it was told of twice', async () => {
    const ended = ({ type, key }: RecordedEvent, name: string) => type === 'xmachines.done.run' && key === name
    const keys = (await all(honest.list({ namespace: 'transfer' }))).map(({ key }) => key!)
    const { failed, said } = await check('untold', ({ events }) =>
      events.map(event => (ended(event, keys[0]!) ? { ...event, key: keys[1]! } : event)),
    )
    expect(failed).toBe(true)
    expect(said).toMatch(new RegExp(`WRONG: the bank was told 0 times of transfer ${keys[0]}`))
    expect(said).toMatch(new RegExp(`WRONG: the bank was told 2 times of transfer ${keys[1]}`))
  })
})
