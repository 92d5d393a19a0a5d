import { describe, expect, test } from 'vitest'
import { settled } from '../supervisor/virtual-environment.ts'
import { sharing } from './sharing.ts'

describe('a run that is opened while another process has something in flight', () => {
  test.each(['retry', 'at-most-once'] as const)(
    '%s: it is left to whoever has it, for as long as that lives',
    async crash => {
      const world = sharing(crash)
      const [one, two] = [world.start('one'), world.start('two')]
      const first = await one.open()
      await first.apply({ type: 'A' })
      const second = await two.open()
      await second.apply({ type: 'PING' })
      await world.pass(120_000, one, two)
      expect(world.started).toEqual(['A1'])
      world.finish('A')
      await settled()
      await second.apply({ type: 'PING' })
      expect(second.getSnapshot().context).toEqual({ told: ['A done'] })
      expect(await world.owners(first)).toEqual([null, {}])
    },
  )

  test.each([
    ['retry', ['A1', 'A2'], []],
    ['at-most-once', ['A1'], ['A interrupted']],
  ] as const)('%s: it is gone on with when its process runs out, and not before', async (crash, started, told) => {
    const world = sharing(crash)
    const [one, two] = [world.start('one'), world.start('two')]
    await (await one.open()).apply({ type: 'A' })
    const second = await two.open()
    await world.pass(29_000, two)
    expect(world.started).toEqual(['A1'])
    expect(second.getSnapshot().context).toEqual({ told: [] })
    await world.pass(1_000, two)
    expect(world.started).toEqual(started)
    expect(second.getSnapshot().context).toEqual({ told })
  })

  test('it is gone on with at once where its process is known to be gone, or left it', async () => {
    const world = sharing()
    const [one, two, three] = [world.start('one'), world.start('two'), world.start('three')]
    await (await one.open()).apply({ type: 'A' })
    await world.memory.renew('one', 0)
    const second = await two.open()
    expect(world.started).toEqual(['A1', 'A2'])
    const closing = second.close({ timeout: 0 })
    await two.time.advance(0)
    await closing
    await three.open()
    expect(world.started).toEqual(['A1', 'A2', 'A3'])
  })

  test('what a process had when its run ended there is gone on with when the same process opens it again', async () => {
    const world = sharing()
    const one = world.start('one')
    const run = await one.open()
    await run.apply({ type: 'A' })
    one.store.faults.plan('append.before')
    await expect(run.apply({ type: 'PING' })).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    await one.open()
    expect(world.started).toEqual(['A1', 'A2'])
  })
})

test('what was taken over from a process that came back is not its own any more, though it runs there', async () => {
  const world = sharing()
  const [one, two] = [world.start('one'), world.start('two')]
  const first = await one.open()
  await first.apply({ type: 'A' })
  await world.memory.renew('one', 0)
  await two.open()
  await first.apply({ type: 'C' })
  expect(world.started).toEqual(['A1', 'A2', 'C1'])
  expect(await world.owners(first)).toEqual(['one', { A: 'two' }])
})

test('what a process had when its run ended there, while it lives on, is left to others', async () => {
  const world = sharing()
  const [one, two] = [world.start('one'), world.start('two')]
  const [run, another] = [await one.open(), await one.open('another')]
  await run.apply({ type: 'A' })
  await another.apply({ type: 'B' })
  await two.open()
  one.store.faults.plan('append.before')
  await expect(run.apply({ type: 'PING' })).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
  await world.pass(60_000, one, two)
  expect(world.started).toEqual(['A1', 'B1', 'A2'])
  expect(await world.owners(run)).toEqual(['two', {}])
  expect(await world.owners(another)).toEqual(['one', {}])
})

test('also beside what the others have', async () => {
  const world = sharing()
  const [one, two] = [world.start('one'), world.start('two')]
  const [run, another] = [await one.open(), await one.open('another')]
  await run.apply({ type: 'A' })
  await another.apply({ type: 'C' })
  const second = await two.open()
  await second.apply({ type: 'B' })
  one.store.faults.plan('append.before')
  await expect(run.apply({ type: 'PING' })).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
  await one.time.advance(10_000)
  expect(await world.owners(run)).toEqual([null, { B: 'two' }])
  await world.pass(15_000, two)
  expect(world.started).toEqual(['A1', 'C1', 'B1', 'A2'])
  expect(await world.owners(run)).toEqual(['two', {}])
})

describe('two processes that have something of one run in flight', () => {
  /** Each has a part. Who comes to have one is named: it knows of all others. */
  async function both() {
    const world = sharing()
    const [one, two] = [world.start('one'), world.start('two')]
    const first = await one.open()
    await first.apply({ type: 'A' })
    expect(await world.owners(first)).toEqual(['one', {}])
    const second = await two.open()
    await second.apply({ type: 'B' })
    expect(await world.owners(first)).toEqual(['two', { A: 'one' }])
    expect(world.started).toEqual(['A1', 'B1'])
    return { world, one, two, first, second }
  }

  test('keep it, and whoever has some already is not named for more', async () => {
    const { world, one, two, first, second } = await both()
    await first.apply({ type: 'C' })
    expect(await world.owners(first)).toEqual(['two', { A: 'one', C: 'one' }])
    await world.pass(60_000, one, two)
    expect(world.started).toEqual(['A1', 'B1', 'C1'])
    for (const part of ['A', 'C', 'B'] as const) {
      world.finish(part)
      await settled()
    }
    await second.apply({ type: 'PING' })
    expect(second.getSnapshot().context).toEqual({ told: ['A done', 'C done', 'B done'] })
    expect(await world.owners(first)).toEqual([null, {}])
  })

  test('the one that is named ends what it has: the other one is named', async () => {
    const { world, first, second } = await both()
    await first.apply({ type: 'PING' })
    world.finish('B')
    await settled()
    expect(await world.owners(first)).toEqual(['one', {}])
    expect((await world.memory.head(first.id))!.due).toBe(null)
    expect(second.getSnapshot().context).toEqual({ told: ['B done'] })
  })

  test('the other one ends what it has', async () => {
    const { world, first } = await both()
    world.finish('A')
    await settled()
    expect(await world.owners(first)).toEqual(['two', {}])
  })

  test('the other one dies: the one that is named goes on with it', async () => {
    const { world, two, first } = await both()
    await world.pass(31_000, two)
    expect(world.started).toEqual(['A1', 'B1', 'A2'])
    expect(await world.owners(first)).toEqual(['two', {}])
  })

  test('the one that is named dies: the host of the other one, which knew nothing of it, goes on with it', async () => {
    const { world, one, first } = await both()
    const host = one.host()
    await world.pass(45_000, one)
    expect(world.started).toEqual(['A1', 'B1', 'B2'])
    expect(await world.owners(first)).toEqual(['one', {}])
    const closing = host.close()
    await one.time.advance(5_000)
    await closing
  })

  test('both die: a host goes on with what either had', async () => {
    const { world, first } = await both()
    const three = world.start('three')
    const host = three.host()
    await world.pass(45_000, three)
    expect([...world.started].sort()).toEqual(['A1', 'A2', 'B1', 'B2'])
    expect(await world.owners(first)).toEqual(['three', {}])
    const closing = host.close()
    await three.time.advance(5_000)
    await closing
  })

  test('a third one that opens leaves both what they have, and goes on with that of the first to die', async () => {
    const { world, one, two, first } = await both()
    const three = world.start('three')
    await three.open()
    await world.pass(20_000, one, two, three)
    expect(world.started).toEqual(['A1', 'B1'])
    await world.pass(31_000, one, three)
    expect(world.started).toEqual(['A1', 'B1', 'B2'])
    expect(await world.owners(first)).toEqual(['three', { A: 'one' }])
    await world.pass(31_000, three)
    expect(world.started).toEqual(['A1', 'B1', 'B2', 'A2'])
    expect(await world.owners(first)).toEqual(['three', {}])
  })

  test('one closes: what it leaves is nobody’s, and the other one goes on with it', async () => {
    const { world, one, two, first } = await both()
    const closing = first.close({ timeout: 0 })
    await one.time.advance(0)
    await closing
    expect(await world.owners(first)).toEqual([null, { B: 'two' }])
    expect((await world.memory.head(first.id))!.due).toBeLessThanOrEqual(two.time.now())
    await world.pass(10_000, two)
    expect(world.started).toEqual(['A1', 'B1', 'A2'])
    expect(await world.owners(first)).toEqual(['two', {}])
  })
})

test('of three, the one that is named ends what it has: nobody is, until one of the others has looked', async () => {
  const world = sharing()
  const [one, two, three] = [world.start('one'), world.start('two'), world.start('three')]
  const first = await one.open()
  await first.apply({ type: 'A' })
  await (await two.open()).apply({ type: 'B' })
  await (await three.open()).apply({ type: 'C' })
  expect(await world.owners(first)).toEqual(['three', { A: 'one', B: 'two' }])
  world.finish('C')
  await settled()
  expect(await world.owners(first)).toEqual([null, { A: 'one', B: 'two' }])
  // The second knows of the first, and not the other way round. The first has a host, which finds the run.
  const host = one.host()
  await one.time.advance(1_000)
  expect(await world.owners(first)).toEqual(['one', { B: 'two' }])
  expect((await world.memory.head(first.id))!.due).toBe(null)
  await world.pass(45_000, one)
  expect(world.started).toEqual(['A1', 'B1', 'C1', 'B2'])
  const closing = host.close()
  await one.time.advance(5_000)
  await closing
})
