import LightningFS from '@isomorphic-git/lightning-fs'
import { Buffer } from 'buffer'
import { createRun, openRun, type Store, verifyRun, XMachinesError } from 'xmachines'
import { gitStore } from 'xmachines/persistence/git'
import { assign, setup } from 'xstate'

globalThis.Buffer = Buffer

const cart = setup({
  types: {} as { context: { sum: number }; events: { type: 'ADD'; price: number } },
}).createMachine({
  id: 'cart',
  context: { sum: 0 },
  on: { ADD: { actions: assign({ sum: ({ context, event }) => context.sum + event.price }) } },
})

const fs = new LightningFS('carts')
let kept: Store | undefined
const open = () => gitStore({ gitdir: '/carts.git', fs, interval: 20 })

/** What the test calls in the page. */
const calls = {
  async create() {
    const store = open()
    const run = await createRun(cart, { store, key: 'c-1' })
    for (let price = 1; price <= 10; price++) await run.apply({ type: 'ADD', price })
    await run.close()
    await store.close()
    return { run: run.id, context: run.getSnapshot().context }
  },

  /** Adds until the page is gone; `acknowledge` is told of each unit that the store has answered. */
  async addForEver(acknowledge: (seq: number) => void) {
    const run = await openRun(cart, { store: open(), key: 'c-1' })
    for (;;) {
      const receipt = await run.apply({ type: 'ADD', price: 1 })
      if (receipt.ok) acknowledge(receipt.seq)
    }
  },

  async reopen() {
    const store = open()
    const run = await openRun(cart, { store, key: 'c-1' })
    const { seq } = (await store.head(run.id))!
    await run.apply({ type: 'ADD', price: 1000 })
    await run.close()
    const verified = await verifyRun(store, cart, (await store.head(run.id))!)
    await store.close()
    return { seq, context: run.getSnapshot().context, verified }
  },

  /** Adds 1 with a store that stays open. What the run stands at, or the code that refuses it. */
  async addOne(key: string): Promise<number | string> {
    kept ??= open()
    try {
      const run = await openRun(cart, { store: kept, key })
      await run.apply({ type: 'ADD', price: 1 })
      await run.close()
      return run.getSnapshot().context.sum
    } catch (error) {
      if (XMachinesError.is(error)) return error.code
      throw error
    }
  },

  /** All files, as base64. */
  async files(folder = '/carts.git'): Promise<Record<string, string>> {
    const found: Record<string, string> = {}
    for (const name of await fs.promises.readdir(folder)) {
      const path = `${folder}/${name}`
      if ((await fs.promises.stat(path)).isDirectory()) Object.assign(found, await calls.files(path))
      else found[path] = Buffer.from((await fs.promises.readFile(path)) as Uint8Array).toString('base64')
    }
    return found
  },
}

Object.assign(globalThis, { calls })
export type Calls = typeof calls
