import { existsSync } from 'node:fs'
import { beforeAll, describe, expect, it } from 'vitest'
import { fileStore } from '../../src/persistence/filesystem/index.ts'
import { TestRun, testUnit } from '../../src/testing/store-conformance/test-run.ts'
import { jsonLines, xmachines, xmachinesReading } from './command.ts'
import { counter, counterLog, Workspace } from './workspace.ts'

const space = new Workspace()
let store: string
let exported: string

beforeAll(async () => {
  store = space.path('store')
  await xmachines('run', space.log(counterLog(300, 8)), '--machine', counter, '--store', store, '--topic', 'shop')
  await xmachines(
    'fork',
    store,
    'k1',
    '--at',
    '3',
    '--key',
    'f1',
    '--machine',
    counter,
    '--replace',
    '{"type":"ADD","by":9}',
  )
  await xmachines('fork', store, 'f1', '--at', '4', '--key', 'f2')
  exported = (await xmachines('export', store)).stdout
})

type Line = Record<string, unknown>

/** What two exports must share. */
function history(text: string): readonly string[] {
  const units = jsonLines<Line>(text).filter(({ seq }) => seq !== undefined)
  return units.map(({ run, seq, id, at, events }) => JSON.stringify({ run, seq, id, at, events }))
}

/** The lines of an export by run, in their order. */
function byRun(text: string): Map<string, Line[]> {
  const runs = new Map<string, Line[]>()
  for (const line of jsonLines<Line>(text))
    runs.set(line.run as string, [...(runs.get(line.run as string) ?? []), line])
  return runs
}

function textOf(lines: Iterable<Line>): string {
  return [...lines].map(line => `${JSON.stringify(line)}\n`).join('')
}

/** Imports, and answers the outcome of each run. */
async function importInto(target: string, text: string) {
  const ended = await xmachinesReading(text, 'import', target, '--json')
  return { ...ended, outcomes: jsonLines<Line>(ended.stdout) }
}

describe('xmachines export', () => {
  it('prints every unit by run and seq, the creation first, and ends each run with what is kept beside it', () => {
    const runs = byRun(exported)
    expect(runs.size).toBe(10)
    for (const [run, lines] of runs) {
      const units = lines.slice(0, -1)
      expect(units[0]).toMatchObject({ run, id: run, events: [], creation: { time: 'source' } })
      const first = units[0]!.seq as number
      expect(units.map(({ seq }) => seq)).toEqual(units.map((_, index) => first + index))
      expect(lines.at(-1)).toEqual({
        run,
        beside: expect.objectContaining({ status: 'active', sources: expect.any(Object), held: expect.any(Boolean) }),
      })
      expect(lines.filter(({ beside }) => beside !== undefined)).toHaveLength(1)
    }
    const plain = [...runs].filter(([, lines]) => !(lines[0]!.creation as Line).fork).map(([run]) => run)
    expect(plain).toEqual(plain.toSorted())
  })

  it('prints parents before their forks', () => {
    const seen = new Set<string>()
    for (const [run, lines] of byRun(exported)) {
      const fork = (lines[0]!.creation as { fork?: { run: string } }).fork
      if (fork !== undefined) expect(seen).toContain(fork.run)
      seen.add(run)
    }
  })

  it('prints one run', async () => {
    const one = (await xmachines('export', store, '--run', 'k2')).stdout
    const [[run, lines]] = [...byRun(one)] as [[string, Line[]]]
    expect(history(one)).toEqual(history(textOf(byRun(exported).get(run)!)))
    expect(lines[0]).toHaveProperty('machineRecord')
  })

  it('prints the runs of a namespace', async () => {
    expect((await xmachines('export', store, '--namespace', 'shop')).stdout).toBe(exported)
    expect((await xmachines('export', store, '--namespace', 'elsewhere')).stdout).toBe('')
  })
})

describe('xmachines import', () => {
  it('into an empty store gives the same export; again, nothing', async () => {
    const target = space.path('target')
    const first = await importInto(target, exported)
    expect(first).toMatchObject({ code: 0 })
    expect(first.outcomes.every(({ created }) => created === true)).toBe(true)
    const copy = (await xmachines('export', target)).stdout
    expect(history(copy)).toEqual(history(exported))
    for (const { beside } of jsonLines<{ beside?: Line }>(copy))
      if (beside) expect(beside).toMatchObject({ held: true, outbox: [], inbox: [], due: null })
    expect(await xmachines('verify', target, '--machine', counter)).toMatchObject({ code: 0 })
    const again = await importInto(target, exported)
    expect(again).toMatchObject({ code: 0 })
    expect(again.outcomes.every(({ created, units }) => created === false && units === 0)).toBe(true)
  })

  it('appends the rest where the store has the beginning, and nothing where it has more', async () => {
    const target = space.path('target')
    const short = space.path('short')
    await xmachines('run', space.log(counterLog(100, 8)), '--machine', counter, '--store', short, '--topic', 'shop')
    const beginning = (await xmachines('export', short)).stdout
    await importInto(target, beginning)
    const rest = await importInto(target, exported)
    expect(rest.code).toBe(0)
    expect(rest.outcomes.some(({ created, units }) => created === false && (units as number) > 0)).toBe(true)
    expect(history((await xmachines('export', target)).stdout)).toEqual(history(exported))
    const longer = await importInto(target, beginning)
    expect(longer).toMatchObject({ code: 0 })
    expect(longer.outcomes.every(({ units }) => units === 0)).toBe(true)
  })

  it('refuses a run that differs, names its first differing seq, and takes the others', async () => {
    const target = space.path('target')
    const other = counterLog(300, 8).map((line, index) =>
      index < 150 ? line : { ...line, event: { type: 'ADD', by: 1 } },
    )
    await xmachines(
      'run',
      space.log(other.filter(({ key }) => key !== 'k3')),
      '--machine',
      counter,
      '--store',
      target,
      '--topic',
      'shop',
    )
    const { code, outcomes, stderr } = await importInto(target, exported)
    expect(code).toBe(1)
    const errors = outcomes.filter(({ error }) => error !== undefined)
    expect(errors.length).toBeGreaterThan(4)
    const mine = byRun(exported)
    const theirs = byRun((await xmachines('export', target)).stdout)
    for (const { run, key, error } of errors) {
      expect(error).toMatchObject({ code: 'IMPORT_DIFFERS' })
      if (key === 'f1' || key === 'f2') continue
      const seq = mine.get(run as string)!.findIndex((line, index) => theirs.get(run as string)![index]!.id !== line.id)
      expect((error as { details: Line }).details).toMatchObject({ run, seq })
    }
    expect(stderr).toMatch(/^IMPORT_DIFFERS: /m)
    expect(outcomes.find(({ key }) => key === 'k3')).toMatchObject({ created: true })
  })

  it('refuses a key that is pinned to another run', async () => {
    const target = space.path('target')
    const k2 = (await xmachines('export', store, '--run', 'k2')).stdout
    await xmachines(
      'run',
      space.log([{ key: 'k2', event: { type: 'GO' } }]),
      '--machine',
      'test/cli/machines/plain.mjs',
      '--store',
      target,
      '--topic',
      'shop',
    )
    const { code, outcomes } = await importInto(target, k2)
    expect(code).toBe(1)
    expect(outcomes).toMatchObject([
      { key: 'k2', created: false, error: { code: 'IMPORT_DIFFERS', details: { seq: 0 } } },
    ])
  })

  it('refuses what was changed, cut off, or is no export, and a fork without its parent', async () => {
    const k2 = [...byRun((await xmachines('export', store, '--run', 'k2')).stdout).values()][0]!
    const changed = k2.map(line => (line.seq === 2 ? { ...line, events: [{ type: 'ADD', by: 1000 }] } : line))
    const tampered = await importInto(space.path('target'), textOf(changed))
    expect(tampered).toMatchObject({ code: 1, outcomes: [{ error: { code: 'IMPORT_INVALID', details: { seq: 2 } } }] })
    const half = space.path('target')
    const cut = await importInto(half, textOf(k2.slice(0, 5)))
    expect(cut).toMatchObject({ code: 1, outcomes: [{ error: { code: 'IMPORT_INVALID' } }] })
    expect(await importInto(half, textOf(k2))).toMatchObject({ code: 0, outcomes: [{ units: k2.length - 2 }] })
    const nonsense = await importInto(space.path('target'), '{"hello":"world"}\n')
    expect(nonsense.stderr).toMatch(/^IMPORT_INVALID: Record 1 is no line of an export/)
    expect(nonsense.code).toBe(1)
    const orphan = await importInto(space.path('target'), (await xmachines('export', store, '--run', 'f1')).stdout)
    expect(orphan).toMatchObject({ code: 1, outcomes: [{ error: { code: 'IMPORT_DIFFERS' } }] })
    const reserved = await importInto(space.path('target'), textOf(k2).replace('"by":', '"__proto__":'))
    expect(reserved).toMatchObject({ code: 1, outcomes: [{ error: { code: 'IMPORT_INVALID' } }] })
    for (const position of [null, 'x', '']) {
      const placed = k2.map(line => (line.seq === 2 ? { ...line, sources: [{ id: 's', position }] } : line))
      const refused = await importInto(space.path('target'), textOf(placed))
      expect(refused).toMatchObject({ code: 1, outcomes: [{ error: { code: 'IMPORT_INVALID', details: { seq: 2 } } }] })
      expect(refused.stderr).toContain(`position ${JSON.stringify(position)} of source 's'`)
    }
  })

  it('refuses a run whose records are none, whatever they are, and takes the others', async () => {
    const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`
    const broken: Record<string, (lines: Line[]) => void> = {
      k0: lines => Object.assign(lines.at(-1)!.beside as Line, { sources: null }),
      k1: lines => Object.assign(lines[2]!, { state: 0 }),
      k2: lines => Object.assign(lines[2]!, { outputs: 0 }),
      k3: lines => Object.assign(lines[2]!, { sources: null }),
      k4: lines => Object.assign(lines[0]!.creation as Line, { key: 'DEEP' }),
      k5: lines => Object.assign(lines[2]!, { events: [null] }),
      k6: lines => Object.assign(lines[0]!, { machineRecord: null }),
      f2: lines => Object.assign(lines[0]!, { creation: null }),
    }
    const runs = [...byRun(exported).values()]
    const keys = runs.map(([first]) => (first!.creation as Line).key as string)
    for (const [index, lines] of runs.entries()) broken[keys[index]!]?.(lines)
    const { code, outcomes, stderr } = await importInto(
      space.path('target'),
      textOf(runs.flat()).replace('"DEEP"', deep),
    )
    expect(code).toBe(1)
    expect(stderr).not.toContain('UNEXPECTED')
    expect(outcomes).toHaveLength(runs.length)
    for (const [index, key] of keys.entries()) {
      const outcome = outcomes.find(({ run }) => run === runs[index]![0]!.run)
      if (key === 'k7') expect(outcome).toMatchObject({ key, created: true })
      // The fork of a run that was refused has no parent.
      else expect(outcome).toMatchObject({ error: { code: key === 'f1' ? 'IMPORT_DIFFERS' : 'IMPORT_INVALID' } })
    }
  })

  it('refuses events from outside that only the runtime writes, whatever their ids are', async () => {
    const place = space.path('forged')
    const forged = fileStore(place)
    const run = await new TestRun('sha1').create(forged)
    await run.goOn(forged, [testUnit(1, { events: [{ type: 'xmachines.stop' }] })])
    await forged.close()
    const { code, outcomes } = await importInto(space.path('target'), (await xmachines('export', place)).stdout)
    expect(code).toBe(1)
    expect(outcomes).toMatchObject([
      {
        error: { code: 'IMPORT_INVALID', message: expect.stringContaining('Its reserved event'), details: { seq: 1 } },
      },
    ])
  })

  it('refuses a creation at another time, where there is no unit yet that would show it', async () => {
    const forks = (await xmachines('export', store, '--run', 'f2')).stdout
    const later = jsonLines<Line>(forks).map(line =>
      line.seq === undefined ? line : { ...line, at: (line.at as number) + 1 },
    )
    const { code, outcomes } = await importInto(space.copy(store), textOf(later))
    expect(code).toBe(1)
    expect(outcomes).toMatchObject([{ key: 'f2', error: { code: 'IMPORT_DIFFERS', details: { seq: 4 } } }])
  })

  it('keeps the hash of the export', async () => {
    const sha256 = space.path('sha256')
    const target = space.path('target')
    await xmachines(
      'run',
      space.log(counterLog(10, 2)),
      '--machine',
      counter,
      '--store',
      sha256,
      '--object-format',
      'sha256',
    )
    const text = (await xmachines('export', sha256)).stdout
    expect(await importInto(target, text)).toMatchObject({ code: 0 })
    expect(history((await xmachines('export', target)).stdout)).toEqual(history(text))
    expect((await importInto(space.copy(store), text)).stderr).toMatch(/^OBJECT_FORMAT_MISMATCH: /)
    // What is asked for and cannot be had is refused, and nothing is made.
    const none = space.path('none')
    const other = ['--object-format', 'sha1']
    for (const ended of [
      await xmachinesReading(text, 'import', none, ...other),
      await xmachines('copy', sha256, none, ...other),
    ])
      expect(ended).toMatchObject({ code: 2, stderr: expect.stringMatching(/^OBJECT_FORMAT_MISMATCH: .*sha256/) })
    expect(existsSync(none)).toBe(false)
  })
})
