import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Receipt, verifyRun, XMachinesError } from 'xmachines'
import { memoryStore } from 'xmachines/persistence/memory'
import { all } from '../actors/run/collect.ts'
import { onEveryStore } from './every-store.ts'
import { keys, type LeaseStep, leaseSteps } from './lease-steps.ts'
import { delay, Fleet, type Said } from './leased-fleet.ts'
import { nothingUnhandled } from './unhandled.ts'

/** What a handle may be told when its run is not to be had here any more. */
const ends = /^(LEASE_LOST|LEASE_HELD|LEASE_MISPLACED|RUN_CLOSED|STORE_UNAVAILABLE|STORE_OUTCOME_UNKNOWN)$/

nothingUnhandled()

onEveryStore(
  'whenever a lease is lost, alone or while it is given back: nothing is lost or done twice, and the next owner goes on',
  (open, elsewhere) =>
    fc.asyncProperty(fc.boolean(), leaseSteps, (tight, schedule) =>
      property(new Fleet(open(), elsewhere), tight, schedule),
    ),
  { memory: 60, servers: 20 },
)

test('a handle on a run where something is due is refused while another holds its lease', async () => {
  const fleet = new Fleet(memoryStore())
  const { time, kept } = fleet
  const member = fleet.join()
  await fleet.send('a', { type: 'ARM', n: 1, to: 'a' })
  await time.advance(1)
  const closed = member.supervisor.close()
  await time.advance(1)
  await closed
  for (const partition of [0, 1]) await kept.claim({ namespace: 't', partition, owner: 'stranger', group: 'others' })
  await time.advance(delay)
  await expect(member.open('a')).rejects.toMatchObject({ code: 'LEASE_HELD' })
  expect(await kept.head((await kept.find('t', 'a'))!)).toMatchObject({ seq: 1 })
  expect(fleet.inMemory).toBe(0)
})

/** @param tight whether only one run fits into memory, so that runs are passivated all the time */
async function property(fleet: Fleet, tight: boolean, schedule: readonly LeaseStep[]): Promise<void> {
  const { time, broker, kept } = fleet
  const join = () => fleet.join(tight ? 1 : 100)
  const sent: Record<string, number[]> = {}
  const ringing: Promise<unknown>[] = []
  const acknowledged: { readonly key: string; readonly n: number; readonly receipt: Receipt }[] = []
  const refusals: unknown[] = []
  let count = 0
  const send = async (to: string, event: Omit<Said, 'n'>): Promise<void> => {
    ;(sent[to] ??= []).push(++count)
    await fleet.send(to, { ...event, n: count } as Said)
  }
  join()
  for (const one of keys) await send(one, { type: 'NOTE', to: one })
  await fleet.until('the first', fleet.members[0]!.supervisor.caughtUp())

  for (const step of schedule) {
    const { members } = fleet
    const member = 'pick' in step && members.length > 0 ? members[step.pick % members.length] : members[0]
    switch (step.does) {
      case 'send':
        await send(step.key, { type: step.says, to: step.to })
        break
      case 'apply': {
        if (member === undefined) break
        const n = ++count
        const applied = member.open(step.key).then(async run => {
          const receipt = await run.apply({ type: step.says, n, to: step.to } as never).finally(() => run.close())
          acknowledged.push({ key: step.key, n, receipt })
        })
        ringing.push(applied.catch(error => refusals.push(error)))
        break
      }
      case 'finish':
        fleet.attempts.at(-1 - step.pick)?.finish('done')
        break
      case 'fail':
        fleet.attempts.at(-1 - step.pick)?.fail(new Error('declined'))
        break
      case 'join':
        if (members.length < 3) join()
        break
      case 'lose':
        broker.faults.lose()
        break
      case 'close':
        if (member === undefined) break
        members.splice(members.indexOf(member), 1)
        ringing.push(member.supervisor.close())
        break
      case 'zombie':
        if (member !== undefined) fleet.cutOff(member)
        break
      case 'wake':
        for (const { resume, member } of fleet.zombies.splice(0)) {
          resume()
          members.push(member)
        }
        break
      // Another owner of the same group, of another one; or the owner is ended by hand.
      case 'claim':
      case 'usurp':
        await kept.claim({
          namespace: 't',
          partition: step.partition,
          owner: 'stranger',
          group: step.does === 'claim' ? 'g' : 'others',
        })
        break
      case 'release': {
        const row = await kept.lease({ namespace: 't', partition: step.partition })
        if (row !== undefined) await kept.release(row)
        break
      }
      case 'store': {
        const planned = member?.store.faults.plan(step.fault)
        setImmediate(() => planned?.release())
        break
      }
      case 'time':
        await time.advance(step.ms)
    }
    for (let turn = 0; turn < step.turns; turn++) await Promise.resolve()
  }

  // All of them leave; those that were cut off learn what happened.
  for (const { resume, member } of fleet.zombies) {
    resume()
    fleet.members.push(member)
  }
  for (const { supervisor } of fleet.members) ringing.push(supervisor.close())
  await fleet.until('an end', Promise.all(ringing))
  for (const error of refusals) {
    expect(error).toBeInstanceOf(XMachinesError)
    expect((error as XMachinesError).code).toMatch(ends)
  }
  // Nothing of them is left in memory; what is still in flight was aborted, and ends too late.
  expect(fleet.inMemory).toBe(0)
  for (const { ended, signal } of fleet.attempts) expect(ended() || signal.aborted).toBe(true)
  const begun = fleet.attempts.length
  for (const attempt of fleet.attempts) attempt.finish('late')
  await time.advance(10_000)
  expect(fleet.attempts.length).toBe(begun)

  // The successor goes on, to the end of everything.
  const last = fleet.join()
  await fleet.until('the successor', last.supervisor.caughtUp())
  // What a handle left without a lease is its process's own for 30 s.
  for (let turn = 0; turn < 8; turn++) {
    for (const attempt of last.attempts) attempt.finish('done')
    await time.advance(5_000)
  }
  await fleet.until('the successor', last.supervisor.caughtUp())
  await fleet.until('its end', last.supervisor.close())
  expect(time.timers).toBe(0)
  expect(fleet.violations).toEqual([])
  const payments = fleet.attempts.filter(({ logic }) => logic === 'pay').map(one => one.key)
  expect(new Set(payments).size).toBe(payments.length)

  await checkResults(fleet)
  const mailed: string[] = []
  const got: string[] = []
  for (const one of keys) {
    const run = (await kept.find('t', one))!
    const head = (await kept.head(run))!
    const units = await all(kept.read(run))
    const outside = units.filter(({ origin }) => origin.kind === 'outside').flatMap(({ events }) => events)
    const numbers = outside.map(({ n }) => n as number)
    // Each record once, in order; what handles sent, once at most, and where they were told.
    expect(new Set(numbers).size).toBe(numbers.length)
    expect(numbers.filter(n => sent[one]!.includes(n))).toEqual(sent[one])
    for (const { key, n, receipt } of acknowledged)
      if (key === one && receipt.ok) expect(units[receipt.seq]!.events).toMatchObject([{ n }])
    const armed = units.flatMap(({ at, seq, events }) =>
      events.filter(({ type }) => type === 'ARM').map(() => ({ seq, due: at + delay })),
    )
    const spawned = outside.filter(({ type }) => type === 'SPAWN').map(({ n }) => n)
    const ended = units.flatMap(({ origin, events }) => (origin.kind === 'child' ? events : []))
    expect(ended.map(({ output }) => output).sort(byN)).toEqual(spawned.map(n => ({ n })).sort(byN))
    for (const n of spawned)
      expect(await kept.head((await kept.find('errand', String(n)))!)).toMatchObject({
        status: 'done',
        due: null,
        beside: { parent: { run }, mailing: [] },
      })
    const rung = units.flatMap(({ at, origin }) => (origin.kind === 'timer' ? [{ seq: origin.armed, at }] : []))
    expect(rung.map(({ seq }) => seq).sort()).toEqual(armed.map(({ seq }) => seq).sort())
    for (const { seq, due } of armed) expect(rung.find(one => one.seq === seq)!.at).toBeGreaterThanOrEqual(due)
    for (const { type, n, to } of outside) if (type === 'TELL') mailed.push(`${one} ${to} ${n}`)
    for (const { events, origin } of units) {
      if (origin.kind !== 'mail') continue
      const sender = keys[(await Promise.all(keys.map(k => kept.find('t', k)))).indexOf(origin.run)]
      got.push(`${sender} ${one} ${events[0]!.n}`)
    }
    expect(await verifyRun(kept, last.machine, head)).toEqual({ run, units: head.seq })
    expect(head).toMatchObject({ due: null, value: { charges: 'idle', payments: 'idle' } })
    expect(head.beside).toMatchObject({ attempts: {}, process: null, mailing: [], waiting: 0, parked: null })
  }
  expect(got.sort()).toEqual(mailed.sort())
}

const byN = (a: unknown, b: unknown): number => (a as { n: number }).n - (b as { n: number }).n

/** What was emitted under a lease is sent: all of it, in the order of its run; what is sent again has the same id. */
async function checkResults({ broker, kept }: Fleet): Promise<void> {
  const consumer = broker.consumer({ topic: 'r', group: 'look' })
  const sent = new Map<string, unknown>()
  const ends = await consumer.endOffsets('r')
  const leases = consumer.leases.getReader()
  for (let left = ends.size; left > 0; left--) {
    const lease = (await leases.read()).value!
    const records = lease.records.getReader()
    for (let count = ends.get(lease.partition)!; count > 0; count--) {
      const { headers, value } = (await records.read()).value!
      const id = utf8.decode(headers.find(([name]) => name === 'xmachines-id')![1]!)
      const output: unknown = JSON.parse(utf8.decode(value!))
      if (sent.has(id)) expect(output).toEqual(sent.get(id))
      else sent.set(id, output)
    }
    await lease.release()
    await records.cancel()
  }
  leases.releaseLock()
  await consumer.close()
  for (const one of keys) {
    const run = (await kept.find('t', one))!
    const leased = (await all(kept.read(run))).filter(({ epoch }) => epoch !== undefined)
    const emitted = leased.flatMap(({ seq, outputs }) =>
      outputs.map((event, index) => [`${run}/${seq}/${index}`, event]),
    )
    const results = [...sent].filter(([id]) => id.startsWith(run))
    expect(results.map(([id, output]) => [id, (output as { event: unknown }).event])).toEqual(emitted)
  }
}

const utf8 = new TextDecoder()
