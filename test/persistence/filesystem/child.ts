import { createInterface } from 'node:readline'
import type { AppendItem } from '../../../src/actors/contracts/store.ts'
import { XMachinesError } from '../../../src/actors/errors.ts'
import { fileStore } from '../../../src/persistence/filesystem/index.ts'

/*
 * A process of its own with a store: told what to do line by line on stdin, answers line by line on stdout.
 */

const store = fileStore(process.argv[2]!, { fsync: process.argv[3] === 'fsync' })

async function obey(order: string): Promise<unknown> {
  const [name, argument] = [order.slice(0, 1), order.slice(1)]
  if (name === 'a') return store.append(JSON.parse(argument) as AppendItem[])
  if (name === 'r') return store.renew('child', Number(argument))
  if (name === 'c') return store.close()
  throw new Error(`no such order: ${order}`)
}

process.stdout.write('ready\n')
for await (const order of createInterface({ input: process.stdin })) {
  const answer = await obey(order).catch((error: unknown) =>
    XMachinesError.is(error) ? error.toJSON() : String(error),
  )
  process.stdout.write(`${JSON.stringify(answer ?? null)}\n`)
}
