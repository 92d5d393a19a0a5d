import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { openRun, type Store, verifyRun, XMachinesError } from 'xmachines'
import { fileStore } from 'xmachines/persistence/filesystem'
import { gitStore } from 'xmachines/persistence/git'
import { assign, setup } from 'xstate'
import { randomOf } from '../../src/testing/simulation/random.ts'
import { fsck, git } from '../persistence/git/stock-git.ts'
import { SmallDisk } from './small-disk.ts'

const kinds: readonly { readonly name: string; open(path: string): Store; wrong(path: string): string }[] = [
  { name: 'file store', open: path => fileStore(path), wrong: () => '' },
  { name: 'Git store', open: gitdir => gitStore({ gitdir, interval: 5, onWarning: () => {} }), wrong: fsck },
]

/** Adds up what it is told, and is told things of any size. */
const sums = setup({
  types: {} as { context: { sum: number }; events: { type: 'ADD'; filler: string } },
}).createMachine({
  id: 'sums',
  context: { sum: 0 },
  on: { ADD: { actions: assign({ sum: ({ context }) => context.sum + 1 }) } },
})

const seed = Number(process.env.FC_SEED ?? Date.now() % 2_147_483_647)
/** XM_LONG=1: many more. */
const fills = process.env.XM_LONG === '1' ? 40 : 4
const keys = ['a', 'b', 'c', 'd', 'e']
/** A unit is in the log, in a pack, and in another one while packs are merged: some 30 KB, and 30 units between two fills. */
const size = (fills + 1) * (2 << 20)

let dir: string | undefined
let disk: SmallDisk | undefined
afterEach(() => {
  disk?.unmount()
  if (dir !== undefined) rmSync(dir, { recursive: true, force: true })
  disk = undefined
  dir = undefined
})

describe.each(kinds)('a disk under a $name that is filled and freed', ({ name, open, wrong }) => {
  test('refuses so that it can be tried again; nothing acknowledged is lost, nothing is there twice', async context => {
    console.log(`FC_SEED=${seed}`)
    const random = randomOf(seed, name.length)
    dir = mkdtempSync(join(tmpdir(), 'xmachines-full-'))
    disk = SmallDisk.mount(join(dir, 'disk'), `size=${size}`)
    if (disk === undefined) return context.skip(SmallDisk.missing)
    const path = join(disk.path, 'store')
    let store = open(path)
    const acknowledged = new Map(keys.map(key => [key, new Set<string>()]))
    const codes = new Map<string, number>()

    /** Sends events until the disk refuses one; that is sent again by the next. */
    const send = async (key: string, until: () => boolean): Promise<void> => {
      const own = acknowledged.get(key)!
      while (!until()) {
        try {
          const run = await openRun(sums, { store, key })
          while (!until()) {
            const id = `${key} ${own.size}`
            const filler = 'x'.repeat(random.below(20_000))
            const receipt = await run.apply({ type: 'ADD', filler }, { id })
            expect(receipt.ok).toBe(true)
            own.add(id)
          }
          await run.close()
        } catch (error) {
          if (!XMachinesError.is(error)) throw error
          expect(error).toMatchObject({ retryable: true })
          codes.set(error.code, (codes.get(error.code) ?? 0) + 1)
          // Others than the disk say so too: the run's end.
          await new Promise(setImmediate)
        }
      }
    }
    const count = (): number => [...acknowledged.values()].reduce((sum, { size }) => sum + size, 0)
    const all = async (until: () => boolean): Promise<void> => {
      await Promise.all(keys.map(key => send(key, until)))
    }

    for (let fill = 0; fill < fills; fill++) {
      const goal = count() + 20
      await all(() => count() >= goal)
      disk.fill(random.below(60_000))
      const before = codes.get('STORE_FULL') ?? 0
      await all(() => (codes.get('STORE_FULL') ?? 0) >= before + keys.length)
      // What was committed behind the store's back met the full disk, too.
      expect(wrong(path)).toBe('')
      const reopens = random() < 0.5
      if (reopens) await store.close().catch(error => expect(error).toMatchObject({ code: 'STORE_FULL' }))
      expect(wrong(path)).toBe('')
      if (reopens) {
        // Opened on the full disk, it says so or reads; either way it goes on when there is room.
        store = open(path)
        await store.find('sums', keys[0]!).catch(error => expect(error).toMatchObject({ code: 'STORE_FULL' }))
        expect(wrong(path)).toBe('')
      }
      disk.free()
    }
    const goal = count() + 20
    await all(() => count() >= goal)
    await store.close()

    console.log(`${fills} times full, ${count()} units acknowledged, ${JSON.stringify([...codes])}`)
    expect(wrong(path)).toBe('')
    const reader = open(path)
    for (const key of keys) {
      const id = (await reader.find('sums', key))!
      const requests: (string | undefined)[] = []
      for await (const { seq, requestId } of reader.read(id)) if (seq > 0) requests.push(requestId)
      // Refused is refused: what the disk did not take is not there either, but for the last one, which nobody sent again.
      expect(requests.slice(0, acknowledged.get(key)!.size)).toEqual([...acknowledged.get(key)!])
      expect(requests.length).toBe(acknowledged.get(key)!.size)
      const head = (await reader.head(id))!
      expect(await verifyRun(reader, sums, head)).toEqual({ run: id, units: head.seq })
      if (name === 'Git store') expect(git(path, 'rev-list', '--count', `r/${id}`)).toBe(`${requests.length + 2}`)
    }
    await reader.close()
  }, 300_000)
})
