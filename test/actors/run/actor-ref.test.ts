import { from, lastValueFrom } from 'rxjs'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createRun, openRun } from 'xmachines'
import { memoryStore } from 'xmachines/persistence/memory'
import { createActor } from 'xstate'
import { counter } from './machines.ts'

const add = { type: 'ADD', by: 1 } as const

/** What a subscriber of an actor, or of a run's reference, is told. */
function told(ref: Pick<ReturnType<typeof createRun<typeof counter>>['actorRef'], 'subscribe'>): string[] {
  const seen: string[] = []
  ref.subscribe({
    next: ({ status, context }) => void seen.push(`${status} ${context.count}`),
    error: () => void seen.push('error'),
    complete: () => void seen.push('complete'),
  })
  return seen
}

describe("a subscriber is told what XState's actors tell", () => {
  test('states, then the end, once', async () => {
    const run = createRun(counter)
    await run.ready
    const actor = createActor(counter).start()
    const [ours, theirs] = [told(run.actorRef), told(actor)]
    for (const event of [add, { type: 'END' }] as const) {
      await run.apply(event)
      actor.send(event)
    }
    await run.close()
    actor.stop()
    expect(ours).toEqual(theirs)
    expect(ours).toEqual(['active 1', 'done 1', 'complete'])
  })

  test('also where it comes after the end', async () => {
    const run = createRun(counter)
    await run.apply({ type: 'END' })
    expect(told(run.actorRef)).toEqual(['complete'])
    const failed = createRun(counter, { strict: true })
    await failed.close()
    expect(told(failed.actorRef)).toEqual(['complete'])
  })

  test('a closed handle completes, though another one has the run open', async () => {
    const store = memoryStore()
    const run = await openRun(counter, { store, key: 'a' })
    await using other = await openRun(counter, { store, key: 'a' })
    const seen = told(run.actorRef)
    await run.close()
    await other.apply(add)
    expect(seen).toEqual(['complete'])
  })

  test('three listeners do as well as an observer, and RxJS finds it', async () => {
    const run = createRun(counter)
    let completed = 0
    run.actorRef.subscribe(
      () => {},
      undefined,
      () => completed++,
    )
    const last = lastValueFrom(from(run.actorRef))
    await run.apply({ type: 'END' })
    expect(completed).toBe(1)
    expect((await last).status).toBe('done')
  })
})

describe('a listener that throws', () => {
  const thrown: unknown[] = []
  let before: NodeJS.UncaughtExceptionListener[]
  const listener = (error: unknown) => void thrown.push((error as Error).message)
  beforeEach(() => {
    thrown.length = 0
    before = process.listeners('uncaughtException')
    process.removeAllListeners('uncaughtException').on('uncaughtException', listener)
  })
  afterEach(() => {
    process.removeAllListeners('uncaughtException')
    for (const one of before) process.on('uncaughtException', one)
  })

  test('is reported to the platform, as by XState: the run goes on, and so do the others', async () => {
    const run = createRun(counter)
    const fail = (): never => {
      throw new Error('thrown by a listener')
    }
    run.actorRef.subscribe(fail)
    run.actorRef.on('COUNT', fail)
    run.actorRef.subscribe({ complete: fail })
    const seen = told(run.actorRef)
    expect(await run.apply(add)).toMatchObject({ ok: true, seq: 1 })
    expect(await run.apply({ type: 'END' })).toMatchObject({ ok: true, seq: 2 })
    await run.close()
    expect(seen.at(-1)).toBe('complete')
    await new Promise(resolve => setTimeout(resolve, 10))
    expect(new Set(thrown)).toEqual(new Set(['thrown by a listener']))
  })
})

test('the reference has what its type says', async () => {
  const run = createRun(counter)
  const { actorRef } = run
  const counts: number[] = []
  const count = actorRef.select(({ context }) => context.count)
  count.subscribe(value => counts.push(value))
  await run.apply(add)
  await run.apply({ type: 'THROW' })
  await run.apply(add)
  expect([count.get(), counts]).toEqual([2, [1, 2]])
  expect(actorRef.getPersistedSnapshot()).toMatchObject({ status: 'active', value: 'on', context: { count: 2 } })
  expect(JSON.parse(JSON.stringify(actorRef))).toEqual({ xstate$$type: 1, id: 'counter' })
  expect(actorRef.system.get('nobody')).toBeUndefined()
  actorRef.start()
  expect(() => actorRef.stop()).toThrow('run.stop(reason)')
})
