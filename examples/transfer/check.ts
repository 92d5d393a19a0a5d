import { replay, type Store, type Unit } from 'xmachines'
import { fileStore } from 'xmachines/persistence/filesystem'
import { account } from './machines.ts'

/*
 * Reads the store, and nothing else, and checks: no money is lost or made, every transfer that was ordered has ended and was
 * told so once, and nothing was applied twice. Prints what it counted; exit code 1 if something is wrong.
 */

const store = fileStore(process.argv[2] ?? 'transfers')
const wrong: string[] = []
const expect = (holds: boolean, what: string): void => void (holds || wrong.push(what))

async function unitsOf(namespace: string, key: string): Promise<Unit[]> {
  const units: Unit[] = []
  for await (const unit of store.read((await store.find(namespace, key)) ?? key)) units.push(unit)
  return units
}

/** What the accounts did for each transfer, as they answered it. */
const done = new Map<string, string[]>()
let before = 0
let after = 0
for (const key of ['a', 'b']) {
  const units = await unitsOf('account', key)
  const { balance } = units[0]!.creation!.input as { balance: number }
  let sum = balance
  for (const { events, mail = [] } of units) {
    for (const sent of mail) {
      const { transfer, amount } = events[0] as unknown as { transfer: string; amount: number }
      if (!('to' in sent) || sent.event.type === 'REFUSED') continue
      done.set(transfer, [...(done.get(transfer) ?? []), `${sent.event.type} ${amount} ${key}`])
      sum += sent.event.type === 'DEBITED' ? -amount : amount
    }
  }
  const replayed = await balanceOf(store, key)
  expect(replayed === sum, `account ${key} holds ${replayed}, and its history adds up to ${sum}`)
  expect(replayed >= 0, `account ${key} holds ${replayed}`)
  before += balance
  after += replayed
}
expect(before === after, `there were ${before}, and there are ${after}`)

const told = new Map<string, number>()
let ordered = 0
for (const { events, mail = [] } of await unitsOf('bank', 'bank')) {
  ordered += mail.length
  for (const { type, key } of events)
    if (type === 'xmachines.done.run') told.set(String(key), (told.get(String(key)) ?? 0) + 1)
}

const outcomes: Record<string, number> = {}
let transfers = 0
for await (const { key = '', run, status } of store.list({ namespace: 'transfer' })) {
  transfers++
  const units = await unitsOf('transfer', run)
  const { from, to, amount } = units[0]!.creation!.input as { from: string; to: string; amount: number }
  const end = units.at(-1)!.events[0]?.type ?? 'nothing'
  const outcome = end === 'CREDITED' ? 'done' : end === 'REFUNDED' ? 'compensated' : 'refused'
  outcomes[outcome] = (outcomes[outcome] ?? 0) + 1
  const should = {
    done: [`DEBITED ${amount} ${from}`, `CREDITED ${amount} ${to}`],
    compensated: [`DEBITED ${amount} ${from}`, `REFUNDED ${amount} ${from}`],
    refused: [],
  }[outcome]
  const did = done.get(key) ?? []
  expect(status === 'done', `transfer ${key} is ${status}`)
  expect(told.get(key) === 1, `the bank was told ${told.get(key) ?? 0} times of transfer ${key}`)
  expect(JSON.stringify([...did].sort()) === JSON.stringify([...should].sort()), `transfer ${key} (${end}) did ${did}`)
}
expect(transfers === ordered, `${ordered} transfers were ordered, and there are ${transfers}`)
await store.close()

console.log(
  `${transfers} transfers: ${Object.entries(outcomes)
    .map(([name, count]) => `${count} ${name}`)
    .join(', ')}`,
)
console.log(`money: ${before} before, ${after} after`)
for (const what of wrong.slice(0, 20)) console.log(`WRONG: ${what}`)
console.log(wrong.length === 0 ? 'all is well' : `${wrong.length} things are wrong`)
process.exitCode = wrong.length === 0 ? 0 : 1

async function balanceOf(from: Store, key: string): Promise<number> {
  let balance = Number.NaN
  for await (const { snapshot } of replay(account, from.read((await from.find('account', key))!)))
    balance = snapshot.context.balance
  return balance
}
