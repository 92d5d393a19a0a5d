import { readFileSync } from 'node:fs'
import { beforeAll, describe, expect, it } from 'vitest'
import { createActor } from 'xstate'
import { type PermitEvent, permit } from '../../examples/permits/machine.ts'
import { jsonLines, xmachines } from './command.ts'
import changed from './machines/permit-changed.ts'
import { Workspace } from './workspace.ts'

interface PermitRecord {
  readonly key: string
  readonly at: number
  readonly event: PermitEvent
}

const good = 'examples/permits/machine.ts#permit'
const bad = 'test/cli/machines/permit-changed.ts'

const space = new Workspace()
let store: string
let records: readonly PermitRecord[]

beforeAll(async () => {
  const all = readFileSync('examples/permits/permits.ndjson', 'utf8').trimEnd().split('\n')
  const log = all.map(line => JSON.parse(line) as PermitRecord)
  // Every case that anything comes of, and as many that nothing does.
  const advised = new Set(log.filter(({ event }) => event.type.startsWith('T09')).map(({ key }) => key))
  for (const { key } of log) if (advised.size < 150) advised.add(key)
  records = log.filter(({ key }) => advised.has(key))
  store = space.path('store')
  const made = await xmachines('run', space.log(records, 'permits.ndjson'), '--machine', good, '--store', store)
  expect(made).toMatchObject({ code: 0 })
})

/** The same question put to bare XState: every case with both machines, event by event. */
function firstDifference(): { key: string; seq: number; at: number; states: readonly unknown[] } | undefined {
  const cases = new Map<
    string,
    { actors: ReturnType<typeof createActor<typeof permit>>[]; seq: number; over: boolean }
  >()
  let first: ReturnType<typeof firstDifference>
  for (const { key, at, event } of records) {
    const one = cases.get(key) ?? {
      actors: [createActor(permit).start(), createActor(changed).start()],
      seq: 0,
      over: false,
    }
    cases.set(key, one)
    one.seq++
    for (const actor of one.actors) actor.send(event)
    const states = one.actors.map(actor => {
      const { value, context } = actor.getSnapshot()
      return { value, context }
    })
    if (one.over || JSON.stringify(states[0]) === JSON.stringify(states[1])) continue
    one.over = true
    if (first === undefined || at < first.at) first = { key, seq: one.seq, at, states }
  }
  return first
}

describe('a store of the permits, and a rule that was changed', () => {
  it('bisect names the first unit of the whole store where the machines disagree, with both states', async () => {
    const expected = firstDifference()!
    const { code, stdout, stderr } = await xmachines('bisect', store, '--good', good, '--bad', bad, '--json')
    expect(code, stderr).toBe(1)
    const [found] = jsonLines(stdout)
    const [run] = jsonLines((await xmachines('runs', store, '--json')).stdout).filter(({ key }) => key === expected.key)
    expect(found).toMatchObject({
      same: false,
      run: run!.run,
      key: expected.key,
      seq: expected.seq,
      at: expected.at,
      good: expected.states[0],
      bad: expected.states[1],
    })
  })

  it('bisect finds nothing where nothing was changed', async () => {
    const { code, stdout } = await xmachines('bisect', store, '--good', good, '--bad', good, '--json')
    expect({ code, found: jsonLines(stdout) }).toMatchObject({ code: 0, found: [{ same: true }] })
  })
})
