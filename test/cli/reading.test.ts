import { appendFileSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { jsonLines, start, xmachines } from './command.ts'
import { documentedCommands } from './json-shapes.ts'
import { counter, counterLog, Workspace } from './workspace.ts'

const space = new Workspace()
let store: string
let log: string

beforeAll(async () => {
  store = space.path('store')
  log = space.log(counterLog(60, 5), 'small.ndjson')
  const made = await xmachines('run', log, '--machine', counter, '--store', store, '--topic', 'small', '--json')
  expect(made).toMatchObject({ code: 0 })
  expect(jsonLines(made.stdout)).toMatchObject([{ topic: 'small', runs: 5, events: 60, duplicates: 0, refused: 0 }])
})

interface RunLine {
  readonly run: string
  readonly key: string
  readonly seq: number
}

let listing: ReturnType<typeof xmachines> | undefined
/** What `runs` prints of the store. Nothing here changes it, so it is asked once: each command is a process. */
const listed = () => (listing ??= xmachines('runs', store, '--json'))

async function runs(): Promise<readonly RunLine[]> {
  return jsonLines<RunLine>((await listed()).stdout)
}

describe('xmachines replay, looking closer', () => {
  const replayed = (...flags: string[]) => xmachines('replay', store, 'k3', '--machine', counter, '--json', ...flags)
  let whole: string
  beforeAll(async () => {
    whole = (await replayed()).stdout
  })

  it('--from and --until show a part', async () => {
    const lines = jsonLines<{ seq: number }>((await replayed('--from', '3', '--until', '5')).stdout)
    expect(lines.map(({ seq }) => seq)).toEqual([3, 4, 5])
  })

  it('--break stops at an event, or where a state is entered', async () => {
    const all = jsonLines<{ seq: number; events: { type: string }[]; value: string }>(whole)
    const drawn = all.findIndex(({ events }) => events.some(({ type }) => type === 'DRAW'))
    expect(drawn).toBeGreaterThan(0)
    const atEvent = jsonLines<{ seq: number; stop?: string }>((await replayed('--break', 'DRAW')).stdout)
    expect(atEvent.at(-1)).toMatchObject({ seq: all[drawn]!.seq, stop: 'DRAW' })
    const resting = all.findIndex(({ value }) => value === 'resting')
    expect(resting).toBeGreaterThan(0)
    const atState = await replayed('--break', 'resting', '--break', 'NEVER', '--from', '1000')
    expect(jsonLines(atState.stdout)).toMatchObject([{ seq: all[resting]!.seq, stop: 'resting', value: 'resting' }])
  })

  it('--diff shows what a unit changes in the context', async () => {
    const lines = jsonLines<{ seq: number; changes: unknown[] }>((await replayed('--diff')).stdout)
    const contexts = jsonLines<{ context: { count: number } }>(whole).map(({ context }) => context)
    const added = lines.find(({ seq, changes }) => seq > 0 && changes.length > 0)!
    expect(added.changes).toContainEqual({
      path: '$.count',
      before: contexts[added.seq - 1]!.count,
      after: contexts[added.seq]!.count,
    })
    const { stdout } = await xmachines('replay', store, 'k3', '--machine', counter, '--diff', '--break', 'DRAW')
    expect(stdout).toMatch(/\$\.count: \d+ → \d+/)
    expect(stdout).toMatch(/stopped at DRAW\n$/)
  })
})

describe('xmachines replay --inspect', () => {
  it('prints what the Stately Inspector is sent, with the times of the units', async () => {
    const [run] = await runs()
    const { code, stdout } = await xmachines('replay', store, run!.key, '--machine', counter, '--inspect')
    expect(code).toBe(0)
    const events = jsonLines(stdout)
    expect(events[0]).toMatchObject({ type: '@xstate.actor', name: run!.key, rootId: run!.run, sessionId: run!.run })
    expect(JSON.parse(events[0]!.definition as string)).toMatchObject({ id: 'counter', initial: 'awake' })
    const units = jsonLines((await xmachines('log', store, run!.key, '--json')).stdout)
    const shown = events.filter(({ type }) => type === '@xstate.snapshot')
    expect(shown.map(({ seq, createdAt }) => [seq, createdAt])).toEqual(units.map(({ seq, at }) => [seq, String(at)]))
    expect(shown.at(-1)).toMatchObject({ snapshot: { context: { count: expect.any(Number) } }, _version: '0.7.2' })
    const part = await xmachines('replay', store, run!.key, '--machine', counter, '--inspect', '--until', '1')
    expect(jsonLines(part.stdout)).toEqual(events.filter(({ seq }) => (seq as number) <= 1))
  })

  it('shows whole histories', async () => {
    const { code, stderr } = await xmachines('replay', store, '--machine', counter, '--inspect', '--diff')
    expect(code).toBe(2)
    expect(stderr).toMatch(/^USAGE_INVALID: --inspect/)
  })
})

describe('xmachines verify, in several processes', () => {
  const byRun = (text: string) => jsonLines<{ run: string }>(text).toSorted((a, b) => (a.run < b.run ? -1 : 1))

  it('finds what one process finds', async () => {
    for (const machine of [counter, 'test/cli/machines/changed.ts']) {
      const flags = ['verify', store, '--machine', machine, '--json']
      const alone = await xmachines(...flags, '--jobs', '1')
      const shared = await xmachines(...flags, '--jobs', '3')
      expect(shared.code).toBe(alone.code)
      expect(byRun(shared.stdout)).toEqual(byRun(alone.stdout))
      expect(shared.stderr).toBe(alone.stderr)
    }
  })

  it('takes nothing that a machine logs for what was found', async () => {
    const talking = ['--machine', 'test/cli/machines/talking.ts'] as const
    const { stdout, stderr } = await xmachines('verify', store, ...talking, '--json', '--jobs', '2')
    expect(jsonLines(stdout)).toHaveLength(5)
    expect(stderr).toMatch(/^loaded\n(loaded\n)?5 runs/)
  })

  it('says so when one of them fails', async () => {
    const { code, stderr } = await xmachines('verify', `${store}-gone`, '--machine', counter, '--jobs', '2')
    expect(code).toBe(2)
    expect(stderr).toContain('STORE_MISSING')
  })
})

describe('xmachines bisect', () => {
  const changed = 'test/cli/machines/changed.ts'

  it('finds the first unit, by time, that two versions decide differently, with both states', async () => {
    const { code, stdout, stderr } = await xmachines('bisect', store, '--good', counter, '--bad', changed, '--json')
    expect(code).toBe(1)
    expect(stderr).toContain('5 runs: 5 are decided differently.')
    const [found] = jsonLines<{ run: string; seq: number; at: number; good: unknown }>(stdout)
    expect(found).toMatchObject({
      same: false,
      seq: 1,
      path: '$.context.count',
      good: { value: 'awake', context: { count: expect.any(Number) } },
      bad: { value: 'awake', context: { count: 100 } },
    })
    // No unit of the store that the versions decide differently is older.
    const steps = await xmachines('replay', store, '--machine', counter, '--json')
    const adding = jsonLines<{ at: number; events: { type: string }[] }>(steps.stdout).filter(({ events }) =>
      events.some(({ type }) => type === 'ADD'),
    )
    expect(found!.at).toBe(Math.min(...adding.map(({ at }) => at)))
  })

  it('says that there is none', async () => {
    const { code, stdout, stderr } = await xmachines('bisect', store, '--good', counter, '--bad', counter, '--json')
    expect({ code, lines: jsonLines(stdout) }).toEqual({ code: 0, lines: [{ same: true, runs: 5 }] })
    expect(stderr).toContain('both versions decide all alike')
  })

  it('asks a version that would take the runs over, too, and not the one that it takes them from', async () => {
    const migrated = 'test/cli/machines/counter-migrated.ts#migrated'
    const { code, stdout } = await xmachines('bisect', store, '--good', counter, '--bad', migrated, '--json')
    expect({ code, lines: jsonLines(stdout) }).toMatchObject({
      code: 1,
      lines: [{ differing: 5, good: { context: { count: 0 } }, bad: { context: { total: 0 } } }],
    })
    // Also where runs went over to one of the two: both decide all of them, or neither the past.
    const copy = space.copy(store)
    const more = space.log([{ key: 'k3', at: 9_000_000, event: { type: 'ADD', by: 1 } }])
    const notes = ['--notes', space.path('notes')]
    await xmachines('run', more, '--machine', migrated, '--store', copy, '--topic', 'small', ...notes)
    const { stdout: listing } = await xmachines('runs', copy, '--json')
    expect(jsonLines(listing).map(({ key, version }) => [key, version])).toContainEqual(['k3', '2'])
    const renumbered = 'test/cli/machines/counter-migrated.ts#renumbered'
    const same = await xmachines('bisect', copy, '--good', migrated, '--bad', renumbered, '--json')
    expect({ code: same.code, lines: jsonLines(same.stdout) }).toEqual({ code: 0, lines: [{ same: true, runs: 5 }] })
  })

  it('names the run that the unit is of, and not a fork that shares it', async () => {
    const copy = space.path('forked')
    const alone = space.log([{ key: 'k', at: 5, event: { type: 'ADD', by: 1 } }])
    await xmachines('run', alone, '--machine', counter, '--store', copy, '--topic', 'alone')
    // One that comes before its origin in the order of ids.
    const forked = async (key: string): Promise<readonly string[]> => {
      const { stdout } = await xmachines('fork', copy, 'k', '--at', '1', '--key', key, '--json')
      const [{ run, from } = { run: '', from: '' }] = jsonLines<{ run: string; from: string }>(stdout)
      return run < from ? [run, from] : forked(`${key}+`)
    }
    const [fork, origin] = await forked('fork')
    const { stdout } = await xmachines('bisect', copy, '--good', counter, '--bad', changed, '--json')
    expect(jsonLines(stdout)).toMatchObject([{ key: 'k', run: origin, seq: 1 }])
    expect(fork! < origin!).toBe(true)
  })

  it('shows a person both sides', async () => {
    const { stdout } = await xmachines('bisect', store, '--good', counter, '--bad', changed)
    expect(stdout).toMatch(/unit 1, .*: differs at \$\.context\.count\n {2}good {2}\{.*\n {2}bad {3}\{/)
  })
})

describe('xmachines runs', () => {
  it('prints a line a run, in the order of ids', async () => {
    const { code, stdout, stderr } = await listed()
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    const lines = jsonLines(stdout)
    expect(lines.map(({ run }) => run)).toEqual(lines.map(({ run }) => run).toSorted())
    expect(new Set(lines.map(({ key }) => key))).toEqual(new Set(['k0', 'k1', 'k2', 'k3', 'k4']))
    for (const line of lines) {
      expect(Object.keys(line)).toEqual([
        'run',
        'key',
        'namespace',
        'machine',
        'version',
        'seq',
        'head',
        'status',
        'value',
        'held',
        'parked',
      ])
      expect(line).toMatchObject({ namespace: 'small', machine: 'counter', version: '1', status: 'active' })
      expect(line).toMatchObject({ held: false, parked: null })
      expect(line.run).toMatch(/^[0-9a-f]{40}$/)
      expect(line.head).toMatch(/^[0-9a-f]{40}$/)
    }
  })

  it('prints a table for a person', async () => {
    const { code, stdout } = await xmachines('runs', store)
    expect(code).toBe(0)
    expect(stdout.split('\n')[0]).toMatch(/^RUN +KEY +MACHINE +VERSION +STATE +UNITS +HEAD$/)
    expect(stdout.split('\n')).toHaveLength((await runs()).length + 2)
  })

  it('shows the head that export shows', async () => {
    const { stdout } = await xmachines('export', store)
    const heads = new Map(
      jsonLines<{ run: string; id?: string }>(stdout).flatMap(({ run, id }) =>
        id === undefined ? [] : [[run, id] as const],
      ),
    )
    for (const line of jsonLines((await listed()).stdout)) expect(line.head).toBe(heads.get(line.run as string))
  })
})

describe('xmachines log', () => {
  it('prints the history of a run by key, by id and by the beginning of its id', async () => {
    const [run] = await runs()
    const byKey = await xmachines('log', store, run!.key, '--json')
    expect(byKey.code).toBe(0)
    const units = jsonLines(byKey.stdout)
    expect(units.map(({ seq }) => seq)).toEqual(Array.from({ length: run!.seq + 1 }, (_, seq) => seq))
    expect(units[0]).toMatchObject({
      run: run!.run,
      id: run!.run,
      events: [],
      creation: { namespace: 'small', key: run!.key, time: 'source' },
    })
    expect(units.some(({ origin }) => (origin as { kind: string }).kind === 'timer')).toBe(true)
    for (const name of [run!.run, run!.run.slice(0, 10)])
      expect((await xmachines('log', store, name, '--json')).stdout).toBe(byKey.stdout)
  })

  it('refuses a run that is not there, and a prefix that fits several', async () => {
    const unknown = await xmachines('log', store, 'nobody')
    expect(unknown).toMatchObject({ code: 2, stdout: '' })
    expect(unknown.stderr).toMatch(/^RUN_UNKNOWN: The store .* has no run 'nobody'/)
    // Sixteen first digits, so two runs that share one are rare among four: the empty prefix fits all.
    const ambiguous = await xmachines('log', store, '')
    expect(ambiguous.code).toBe(2)
    const both = await ambiguousPrefix()
    expect(both).toMatchObject({ code: 2 })
    expect(both.stderr).toMatch(/^RUN_AMBIGUOUS: '.' may be .*\. Give more digits\./)
  })
})

/** A store of many runs has some that begin alike. */
async function ambiguousPrefix(): Promise<{ readonly code: number | null; readonly stderr: string }> {
  const many = space.path('many')
  const events = Array.from({ length: 40 }, (_, index) => ({ key: `m${index}`, event: { type: 'ADD', by: 1 } }))
  await xmachines('run', space.log(events), '--machine', counter, '--store', many)
  const [first, ...rest] = jsonLines<RunLine>((await xmachines('runs', many, '--json')).stdout)
  const digit = [first!, ...rest].map(({ run }) => run[0]!).find((one, index, all) => all.indexOf(one) !== index)!
  return xmachines('log', many, digit)
}

describe('xmachines replay', () => {
  it('shows every step, and stops where it is told to', async () => {
    const [run] = await runs()
    const { code, stdout } = await xmachines('replay', store, run!.key, '--machine', counter, '--until', '3', '--json')
    expect(code).toBe(0)
    const steps = jsonLines(stdout)
    expect(steps.map(({ seq }) => seq)).toEqual([0, 1, 2, 3])
    expect(steps[3]).toMatchObject({
      run: run!.run,
      key: run!.key,
      status: 'active',
      context: { count: expect.any(Number) },
    })
  })

  it('finds the first unit at which changed code decides otherwise', async () => {
    const [run] = await runs()
    const same = await xmachines('replay', store, run!.key, '--machine', counter, '--verify')
    expect(same.code).toBe(0)
    const other = await xmachines(
      'replay',
      store,
      run!.key,
      '--machine',
      'test/cli/machines/changed.ts#counter',
      '--verify',
      '--json',
    )
    expect(other.code).toBe(1)
    expect(jsonLines(other.stdout).at(-1)).toMatchObject({ divergence: { kind: 'outputs' } })
  })

  it('replays a log without a store, all of it or one key', async () => {
    const all = await xmachines('replay', log, '--machine', counter, '--json')
    expect(all.code).toBe(0)
    const stored = await xmachines('replay', store, '--machine', counter, '--json')
    // Another namespace makes other ids, and so other random numbers; all else is the same.
    const shape = (text: string): readonly string[] => {
      const steps = jsonLines<{ key: string; seq: number; at: number; context: { count: number } }>(text)
      return steps.map(({ key, seq, at, context }) => JSON.stringify({ key, seq, at, count: context.count })).toSorted()
    }
    expect(shape(all.stdout)).toEqual(shape(stored.stdout))
    const one = await xmachines('replay', log, 'k0', '--machine', counter, '--json')
    expect(jsonLines(one.stdout)).toEqual(jsonLines(all.stdout).filter(({ key }) => key === 'k0'))
  })

  it('starts no effect of a log; timers fall due in its time', async () => {
    const lines = [1000, 1500, 3000].map(at => ({ key: 'k', at, event: { type: 'SEND' } }))
    const { code, stdout, stderr } = await xmachines(
      'replay',
      space.log(lines),
      '--machine',
      'test/cli/machines/noisy.ts',
      '--json',
    )
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(jsonLines(stdout).map(({ value }) => value)).toEqual([
      'idle',
      'charging',
      'charging',
      'reminded',
      'reminded',
    ])
  })

  it('refuses a run that a log does not make', async () => {
    const none = await xmachines('replay', log, 'nobody', '--machine', counter)
    expect(none).toMatchObject({ code: 2, stdout: '', stderr: expect.stringMatching(/^RUN_UNKNOWN: .*'nobody'/m) })
    const elsewhere = await xmachines('replay', log, '--machine', counter, '--namespace', 'small')
    expect(elsewhere).toMatchObject({ code: 2, stderr: expect.stringMatching(/^USAGE_INVALID: --namespace/) })
  })
})

describe('xmachines verify', () => {
  it('finds every run as it was recorded', async () => {
    const { code, stdout, stderr } = await xmachines('verify', store, '--machine', counter, '--json')
    expect(code).toBe(0)
    expect(jsonLines(stdout).every(({ ok }) => ok === true)).toBe(true)
    expect(stderr).toMatch(/all as recorded/)
  })

  it('names the first diverging unit of each run, and exits with 1', async () => {
    const { code, stdout, stderr } = await xmachines(
      'verify',
      store,
      '--machine',
      'test/cli/machines/changed.ts#counter',
      '--json',
    )
    expect(code).toBe(1)
    expect(stderr).toContain('`xmachines bisect STORE --good OLD --bad NEW`')
    for (const line of jsonLines(stdout))
      expect(line).toMatchObject({ ok: false, divergence: { kind: 'outputs', seq: expect.any(Number) } })
  })
})

describe('xmachines verify --share', () => {
  it('leaves out no run that was there before, though others are made while shares are listed', async () => {
    const copy = space.copy(store)
    const before = (await runs()).map(({ run }) => run)
    const share = async (which: string) => {
      const { code, stdout } = await xmachines('verify', copy, '--machine', counter, '--share', which, '--json')
      expect(code).toBe(0)
      return jsonLines<RunLine>(stdout).map(({ run }) => run)
    }
    const first = await share('0/2')
    const more = space.log(counterLog(60, 20), 'more.ndjson')
    await xmachines('run', more, '--machine', counter, '--store', copy, '--topic', 'more')
    const second = await share('1/2')
    expect([...first, ...second]).toEqual(expect.arrayContaining(before))
    expect(first.filter(run => second.includes(run))).toEqual([])
    expect(first).not.toEqual([])
    expect(first.length).toBeLessThan(before.length)
  })
})

describe('xmachines verify, of runs that would go over to another machine', () => {
  const next = (name: string) => `test/cli/machines/counter-migrated.ts#${name}`
  const verified = (...machines: string[]) =>
    xmachines('verify', store, ...machines.flatMap(machine => ['--machine', machine]), '--json')

  it('decides the migration of each, says where it leads, and writes nothing', async () => {
    for (const machines of [[next('migrated')], [next('migrated'), counter]]) {
      const { code, stdout, stderr } = await verified(...machines)
      expect(code, stderr).toBe(0)
      expect(jsonLines(stdout)).toHaveLength(5)
      for (const line of jsonLines(stdout)) expect(line).toMatchObject({ ok: true, units: expect.any(Number) })
      const goesOver = jsonLines(stdout).map(({ migratesTo }) => migratesTo)
      // A run whose own machine is among those given goes on with it.
      expect(goesOver).toEqual(Array(5).fill(machines.length === 1 ? '2' : undefined))
      if (machines.length === 1) expect(stderr).toContain('5 runs go over to the first machine when opened.')
    }
    expect((await xmachines('runs', store, '--json')).stdout).toBe((await listed()).stdout)
  })

  it('exits with 1 where a migration throws, and where none leads there', async () => {
    const thrown = await verified(next('mistaken'))
    expect(thrown.code).toBe(1)
    for (const line of jsonLines(thrown.stdout))
      expect(line).toMatchObject({ ok: false, error: { code: 'MIGRATION_FAILED' } })
    const unrelated = await verified(next('unrelated'))
    expect(unrelated.code).toBe(1)
    // Decided with the machine that was given, it comes out otherwise.
    for (const line of jsonLines(unrelated.stdout))
      expect(line).toMatchObject({ ok: false, divergence: { kind: expect.any(String) } })
  })
})

describe('a store that has runs of another machine, too', () => {
  const noisy = 'test/cli/machines/noisy.ts'
  let mixed: string
  beforeAll(async () => {
    mixed = space.copy(store)
    const lines = space.log([{ key: 'n', at: 5, event: { type: 'SEND' } }])
    expect(await xmachines('run', lines, '--machine', noisy, '--store', mixed, '--topic', 'noisy')).toMatchObject({
      code: 0,
    })
  })

  it('verify says that its machine is missing, not that it differs', async () => {
    const { code, stdout } = await xmachines('verify', mixed, '--machine', counter, '--json')
    expect(code).toBe(1)
    expect(jsonLines(stdout).filter(({ ok }) => ok === false)).toMatchObject([
      {
        key: 'n',
        error: {
          code: 'MACHINE_MISMATCH',
          message: expect.stringMatching(/belongs to machine noisy 1.*--machine NEW --machine OLD/),
        },
      },
    ])
  })

  it('bisect and replay leave it out, and say so', async () => {
    const changed = 'test/cli/machines/changed.ts'
    const { stdout, stderr } = await xmachines('bisect', mixed, '--good', counter, '--bad', changed, '--json')
    expect(jsonLines(stdout)).toMatchObject([{ runs: 5, differing: 5, at: expect.any(Number) }])
    expect(stderr).toContain('1 run of other machines left out.')
    const replayed = await xmachines('replay', mixed, '--machine', counter, '--json')
    expect(jsonLines(replayed.stdout).filter(({ key }) => key === 'n')).toEqual([])
    for (const args of [
      ['bisect', store, '--good', noisy, '--bad', noisy],
      ['replay', store, '--machine', noisy],
    ]) {
      const { code, stderr } = await xmachines(...args)
      expect([code, stderr]).toEqual([2, expect.stringMatching(/^MACHINE_MISMATCH: .* noisy: .* counter\./m)])
    }
    expect(replayed.stderr).toMatch(/^[0-9a-f]{12} \(noisy\/n\) is of noisy: left out\.$/m)
  })
})

describe('xmachines diff and fork', () => {
  it('shows where a fork goes another way', async () => {
    const copy = space.copy(store)
    const [run] = await runs()
    const forked = await xmachines(
      'fork',
      copy,
      run!.key,
      '--at',
      '0',
      '--key',
      'what-if',
      '--machine',
      counter,
      '--replace',
      '{"type":"ADD","by":7}',
      '--json',
    )
    expect(forked.code).toBe(0)
    expect(jsonLines(forked.stdout)).toMatchObject([{ key: 'what-if', from: run!.run, at: 0, seq: 1 }])
    const diff = await xmachines('diff', copy, run!.key, 'what-if', '--json')
    expect(diff.code).toBe(1)
    expect(jsonLines(diff.stdout)).toMatchObject([
      { same: false, difference: { seq: 1, a: { seq: 1 }, b: { seq: 1, events: [{ by: 7 }] } } },
    ])
    expect((await xmachines('diff', copy, run!.key, run!.key)).code).toBe(0)
    expect((await xmachines('verify', copy, '--machine', counter)).code).toBe(0)
  })

  it('takes the event that replaces the next from a file', async () => {
    const copy = space.copy(store)
    const [run] = await runs()
    const fork = (...flags: string[]) =>
      xmachines('fork', copy, run!.key, '--at', '0', '--machine', counter, '--json', ...flags)
    const [event, text] = [space.path('event.json'), space.path('event.txt')]
    writeFileSync(event, '[\n  { "type": "ADD", "by": 7 },\n  { "type": "ADD", "by": 8 }\n]\n')
    writeFileSync(text, 'ADD 7')
    const forked = await fork('--key', 'from-file', '--replace', event)
    expect(jsonLines(forked.stdout)).toMatchObject([{ key: 'from-file', at: 0, seq: 1 }])
    const diff = await xmachines('diff', copy, run!.key, 'from-file', '--json')
    expect(jsonLines(diff.stdout)).toMatchObject([{ difference: { b: { seq: 1, events: [{ by: 7 }, { by: 8 }] } } }])
    const again = await fork('--key', 'from-file', '--replace', event)
    expect(again).toMatchObject({ code: 2, stdout: '', stderr: expect.stringMatching(/^RUN_EXISTS: .*--key/) })
    for (const [given, expected] of [
      [text, /^USAGE_INVALID: .*event\.txt holds no JSON/],
      [space.path('none.json'), /^USAGE_INVALID: --replace is neither JSON nor a file that can be read: .*none\.json/],
      ['{"type":', /^USAGE_INVALID: --replace is neither JSON nor a file that can be read: \{"type":/],
    ] as const) {
      const refused = await fork('--key', 'refused', '--replace', given)
      expect(refused).toMatchObject({ code: 2, stdout: '' })
      expect(refused.stderr).toMatch(expected)
    }
    expect((await fork('--key', 'refused', '--replace', '{"type":"xstate.stop"}')).stderr).toMatch(/^EVENT_RESERVED/)
    expect((await xmachines('diff', copy, run!.key, 'refused')).stderr).toMatch(/^RUN_UNKNOWN/)
  })

  it('forks without the machine too', async () => {
    const copy = space.copy(store)
    const [run] = await runs()
    expect(await xmachines('fork', copy, run!.key, '--at', '1', '--key', 'early')).toMatchObject({ code: 0 })
    const again = await xmachines('fork', copy, run!.key, '--at', '1', '--key', 'early')
    expect(again).toMatchObject({ code: 2 })
    expect(again.stderr).toMatch(/^RUN_EXISTS: The key 'early' of small is pinned to run [0-9a-f]{40}/)
    const ended = await xmachines('diff', copy, run!.key, 'early', '--json')
    expect(jsonLines(ended.stdout)).toMatchObject([{ difference: { seq: 2, kind: 'end', b: null } }])
    expect((await xmachines('verify', copy, '--machine', counter)).code).toBe(0)
    expect((await xmachines('fork', copy, run!.key, '--at', '999')).stderr).toMatch(/^USAGE_INVALID: --at is 999/)
  })
})

describe('wrong use', () => {
  it('exits with 2 and says what to do, without a stack', async () => {
    const missing = space.path('nothing')
    const foreign = space.path('foreign')
    writeFileSync(foreign, '')
    const cases: readonly (readonly [RegExp, ...string[]])[] = [
      [/^USAGE_INVALID: unknown command 'nonsense'/, 'nonsense'],
      [/^USAGE_INVALID: missing required argument 'store'\n`xmachines runs --help` says what it takes/, 'runs'],
      [/`xmachines lease list --help` says what it takes/, 'lease', 'list'],
      [/^USAGE_INVALID: unknown option '--colour'/, 'runs', store, '--colour'],
      [/^USAGE_INVALID: required option '--machine.* not specified: only --pushed/, 'verify', store],
      [/^USAGE_INVALID: .*--until/, 'replay', store, '--machine', counter, '--until', 'soon'],
      [/^STORE_MISSING: /, 'runs', missing],
      [/^STORE_MISSING: There is neither a store nor an event log at /, 'replay', missing, '--machine', counter],
      [/^USAGE_INVALID: The location of the store is empty/, 'runs', ''],
      [/^USAGE_INVALID: The location of the store is empty/, 'run', log, '--machine', counter, '--store', 'git:'],
      [/^STORE_UNSUPPORTED: .*nosuch:/, 'runs', 'nosuch://user:secret@host/db'],
      [/^MODULE_INVALID: /, 'verify', store, '--machine', 'test/cli/machines/none.ts'],
      [/^USAGE_INVALID: .*nothing.* cannot be read/, 'run', missing, '--machine', counter, '--store', missing],
      [/^USAGE_INVALID: .*nothing.* cannot be read/, 'import', missing, missing],
      [
        /^USAGE_INVALID: --from 3 comes after --until 2/,
        ...['replay', store, 'k0', '--machine', counter, '--from', '3', '--until', '2'],
      ],
      ...['[]', 'null'].map(
        none =>
          [
            /^USAGE_INVALID: --replace is (\[\]|null): give an event/,
            ...['fork', store, 'k0', '--at', '0', '--machine', counter, '--replace', none],
          ] as const,
      ),
      [/^USAGE_INVALID: --replace needs --machine/, 'fork', store, 'k0', '--at', '0', '--replace', '{}'],
    ]
    const told = async ([expected, ...args]: (typeof cases)[number]) => {
      const { code, stdout, stderr } = await xmachines(...args)
      expect([code, stdout], args.join(' ')).toEqual([2, ''])
      expect(stderr).toMatch(expected)
      expect(stderr).not.toMatch(/^\s+at /m)
      expect(stderr).not.toContain('secret')
    }
    await Promise.all(cases.map(told))
    expect(existsSync(missing)).toBe(false)
  })

  it('tells its version and its help', async () => {
    expect(await xmachines('--version')).toMatchObject({
      code: 0,
      stdout: `${JSON.parse(readFileSync('package.json', 'utf8')).version}\n`,
    })
    const [help, all] = await Promise.all([xmachines('help', 'run'), xmachines('--help')])
    const commands = [...all.stdout.split('Commands:')[1]!.matchAll(/^ {2}(\w+)/gm)].map(match => match[1]!)
    // Of each command that prints anything, docs/json.md says what.
    expect(documentedCommands).toEqual(expect.arrayContaining(commands.filter(name => name !== 'help')))
    expect(help.code).toBe(0)
    expect(help.stdout).toContain('--store <store>')
    expect(help.stdout.match(/\(required\)/g)).toHaveLength(2) // --machine, --store
  })
})

describe('a damaged store', () => {
  it('is reported with its place, exit 1', async () => {
    const copy = space.copy(store)
    const segment = join(copy, readdirSync(copy).find(name => name.startsWith('log-'))!)
    const text = readFileSync(segment, 'utf8')
    writeFileSync(segment, text.replace('"type":"ADD"', '"type":"SUB"'))
    appendFileSync(segment, '')
    const { code, stderr } = await xmachines('verify', copy, '--machine', counter)
    expect(code).toBe(1)
    expect(stderr).toMatch(/^STORE_DAMAGED: .*log-00000001\.ndjson/m)
  })
})

describe('a reader that goes away', () => {
  it('ends the command quietly', async () => {
    const big = space.path('big')
    await xmachines('run', space.log(counterLog(4000, 50)), '--machine', counter, '--store', big)
    const child = start('export', big)
    let stderr = ''
    child.stderr!.setEncoding('utf8').on('data', text => {
      stderr += text
    })
    child.stdout!.once('data', () => child.stdout!.destroy())
    const code = await new Promise(resolve => child.on('close', resolve))
    expect([code, stderr]).toEqual([0, ''])
  })
})
