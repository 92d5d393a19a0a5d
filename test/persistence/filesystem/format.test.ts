import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { deepFreeze, TestRun, testUnit } from '../../../src/testing/store-conformance/test-run.ts'
import { temporaryDirectory } from './directory.ts'
import { openStore } from './stores.ts'

let place: ReturnType<typeof temporaryDirectory>
beforeEach(() => {
  place = temporaryDirectory()
})
afterEach(() => place.remove())

const hex = (sum: number): string => sum.toString(16).padStart(8, '0')

type Line = Record<string, unknown>

describe.each(['sha1', 'sha256'] as const)('the log of a %s store', objectFormat => {
  test('is JSON line by line, whose lengths and checksums can be computed again', async () => {
    const dir = join(place.dir, 'store')
    const { store } = openStore(dir, { objectFormat, segmentBytes: 2500 })
    const run = await new TestRun(objectFormat, { key: 'ключ' }).create(store, { value: 'красный', due: null })
    await run.goOn(store, [
      testUnit(1, {
        at: 1.5,
        events: deepFreeze([{ type: 'ПЛЮС', text: '🔑\n{"flush":' }]),
        origin: { kind: 'stop', reason: 'é' },
        sources: [{ id: 's', position: 2n ** 60n }],
        requestId: 'r',
        state: 'ff',
      }),
      testUnit(2, { outputs: [], at: -3 }),
    ])
    await run.change(store, { held: true })
    const lease = await store.claim({ namespace: 'tests', partition: 1, owner: 'p', group: 'g' })
    await run.goOn(store, 1, { lease })
    await store.deliver([deepFreeze({ receiver: run.id, sender: run.id, seq: 1, index: 0, event: { type: 'E' } })])
    await store.renew('p', 5)
    await store.close()

    const kinds: string[] = []
    const units: Line[] = []
    let after = '00000000'
    for (const name of readdirSync(dir)
      .filter(name => name.startsWith('log'))
      .sort()) {
      const bytes = readFileSync(join(dir, name))
      expect(bytes.at(-1)).toBe(10)
      let start = 0
      let frame: { end: number; lines: number } | undefined
      while (start < bytes.length) {
        const end = bytes.indexOf(10, start) + 1
        const text = bytes.toString('utf8', start, end - 1)
        const line = JSON.parse(text) as Line
        if (start === 0) {
          expect(line).toMatchObject({ format: 'xmachines-log', version: 1, objectFormat, after })
          expect(line.segment).toBe(Number(name.slice(4, 12)))
          expect(line.crc).toBe(hex(crc32(text.slice(0, text.indexOf(',"crc"')))))
        } else if ('flush' in line) {
          expect(frame === undefined || frame.lines === 0).toBe(true)
          frame = { end: end + (line.bytes as number), lines: line.lines as number }
          expect(line.after).toBe(after)
          after = line.sum as string
          const sumAt = bytes.indexOf('"sum":"', start) + 7
          expect(after).toBe(hex(crc32(bytes.subarray(end, frame.end), crc32(bytes.subarray(start, sumAt)))))
        } else {
          expect(Object.keys(line).slice(0, 2)).toEqual(['len', 'crc'])
          expect(line.len).toBe(end - start)
          expect(line.crc).toBe(hex(crc32(bytes.subarray(start + 33, end - 1))))
          kinds.push(Object.keys(line)[2]!)
          frame!.lines--
          if ('run' in line) {
            const events = Buffer.from(JSON.stringify(line.events))
            expect(line.ev).toBe(events.length)
            expect(bytes.indexOf(events, start)).toBeGreaterThan(start)
            units.push(line)
          }
        }
        start = end
        if (frame !== undefined && frame.lines === 0) expect(start).toBe(frame.end)
      }
    }
    expect(kinds).toEqual(['machine', 'run', 'run', 'run', 'change', 'lease', 'run', 'mail', 'process'])
    expect(units.map(unit => [unit.run, unit.seq, unit.rev, unit.at, unit.epoch])).toEqual([
      [run.id, 0, 1, 1000, undefined],
      [run.id, 1, 2, 1.5, undefined],
      [run.id, 2, 2, -3, undefined],
      [run.id, 3, 4, 1003, 1],
    ])
    expect(units[1]).toMatchObject({
      origin: { kind: 'stop', reason: 'é' },
      sources: [{ id: 's', position: `${2n ** 60n}` }],
    })
    expect('origin' in units[0]! || 'outputs' in units[2]!).toBe(false)
  })
})
