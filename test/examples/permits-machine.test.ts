import { readFileSync } from 'node:fs'
import { beforeAll, describe, expect, test } from 'vitest'
import { type Actor, createActor, type SnapshotFrom } from 'xstate'
import permitByDefault, { type PermitEvent, type PermitOutput, permit } from '../../examples/permits/machine.ts'

interface LogRecord {
  readonly key: string
  readonly at: number
  readonly event: PermitEvent
}

const log = readFileSync(new URL('../../examples/permits/permits.ndjson', import.meta.url), 'utf8')
  .trim()
  .split('\n')
  .map(line => JSON.parse(line) as LogRecord)

/** How often each thing occurs. */
function tally(things: Iterable<string>): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const thing of things) counts[thing] = (counts[thing] ?? 0) + 1
  return counts
}

/** Where a case stands, in short. */
function standing({ value }: SnapshotFrom<typeof permit>): string {
  return typeof value === 'string' ? value : JSON.stringify(value.confirmed).replaceAll('"', '')
}

describe('the permit log, one plain actor a case', () => {
  const cases = new Map<string, Actor<typeof permit>>()
  const outputs: PermitOutput[] = []
  const refused: LogRecord[] = []
  /** Events after which the case was told of a deviation, by the state that it was in. */
  const deviations: string[] = []

  beforeAll(() => {
    for (const record of log) {
      let actor = cases.get(record.key)
      if (!actor) {
        actor = createActor(permit)
        actor.on('*', output => outputs.push(output))
        cases.set(record.key, actor.start())
      }
      const before = actor.getSnapshot()
      if (!before.can(record.event)) refused.push(record)
      actor.send(record.event)
      const after = actor.getSnapshot()
      if (after.context.deviations.length > before.context.deviations.length) {
        deviations.push(`${record.event.type} in ${standing(before)}`)
      }
    }
  })

  test('is whole', () => {
    expect(log).toHaveLength(8577)
    expect(cases.size).toBe(1434)
    expect(new Set(log.map(({ event }) => event.type)).size).toBe(27)
  })

  test('has no event that no transition takes', () => {
    expect(refused).toEqual([])
  })

  test('is recorded event by event in the context', () => {
    const lastStep = new Map(log.map(({ key, event }) => [key, event.type]))
    const advice = log.filter(({ event }) => /^T0[789]/.test(event.type))
    const contexts = [...cases].map(([key, actor]) => ({ key, ...actor.getSnapshot().context }))
    expect(contexts.reduce((sum, { steps }) => sum + steps, 0)).toBe(8577)
    expect(contexts.reduce((sum, context) => sum + context.advice.length, 0)).toBe(advice.length)
    expect(contexts.filter(context => context.lastStep !== lastStep.get(context.key))).toEqual([])
    expect(contexts.filter(({ application }) => !application?.channel || !application.deadline)).toEqual([])
  })

  test('is explained by the model, but for seven events', () => {
    expect(tally(deviations)).toEqual({
      'T05 in {letter:checked,stop:open}': 1,
      'T06 in {letter:checked,stop:assessed}': 2,
      'T06 in {letter:drafted,stop:assessed}': 2,
      'T06 in {letter:sent,stop:assessed}': 2,
    })
  })

  test('leaves no case in a final state', () => {
    expect(tally([...cases.values()].map(actor => actor.getSnapshot().status))).toEqual({ active: 1434 })
  })

  test('leaves the cases where the log does', () => {
    expect(tally([...cases.values()].map(actor => standing(actor.getSnapshot())))).toEqual({
      '{letter:adjusting,stop:assessed}': 2,
      '{letter:adjusting,stop:decided}': 1,
      '{letter:checked,stop:advising}': 1,
      '{letter:checked,stop:assessed}': 6,
      '{letter:checked,stop:decided}': 3,
      '{letter:checked,stop:open}': 2,
      '{letter:determined,stop:assessed}': 1,
      '{letter:determined,stop:decided}': 1,
      '{letter:drafted,stop:advising}': 1,
      '{letter:drafted,stop:decided}': 1,
      '{letter:drafted,stop:open}': 116,
      '{letter:sent,stop:advising}': 1,
      '{letter:sent,stop:assessed}': 14,
      '{letter:sent,stop:decided}': 1213,
      '{letter:sent,stop:open}': 7,
      '{letter:sent,stop:{onHold:sent}}': 20,
      '{letter:sent,stop:{unlicensed:adjusting}}': 1,
      '{letter:sent,stop:{unlicensed:drafted}}': 4,
      '{letter:sent,stop:{unlicensed:sent}}': 39,
    })
  })

  test('tells the milestones', () => {
    expect(tally(outputs.map(({ type }) => type))).toEqual({
      RECEIPT_CONFIRMED: 1434,
      LETTER_CHECKED: 1368,
      LETTER_SENT: 1299,
      STOP_ASSESSED: 1410,
      STOP_DECIDED: 1283,
      UNLICENSED_SENT: 39,
      HOLD_SENT: 20,
      DEVIATION: 7,
    })
  })

  test('tags the cases', () => {
    const tags = [...cases.values()].flatMap(actor => [...actor.getSnapshot().tags])
    expect(tally(tags)).toEqual({ answered: 1299, stopped: 64, rework: 4 })
  })
})

describe('a case', () => {
  const work = { activity: 'some', task: 'task-1', resource: 'Resource1', group: 'Group 1' }

  test('notes a step that nothing led to, tells of it and stays where it was', () => {
    const actor = createActor(permit)
    const told: PermitOutput[] = []
    actor.on('*', output => told.push(output))
    actor.start()
    actor.send({ type: 'T20', ...work })
    expect(actor.getSnapshot()).toMatchObject({ value: 'submitted', context: { deviations: ['T20'], steps: 1 } })
    expect(told).toEqual([{ type: 'DEVIATION', step: 'T20', after: null }])
  })

  test('is JSON, before and after', () => {
    const actor = createActor(permit).start()
    actor.send({ type: 'T08', ...work })
    const { context } = actor.getSnapshot()
    expect(JSON.parse(JSON.stringify(context))).toEqual(context)
  })

  test('is exported by name and by default', () => expect(permitByDefault).toBe(permit))
})
