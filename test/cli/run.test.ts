import { appendFileSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { jsonLines, xmachines, xmachinesReading } from './command.ts'
import { counter, counterLog, textOf, Workspace } from './workspace.ts'

const space = new Workspace()
const lines = counterLog(200, 10)

/** Runs a log into a store; the summary is its last line. */
async function run(log: string, store: string, ...more: readonly string[]) {
  const ended = await xmachines('run', log, '--machine', counter, '--store', store, '--json', ...more)
  return { ...ended, summary: jsonLines(ended.stdout).at(-1) }
}

/** What of an export is the same however it was recorded. */
async function historyOf(store: string): Promise<string> {
  const { stdout } = await xmachines('export', store)
  const units = jsonLines(stdout).filter(({ seq }) => seq !== undefined)
  return units.map(({ run, seq, id, at, events }) => JSON.stringify({ run, seq, id, at, events })).join('\n')
}

describe('xmachines run', () => {
  it('applies a log once, and goes on when it has grown', async () => {
    const log = space.log(lines.slice(0, 120))
    const store = space.path('store')
    const topic = ['--topic', 'grows'] as const
    expect((await run(log, store, ...topic)).summary).toMatchObject({
      runs: 10,
      events: 120,
      duplicates: 0,
      refused: 0,
    })
    const again = await run(log, store, ...topic)
    expect(again.summary).toMatchObject({ runs: 10, events: 0, duplicates: 0 })
    expect(again.stderr).toContain('goes on after line 120')
    appendFileSync(log, textOf(lines.slice(120)))
    expect((await run(log, store, ...topic)).summary).toMatchObject({ events: 80, duplicates: 0 })
    const whole = space.path('whole')
    await run(space.log(lines), whole, ...topic)
    expect(await historyOf(store)).toBe(await historyOf(whole))
  })

  it('gives every unit the line of the log as its place, under the name of the log', async () => {
    const log = space.log(lines.slice(0, 20), 'named.ndjson')
    const store = space.path('store')
    await run(log, store)
    const units = jsonLines((await xmachines('export', store)).stdout)
    const positions = units.flatMap(
      unit => (unit.sources as readonly { id: string; position: number }[] | undefined) ?? [],
    )
    expect(new Set(positions.map(({ id }) => id))).toEqual(new Set([log.split('/').at(-1)]))
    expect(positions.map(({ position }) => position).toSorted((a, b) => a - b)).toEqual(
      Array.from({ length: 20 }, (_, i) => i + 1),
    )
  })

  it('recognises what the runs have taken when nothing is known of the log', async () => {
    const log = space.log(lines, 'again.ndjson')
    const store = space.path('store')
    await run(log, store)
    const before = await historyOf(store)
    // What was written down about the log is not the truth: the runs are.
    const bare = space.copy(store)
    const { rmSync } = await import('node:fs')
    rmSync(join(bare, '.consumed'), { recursive: true })
    expect((await run(log, bare)).summary).toMatchObject({ events: 0, duplicates: 200 })
    expect(await historyOf(bare)).toBe(before)
  })

  it('refuses another log under the name, and takes it under another name', async () => {
    const log = space.log(lines.slice(0, 50), 'one.ndjson')
    const store = space.path('store')
    await run(log, store, '--topic', 'mine')
    const other = space.log(lines.slice(50, 100), 'other.ndjson')
    const refused = await run(other, store, '--topic', 'mine')
    expect(refused).toMatchObject({ code: 2, stdout: '' })
    expect(refused.stderr).toMatch(/LOG_CHANGED: The log is not the one that was consumed as 'mine' before/)
    expect(await run(other, store, '--topic', 'yours')).toMatchObject({ code: 0, summary: { events: 50 } })
  })

  it('reads stdin, without a time, and batches', async () => {
    const store = space.path('store')
    const input = textOf([
      { key: 'a', event: { type: 'ADD', by: 1 } },
      {
        key: 'a',
        events: [
          { type: 'ADD', by: 2 },
          { type: 'ADD', by: 3 },
        ],
      },
      '',
      { key: 'a', at: 5000, event: { type: 'ADD', by: 4 } },
      { key: 'a', event: { type: 'ADD', by: 5 } },
    ])
    const args = ['run', '-', '--machine', counter, '--store', store, '--json'] as const
    const first = await xmachinesReading(`\ufeff${input}`, ...args)
    expect(first).toMatchObject({ code: 0 })
    expect(jsonLines(first.stdout)).toMatchObject([{ topic: 'stdin', runs: 1, events: 4 }])
    const units = jsonLines((await xmachines('log', store, 'a', '--json')).stdout)
    expect(units.map(({ at }) => at)).toEqual([0, 0, 0, 5000, 5000])
    expect(units.map(({ events }) => (events as unknown[]).length)).toEqual([0, 1, 2, 1, 1])
    expect(jsonLines((await xmachinesReading(`\ufeff${input}`, ...args)).stdout)).toMatchObject([{ events: 0 }])
  })

  const bad = [
    { key: 'a', event: { type: 'ADD', by: 1 } },
    'not json',
    { key: 'a', event: { type: 'ADD', by: 'x' } },
    { event: { type: 'ADD', by: 1 } },
    { key: 'new', event: { type: 'xstate.done' } },
    { key: 'a', at: '2020', event: { type: 'ADD', by: 1 } },
    { key: 'a' },
    { key: 'a', event: { type: 'ADD', by: 1 } },
  ]

  it('keeps what is refused with line and reason, and goes on; exit 1', async () => {
    const log = space.log(bad)
    const store = space.path('store')
    const done = await run(log, store, '--topic', 'bad')
    expect(done).toMatchObject({ code: 1, summary: { runs: 1, events: 2, refused: 6 } })
    const letters = jsonLines(readFileSync(join(store, 'dead-letters.ndjson'), 'utf8'))
    const sorted = letters.toSorted((a, b) => (a.line as number) - (b.line as number))
    expect(sorted.map(({ line, code }) => [line, code])).toEqual([
      [2, 'RECORD_UNDECODABLE'],
      [3, 'STEP_FAILED'],
      [4, 'RECORD_UNDECODABLE'],
      [5, 'EVENT_RESERVED'],
      [6, 'RECORD_UNDECODABLE'],
      [7, 'RECORD_UNDECODABLE'],
    ])
    expect(sorted[0]).toEqual({
      topic: 'bad',
      line: 2,
      code: 'RECORD_UNDECODABLE',
      message: expect.any(String),
      text: 'not json',
    })
    for (const line of [2, 3, 4, 5, 6, 7]) expect(done.stderr).toMatch(new RegExp(`^bad:${line}: [A-Z_]+: .+`, 'm'))
    expect(await run(log, store, '--topic', 'bad')).toMatchObject({ code: 0, summary: { refused: 0 } })
    expect(jsonLines(readFileSync(join(store, 'dead-letters.ndjson'), 'utf8'))).toHaveLength(6)
  })

  it('stops at the first of them with --strict, and goes on when it is mended', async () => {
    const log = space.log(bad)
    const store = space.path('store')
    for (const [line, mended] of [
      [2, { key: 'b', event: { type: 'ADD', by: 1 } }],
      [3, { key: 'a', event: { type: 'ADD', by: 2 } }],
    ] as const) {
      const stopped = await run(log, store, '--topic', 'bad', '--strict')
      expect(stopped).toMatchObject({ code: 1, stdout: '' })
      expect(stopped.stderr).toMatch(new RegExp(`bad:${line}: `))
      const text = readFileSync(log, 'utf8').split('\n')
      text[line - 1] = JSON.stringify(mended)
      writeFileSync(log, text.join('\n'))
    }
    expect(await run(log, store, '--topic', 'bad')).toMatchObject({ code: 1, summary: { runs: 2, refused: 4 } })
    const units = jsonLines((await xmachines('log', store, 'a', '--json')).stdout)
    expect(units.flatMap(({ events }) => (events as readonly { by: number }[]).map(({ by }) => by))).toEqual([1, 2, 1])
  })

  it('says who writes to the store', async () => {
    const store = space.path('store')
    const { fileStore } = await import('../../src/persistence/filesystem/index.ts')
    const held = fileStore(store)
    await held.append([])
    const refused = await run(space.log(lines), store)
    await held.close()
    expect(refused).toMatchObject({ code: 1, stdout: '' })
    expect(refused.stderr).toMatch(new RegExp(`^STORE_LOCKED: .*process ${process.pid}`))
  })

  it('makes a store with the other hash, which every command then reads', async () => {
    const store = space.path('store')
    await run(space.log(lines.slice(0, 10)), store, '--object-format', 'sha256')
    const [first] = jsonLines((await xmachines('runs', store, '--json')).stdout)
    expect(first!.run).toMatch(/^[0-9a-f]{64}$/)
    expect(await run(space.log(lines.slice(0, 10)), store, '--object-format', 'sha1')).toMatchObject({ code: 2 })
  })
})
