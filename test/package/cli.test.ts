import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { command } from './command.ts'
import { type Node, newestNode, thisNode } from './node.ts'
import { type Packed, packed } from './packed.ts'

const newest = await newestNode()
const nodes: readonly Node[] = 'path' in newest ? [thisNode, newest] : [thisNode]

const machine = `import { defineMachine } from 'xmachines'
import { assign, emit, setup } from 'xstate'
type Add = { type: 'ADD'; value: number }
const counter = setup({ types: {} as { context: { count: number }; events: Add } }).createMachine({
  id: 'counter',
  context: { count: 0 },
  on: {
    ADD: {
      actions: [
        assign({ count: ({ context, event }) => context.count + event.value }),
        emit(({ context }) => ({ type: 'ADDED', count: context.count })),
      ],
    },
  },
})
export default defineMachine(counter, { version: '2', unhandled: 'reject' })
`

const log = [
  { key: 'a', at: 1000, event: { type: 'ADD', value: 1 } },
  { key: 'b', at: 2000, event: { type: 'ADD', value: 2 } },
  {
    key: 'a',
    at: 3000,
    events: [
      { type: 'ADD', value: 3 },
      { type: 'ADD', value: 4 },
    ],
  },
]

let pack: Packed
beforeAll(async () => {
  pack = await packed()
}, 600_000)

describe.each(nodes)('on $name, the packed command line', ({ name, path }) => {
  const folder = (): string => join(pack.folder, `cli-${name.replace(' ', '-')}`)
  const bin = (): string => join(pack.folder, 'node_modules/.bin/xmachines')

  /** What a command printed as NDJSON, and its exit code. */
  async function run(...args: string[]) {
    const { code, stdout, stderr } = await command(path, [bin(), ...args, '--json'], { cwd: folder() })
    const records = stdout
      .split('\n')
      .filter(line => line !== '')
      .map(line => JSON.parse(line) as Record<string, unknown>)
    return { code, records, stderr }
  }

  beforeAll(() => {
    rmSync(folder(), { recursive: true, force: true })
    mkdirSync(folder(), { recursive: true })
    writeFileSync(join(folder(), 'counter.ts'), machine)
    writeFileSync(join(folder(), 'changed.ts'), machine.replace('event.value', 'event.value * 2'))
    writeFileSync(join(folder(), 'log.ndjson'), log.map(record => `${JSON.stringify(record)}\n`).join(''))
  })

  test('runs a log, goes on with it, and shows what is there', async () => {
    const first = await run('run', 'log.ndjson', '--machine', 'counter.ts', '--store', 'store', '--topic', 'counts')
    expect(first).toMatchObject({ code: 0, records: [{ runs: 2, refused: 0 }] })
    const again = await run('run', 'log.ndjson', '--machine', 'counter.ts', '--store', 'store', '--topic', 'counts')
    expect(again).toMatchObject({ code: 0, records: [{ runs: 2, events: 0 }] })

    const { records: runs } = await run('runs', 'store')
    expect(Object.keys(runs[0]!)).toEqual(
      expect.arrayContaining(['run', 'key', 'namespace', 'machine', 'version', 'seq', 'head', 'status', 'value']),
    )
    const heads = runs.map(({ key, namespace, version, seq }) => ({ key, namespace, version, seq }))
    expect(heads).toHaveLength(2)
    expect(heads).toContainEqual({ key: 'a', namespace: 'counts', version: '2', seq: 2 })
    expect(heads).toContainEqual({ key: 'b', namespace: 'counts', version: '2', seq: 1 })

    expect((await run('log', 'store', 'a')).records.map(({ seq, at }) => [seq, at])).toEqual([
      [0, 1000],
      [1, 1000],
      [2, 3000],
    ])
    const { records: steps } = await run('replay', 'store', 'a', '--machine', 'counter.ts', '--until', '1')
    expect(steps).toMatchObject([{ seq: 0 }, { seq: 1, context: { count: 1 }, outputs: [{ type: 'ADDED', count: 1 }] }])
    const fromLog = await run('replay', 'log.ndjson', 'b', '--machine', 'counter.ts')
    expect(fromLog.records.at(-1)).toMatchObject({ seq: 1, context: { count: 2 } })
  }, 300_000)

  test('verifies, forks, compares, exports and imports', async () => {
    expect(await run('verify', 'store', '--machine', 'counter.ts')).toMatchObject({ code: 0 })
    const changed = await run('verify', 'store', '--machine', 'changed.ts')
    expect(changed.code).toBe(1)
    expect(changed.records).toContainEqual(expect.objectContaining({ key: 'b', ok: false }))

    expect(await run('fork', 'store', 'a', '--at', '1', '--key', 'what-if')).toMatchObject({ code: 0 })
    expect(await run('diff', 'store', 'a', 'what-if')).toMatchObject({ code: 1 })
    expect(await run('diff', 'store', 'a', 'a')).toMatchObject({ code: 0 })

    const exported = await command(path, [bin(), 'export', 'store'], { cwd: folder() })
    writeFileSync(join(folder(), 'history.ndjson'), exported.stdout)
    expect(await run('import', 'copy', 'history.ndjson')).toMatchObject({ code: 0 })
    const copied = await command(path, [bin(), 'export', 'copy'], { cwd: folder() })
    expect(unitsOf(copied.stdout)).toEqual(unitsOf(exported.stdout))
    expect(unitsOf(copied.stdout)).not.toHaveLength(0)
  }, 300_000)

  test('tells wrong use with 2, and what to do', async () => {
    for (const args of [[], ['dance'], ['log', 'store'], ['runs', 'nowhere'], ['log', 'store', 'nobody']]) {
      const { code, stderr } = await command(path, [bin(), ...args], { cwd: folder() })
      expect([args, code]).toEqual([args, 2])
      expect(stderr).not.toBe('')
      expect(stderr).not.toMatch(/\n\s+at /) // no stack
    }
    const { code, stdout } = await command(path, [bin(), '--help'], { cwd: folder() })
    expect(code).toBe(0)
    for (const name of ['run', 'runs', 'log', 'replay', 'verify', 'diff', 'fork', 'export', 'import'])
      expect(stdout).toMatch(new RegExp(`^ {2}${name} `, 'm'))
  }, 300_000)

  test('cleans up on a closed pipe', async () => {
    const script = `'${path}' '${bin()}' export store | head -n 1`
    const { code, stdout, stderr } = await command('sh', ['-c', script], { cwd: folder() })
    expect({ code, lines: stdout.trim().split('\n').length }).toEqual({ code: 0, lines: 1 })
    expect(stderr).not.toMatch(/EPIPE|Error/)
  }, 300_000)
})

/** What two stores with the same history have in common: what happened, by id. */
function unitsOf(exported: string): unknown[] {
  return exported
    .split('\n')
    .filter(line => line !== '')
    .map(line => JSON.parse(line) as Record<string, unknown>)
    .filter(({ seq }) => seq !== undefined)
    .map(({ run, seq, id, at, events }) => ({ run, seq, id, at, events }))
}
