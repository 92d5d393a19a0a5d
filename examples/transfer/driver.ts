import { setTimeout as wait } from 'node:timers/promises'
import { createHost } from 'xmachines'
import { fileStore } from 'xmachines/persistence/filesystem'
import { account, bank, transfer } from './machines.ts'

/*
 * Orders transfers without end, up to 32 at a time. It is killed, and started again; with `drain` it orders nothing, and ends when
 * all transfers have. What it was doing is nowhere but in the store.
 */

const [dir = 'transfers', mode = 'order'] = process.argv.slice(2)
const store = fileStore(dir)
const accounts = createHost({ machine: account, store })
// The bank's, and its child runs.
const banks = createHost({ machine: [bank, transfer], store })

for (const key of ['a', 'b']) await accounts.open({ key, input: { balance: 500, limit: 700 } })
const run = await banks.open({ key: 'bank' })
console.log('at work')

const pending = (): number => {
  const { ordered, ended } = run.getSnapshot().context
  return ordered - Object.values(ended).reduce((sum, count) => sum + count, 0)
}

while (mode === 'order' || pending() > 0) {
  if (mode === 'drain' || pending() >= 32) {
    await wait(5)
    continue
  }
  const [from, to] = Math.random() < 0.5 ? (['a', 'b'] as const) : (['b', 'a'] as const)
  await run.apply({ type: 'ORDER', from, to, amount: 1 + Math.floor(Math.random() * 400) })
}

await run.close()
await Promise.all([banks.close(), accounts.close()])
await store.close()
