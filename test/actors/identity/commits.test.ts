import fc from 'fast-check'
import { afterAll, describe, expect, test } from 'vitest'
import type { JsonValue, RecordedEvent } from '../../../src/actors/contracts/json.ts'
import type { Creation, Origin } from '../../../src/actors/contracts/unit.ts'
import {
  type CommitObjects,
  machineCommit,
  machineId,
  prettyCanonicalJson,
  runCommit,
  runId,
  type UnitContent,
  unitCommit,
  unitId,
} from '../../../src/actors/identity/index.ts'
import { GitRepository } from './git-repository.ts'

const machine = { id: 'order', version: '2', definition: { initial: 'new', states: [{ key: 'new' }] } }
const outside: Origin = { kind: 'outside' }

function creationOf(machineOid: string, more: Partial<Creation> = {}): Creation {
  return { machine: machineOid, namespace: 'orders', key: 'o-1', input: { customer: 'c-7' }, time: 'arrival', ...more }
}

/** The text of a file of a commit. */
function fileOf(commit: CommitObjects, name: string): JsonValue {
  const tree = commit.objects.find(object => object.type === 'tree')
  const blobs = commit.objects.filter(object => object.type === 'blob')
  const names = [...new TextDecoder('latin1').decode(tree?.bytes).matchAll(/100644 ([a-z.]+)\0/g)].map(
    match => match[1],
  )
  const text = new TextDecoder().decode(blobs[names.indexOf(name)]?.bytes)
  const value = JSON.parse(text)
  expect(text).toBe(prettyCanonicalJson(value))
  return value
}

/** What an identity must not lose: values pinned once, found by stock Git. A change here breaks every history there is. */
describe('pinned ids', () => {
  const first = {
    seq: 1,
    at: 1_700_000_000_999,
    events: [{ type: 'PLACE', total: 12.5, items: ['a', 'b'] }],
    origin: outside,
  }
  test.each([
    [
      'sha1',
      'f64a027964b45bede452e666b6779bc937e6bd4c',
      '04d101eea9429c62538797e644107f2eefca0293',
      '3d5f4960bb5fa3fe9ec85f8882f33c053623c650',
    ],
    [
      'sha256',
      '76032081da9a6b807300de959300168058bf8f27b956fef61f4675a4066fb714',
      '4e8a1faeccb13cbfe61dea5258a9adc5619227df59839c737dd5b222d8d76822',
      '657e6d04ee7ed4cfb830798c26e3dc8c1196c1a33a447920e02da0c02080ccee',
    ],
  ] as const)('%s', (format, pinnedMachine, pinnedRun, pinnedUnit) => {
    const machineOid = machineId(format, machine)
    const run = runId(format, creationOf(machineOid))
    const unit = unitId(format, { parent: run, machine: machineOid, unit: first, created: 1_699_999_999_000 })
    expect([machineOid, run, unit]).toEqual([pinnedMachine, pinnedRun, pinnedUnit])
  })
})

describe('what is inside and what is outside', () => {
  const machineOid = machineId('sha1', machine)
  const creation = creationOf(machineOid)

  test('a run holds machine, namespace, key, input, snapshot, fork', () => {
    const run = runId('sha1', creation)
    const changes: Partial<Creation>[] = [
      { machine: 'f'.repeat(40) },
      { namespace: 'other' },
      { key: 'o-2' },
      { input: { customer: 'c-8' } },
      { snapshot: { value: 'new' } },
      { fork: { run: 'a'.repeat(40), at: 3, parent: 'b'.repeat(40) } },
    ]
    for (const change of changes) expect(runId('sha1', { ...creation, ...change })).not.toBe(run)
    expect(fileOf(runCommit('sha1', creation), 'run.json')).toEqual({
      machine: machineOid,
      namespace: 'orders',
      key: 'o-1',
      input: { customer: 'c-7' },
    })
  })

  test('a run knows no clock: neither its date nor its time mode is in the id', () => {
    expect(runId('sha1', { ...creation, time: 'source' })).toBe(runId('sha1', creation))
    const commit = new TextDecoder().decode(runCommit('sha1', creation).objects.at(-1)?.bytes)
    expect(commit).toContain('author xmachines <runs@xmachines.invalid> 0 +0000\n')
    expect(commit).toContain(`parent ${machineOid}\n`)
  })

  test('an unkeyed run differs by its nonce', () => {
    const { key: _, ...unkeyed } = creation
    expect(runId('sha1', { ...unkeyed, nonce: '01' })).not.toBe(runId('sha1', { ...unkeyed, nonce: '02' }))
  })

  test('the parent of a fork is the unit it leaves from', () => {
    const fork = { run: 'a'.repeat(40), at: 3, parent: 'b'.repeat(40) }
    const made = runCommit('sha1', { ...creation, fork })
    const text = new TextDecoder().decode(made.objects.at(-1)?.bytes)
    expect(text).toContain(`parent ${'b'.repeat(40)}\n`)
    expect(text).not.toContain(`parent ${machineOid}`)
    expect(text).toContain('\n\nfork at 3: orders/o-1\n')
    expect(fileOf(made, 'run.json')).toMatchObject({ fork })
  })

  const unit = { seq: 4, at: 5_000, events: [{ type: 'ADD', sku: 'a' }], origin: outside }
  const content: UnitContent = { parent: 'c'.repeat(40), machine: machineOid, unit }

  test('a unit holds parent, machine, seq, at, events, origin, created', () => {
    const id = unitId('sha1', content)
    const changes: UnitContent[] = [
      { ...content, parent: 'd'.repeat(40) },
      { ...content, machine: 'd'.repeat(40) },
      { ...content, created: 1 },
      { ...content, created: 0 },
      { ...content, unit: { ...unit, seq: 5 } },
      { ...content, unit: { ...unit, at: 5_001 } },
      { ...content, unit: { ...unit, events: [{ type: 'ADD', sku: 'b' }] } },
      { ...content, unit: { ...unit, events: [...unit.events, ...unit.events] } },
      { ...content, unit: { ...unit, origin: { kind: 'timer', actor: [], armed: 3, index: 0 } } },
    ]
    const others = changes.map(change => unitId('sha1', change))
    expect(new Set([id, ...others]).size).toBe(changes.length + 1)
    const made = unitCommit('sha1', { ...content, created: 7 })
    expect(fileOf(made, 'events.json')).toEqual(unit.events)
    expect(fileOf(made, 'unit.json')).toEqual({ seq: 4, at: 5_000, origin: outside, machine: machineOid, created: 7 })
    expect(fileOf(unitCommit('sha1', content), 'unit.json')).not.toHaveProperty('created')
  })

  test('how a unit was recorded is outside', () => {
    const kept = {
      ...unit,
      outputs: [{ type: 'X' }],
      state: 'ab',
      requestId: 'r',
      sources: [{ id: 's', position: 1n }],
    }
    expect(unitId('sha1', { ...content, unit: kept })).toBe(unitId('sha1', content))
  })

  test('the order of the keys of an event is outside', () => {
    const events = [{ sku: 'a', type: 'ADD' }]
    expect(unitId('sha1', { ...content, unit: { ...unit, events } })).toBe(unitId('sha1', content))
  })

  test('the id alone and the id with objects are the same', () => {
    const event = fc.record({ type: fc.string(), data: fc.jsonValue() }) as fc.Arbitrary<RecordedEvent>
    fc.assert(
      fc.property(
        fc.array(event, { maxLength: 4 }),
        fc.nat(),
        fc.constantFrom('sha1', 'sha256'),
        (events, at, format) => {
          const any = { ...content, unit: { ...unit, at, events } }
          expect(unitCommit(format, any).oid).toBe(unitId(format, any))
        },
      ),
    )
    expect(runCommit('sha1', creation).oid).toBe(runId('sha1', creation))
    expect(machineCommit('sha1', machine).oid).toBe(machineId('sha1', machine))
  })
})

describe.each(['sha1', 'sha256'] as const)('a %s repository of histories', format => {
  const repository = new GitRepository(format)
  afterAll(() => repository[Symbol.dispose]())

  const hostileTypes = [
    'line\nbreak',
    '\u001b[31mred\u001b[0m',
    '\u202eRTL\u202c \u2066isolate\u2069',
    '\u2028\u2029\u0085\u009b\u007f\0',
    '😀'.repeat(150),
    `${'a'.repeat(96)}😀😀😀`,
    'x'.repeat(300),
    '# comment',
    ' ',
    'Signed-off-by: a <b@c>',
    'é',
  ]
  const origins: Origin[] = [
    { kind: 'effect', actor: ['a', 'b.c'], entered: 2 },
    { kind: 'timer', actor: [], armed: 1, index: 0 },
    { kind: 'mail', run: 'r', seq: 1, index: 0 },
    { kind: 'stop', reason: 'line\nbreak \u202e' },
    { kind: 'migration', from: 'm' },
  ]
  const times = [-5_000, 0, 999, 1_700_000_000_999, 8.64e15, 1e24]

  test('is clean for fsck and reads as history', () => {
    const made = [machineCommit(format, { ...machine, id: 'or\nder\u202e' })]
    const machineOid = made[0]?.oid ?? ''
    made.push(runCommit(format, creationOf(machineOid, { key: 'k\n\u001b[2J', snapshot: { value: '\u0000' } })))
    const subjects = [`machine or\\u000ader\\u202e 2`, `run orders/k\\u000a\\u001b[2J`]
    let seq = 0
    const append = (events: readonly RecordedEvent[], origin: Origin, at: number) => {
      const parent = made.at(-1)?.oid ?? ''
      const created = seq === 0 ? 42 : undefined
      made.push(unitCommit(format, { parent, machine: machineOid, unit: { seq: ++seq, at, events, origin }, created }))
    }
    for (const type of hostileTypes) append([{ type, text: '\u0000\u202e\n' }], outside, seq * 1_000)
    append(
      hostileTypes.map(type => ({ type })),
      outside,
      1,
    )
    for (const origin of origins) append([], origin, 20_000)
    for (const at of times) append([{ type: 'A' }, { type: 'B' }], outside, at)
    const forkPoint = made.at(-3)?.oid ?? ''
    const fork = runCommit(
      format,
      creationOf(machineOid, { fork: { run: made[1]?.oid ?? '', at: seq - 2, parent: forkPoint } }),
    )

    for (const { objects } of [...made, fork]) for (const object of objects) repository.write(object)
    repository.git(['update-ref', 'refs/heads/main', made.at(-1)?.oid ?? ''])
    repository.git(['update-ref', 'refs/heads/fork', fork.oid])
    expect(repository.git(['fsck', '--strict', '--full', '--no-progress'])).toBe('')

    const log = repository.git(['log', '--reverse', '--format=%H %s', 'main']).split('\n').slice(0, -1)
    expect(log.map(line => line.slice(0, line.indexOf(' ')))).toEqual(made.map(({ oid }) => oid))
    const shown = log.map(line => line.slice(line.indexOf(' ') + 1))
    expect(shown.slice(0, 2)).toEqual(subjects)
    expect(shown).toContain(String.raw`1 line\u000abreak`)
    expect(shown).toContain('13 effect')
    expect(shown).toContain('16 stop')
    expect(shown.at(-1)).toBe(`${seq} A, B`)
    for (const line of log) expect(line).not.toMatch(/[\p{Cc}\p{Bidi_Control}\p{Zl}\p{Zp}]/u)
    expect(log).toHaveLength(2 + hostileTypes.length + 1 + origins.length + times.length)

    const dates = repository
      .git(['log', '--reverse', '--format=%at %ct', `-${times.length}`, 'main'])
      .trim()
      .split('\n')
    expect(dates).toEqual([
      '0 0',
      '0 0',
      '0 0',
      '1700000000 1700000000',
      '8640000000000 8640000000000',
      '8640000000000 8640000000000',
    ])
  })

  test('is what git commit-tree makes', () => {
    const unit = { seq: 1, at: 1_700_000_000_999, events: [{ type: 'PLACE' }, { type: 'PAY' }], origin: outside }
    const parent = machineCommit(format, machine)
    for (const object of parent.objects) repository.write(object)
    const made = unitCommit(format, { parent: parent.oid, machine: parent.oid, unit })
    const blob = (text: string) => repository.git(['hash-object', '-w', '--stdin'], { input: text }).trim()
    const events = blob('[\n  {\n    "type": "PLACE"\n  },\n  {\n    "type": "PAY"\n  }\n]\n')
    const about = blob(
      `{\n  "at": 1700000000999,\n  "machine": "${parent.oid}",\n  "origin": {\n    "kind": "outside"\n  },\n  "seq": 1\n}\n`,
    )
    const input = `100644 blob ${events}\tevents.json\n100644 blob ${about}\tunit.json\n`
    const tree = repository.git(['mktree'], { input }).trim()
    const env = {
      GIT_AUTHOR_NAME: 'xmachines',
      GIT_AUTHOR_EMAIL: 'runs@xmachines.invalid',
      GIT_AUTHOR_DATE: '1700000000 +0000',
      GIT_COMMITTER_NAME: 'xmachines',
      GIT_COMMITTER_EMAIL: 'runs@xmachines.invalid',
      GIT_COMMITTER_DATE: '1700000000 +0000',
    }
    const stock = repository.git(['commit-tree', tree, '-p', parent.oid], { input: '1 PLACE, PAY\n', env }).trim()
    expect(made.oid).toBe(stock)
  })
})
