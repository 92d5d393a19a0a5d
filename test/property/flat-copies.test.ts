import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { copyStore, type Store } from 'xmachines'
import { fileStore } from 'xmachines/persistence/filesystem'
import { TestRun, testUnit } from '../../src/testing/store-conformance/test-run.ts'
import { bytesInUse } from '../bytes-in-use.ts'

const mebibyte = 1024 * 1024
const long = (n: number, length: number) => `${n}`.padEnd(length, 'x')

function fileStoreHere(): Store {
  const dir = mkdtempSync(join(tmpdir(), 'xmachines-flat-'))
  const store = fileStore(dir, { fsync: false })
  onTestFinished(async () => {
    await store.close()
    rmSync(dir, { recursive: true })
  })
  return store
}

/** Copies, and tells how much more memory was in use at most when something was appended. */
async function peakOfCopy(from: Store, to: Store): Promise<number> {
  const append = to.append.bind(to)
  let peak = 0
  const before = await bytesInUse()
  to.append = async (items, options) => {
    peak = Math.max(peak, await bytesInUse(1))
    return append(items, options)
  }
  expect((await copyStore(from, to)).failed).toEqual([])
  return peak - before
}

describe('memory stays flat while a store is copied', () => {
  test('of long events: only as many are in hand as make a good append', async () => {
    const from = fileStoreHere()
    const text = 128 * 1024
    for (let n = 0; n < 5; n++) {
      const run = await new TestRun('sha1').create(from)
      for (let seq = 1; seq <= 80; seq++)
        await run.goOn(from, [testUnit(seq, { events: [{ type: 'E', text: long(seq, text) }] })])
      run.appended.length = 0
    }
    // 50 MiB go through.
    expect(await peakOfCopy(from, fileStoreHere())).toBeLessThan(40 * mebibyte)
  })

  test('of very many forks: what is kept of each until its turn is its id', async () => {
    const from = fileStoreHere()
    const of = await new TestRun('sha1', { key: 'a' }).create(from, {}, 3)
    for (let n = 0; n < 2500; n++)
      await new TestRun('sha1', { fork: { of, at: 2 }, input: long(n, 20_000) }).create(from)
    // The creations of all of them have 50 MB.
    expect(await peakOfCopy(from, fileStoreHere())).toBeLessThan(40 * mebibyte)
  })
})
