import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Store } from 'xmachines'
import { memoryStore } from 'xmachines/persistence/memory'
import { type FaultyStore, faultyStore, type StoreFaultPoint } from '../../../src/testing/faulty-store.ts'
import { settled } from './virtual-environment.ts'
import { headersOf, otherProcess, type Started, World } from './world.ts'

const partitions = 8
const keys = 12

/** One thing that can happen to a fleet. */
type Happening =
  | { readonly does: 'send'; readonly what: readonly (readonly [key: number, kind: number])[] }
  | { readonly does: 'join' }
  | { readonly does: 'leave' | 'crash' | 'cut' | 'mend'; readonly pick: number }
  | { readonly does: 'lose' | 'redeliver'; readonly partition: number; readonly count: number }
  | { readonly does: 'store fails'; readonly pick: number; readonly point: StoreFaultPoint }
  | { readonly does: 'sends fail'; readonly topic: 'r' | 'd'; readonly applied: boolean; readonly times: number }
  | { readonly does: 'commits fail'; readonly applied: boolean }
  | { readonly does: 'release by hand'; readonly partition: number }
  | { readonly does: 'pass'; readonly ms: number }
  | { readonly does: 'turn'; readonly turns: number }

const pick = fc.nat(20)
const partition = fc.nat(partitions - 1)
const happenings = fc.array(
  fc.oneof(
    {
      weight: 8,
      arbitrary: fc.record({
        does: fc.constant('send' as const),
        what: fc.array(fc.tuple(fc.nat(keys - 1), fc.nat(11)), { minLength: 1, maxLength: 30 }),
      }),
    },
    { weight: 3, arbitrary: fc.record({ does: fc.constant('join' as const) }) },
    {
      weight: 5,
      arbitrary: fc.record({
        does: fc.constantFrom('leave' as const, 'crash' as const, 'cut' as const, 'mend' as const),
        pick,
      }),
    },
    {
      weight: 3,
      arbitrary: fc.record({
        does: fc.constantFrom('lose' as const, 'redeliver' as const),
        partition,
        count: fc.integer({ min: 1, max: 20 }),
      }),
    },
    {
      weight: 3,
      arbitrary: fc.record({
        does: fc.constant('store fails' as const),
        pick,
        point: fc.constantFrom<StoreFaultPoint>(
          'append.before',
          'append.after',
          'append.torn',
          'append.duplicate',
          'claim.after',
          'head.before',
          'due.before',
          'read.before',
          'release.before',
        ),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        does: fc.constant('sends fail' as const),
        topic: fc.constantFrom('r' as const, 'd' as const),
        applied: fc.boolean(),
        times: fc.integer({ min: 1, max: 4 }),
      }),
    },
    { weight: 1, arbitrary: fc.record({ does: fc.constant('commits fail' as const), applied: fc.boolean() }) },
    { weight: 1, arbitrary: fc.record({ does: fc.constant('release by hand' as const), partition }) },
    {
      weight: 4,
      arbitrary: fc.record({ does: fc.constant('pass' as const), ms: fc.constantFrom(1, 50, 200, 1000, 40_000) }),
    },
    { weight: 6, arbitrary: fc.record({ does: fc.constant('turn' as const), turns: fc.nat(30) }) },
  ),
  { maxLength: 30 },
)

/** What a record says, by its kind: mostly fine, some refused in each way there is. */
function recordValue(kind: number, n: number): unknown {
  if (kind === 0) return { type: 'THROW' }
  if (kind === 1) return 'no json'
  if (kind === 2) return { type: 'xstate.stop' }
  if (kind === 3) return [{ type: 'ADD', by: n }, { type: 'TELL' }]
  if (kind === 4) return { type: 'TELL' }
  return { type: 'ADD', by: n }
}

interface Member extends Started {
  readonly store: FaultyStore
  pause?: { resume(): void; expire(): void }
  gone: boolean
}

class Fleet {
  readonly world = new World({ partitions })
  readonly members: Member[] = []
  sent = 0

  join(): void {
    const store = faultyStore(otherProcess(this.world.store))
    const name = `process-${this.members.length}`
    const started = this.world.supervise({
      store,
      sends: true,
      time: 'source',
      window: 16,
      residents: 4,
      idle: 500,
      environment: this.world.environment.fork(name),
    })
    this.members.push({ ...started, store, gone: false })
  }

  get alive(): readonly Member[] {
    return this.members.filter(({ gone }) => !gone)
  }

  async happen(happening: Happening): Promise<void> {
    const { world, alive } = this
    const { faults } = world.broker
    switch (happening.does) {
      case 'send':
        return world.send(
          ...happening.what.map(
            ([key, kind]) => [`k${key}`, recordValue(kind, this.sent++), { timestamp: 1000 + this.sent }] as const,
          ),
        )
      case 'join':
        if (alive.length < 4) this.join()
        return
      case 'leave': {
        const member = alive[happening.pick % alive.length]
        if (member === undefined || member.pause !== undefined) return
        member.gone = true
        void member.supervisor.close()
        return
      }
      // It never learns what happened, and goes on with what it has in hand.
      case 'crash': {
        const member = alive[happening.pick % alive.length]
        if (member === undefined || member.pause !== undefined) return
        member.gone = true
        return faults.pause(member.consumer).expire()
      }
      case 'cut': {
        const member = alive[happening.pick % alive.length]
        if (member !== undefined) member.pause ??= faults.pause(member.consumer)
        return
      }
      case 'mend': {
        const member = alive[happening.pick % alive.length]
        member?.pause?.resume()
        if (member !== undefined) delete member.pause
        return
      }
      case 'lose':
        return void faults.lose({ topic: 't', partition: happening.partition })
      case 'redeliver':
        return void faults.redeliver({ topic: 't', partition: happening.partition }, happening.count)
      case 'store fails':
        return void alive[happening.pick % alive.length]?.store.faults.plan(happening.point)
      case 'sends fail':
        return void faults.failSends(happening)
      case 'commits fail':
        return void faults.failCommits({ topic: 't', applied: happening.applied })
      case 'release by hand': {
        const row = await world.store.lease({ namespace: 't', partition: happening.partition })
        if (row !== undefined) await world.store.release(row)
        return
      }
      case 'pass':
        return world.environment.advance(happening.ms)
      case 'turn':
        for (let turn = 0; turn < happening.turns; turn++) await Promise.resolve()
    }
  }

  /** Everything that was sent is dealt with. */
  async quiesce(): Promise<void> {
    const { environment } = this.world
    for (const member of this.members) {
      member.pause?.resume()
      delete member.pause
    }
    if (this.alive.length === 0) this.join()
    const state = { done: false, error: undefined as unknown }
    this.alive[0]!.supervisor.caughtUp().then(
      () => (state.done = true),
      error => {
        state.error = error
      },
    )
    for (let turn = 0; turn < 200 && !state.done && state.error === undefined; turn++) await environment.advance(1000)
    if (state.error !== undefined) throw state.error
    if (!state.done)
      throw new Error(`Not caught up: ${JSON.stringify(this.members.map(({ supervisor }) => supervisor.status()))}`)
    // What was acknowledged is written a little later.
    await environment.advance(2000)
    await settled()
  }
}

/** What became of every run: its history with its ids, and its state. */
async function outcome(store: Store): Promise<Record<string, unknown>> {
  const runs: Record<string, unknown> = {}
  for await (const { run, key, seq, at, status, value, beside } of store.list()) {
    const units: unknown[] = []
    for await (const unit of store.read(run)) units.push([unit.seq, unit.id, unit.at, unit.events, unit.outputs])
    runs[key!] = { run, seq, at, status, value, units, ...beside }
  }
  return runs
}

/** The ids in a topic, each where it came first. */
async function idsIn(world: World, topic: string): Promise<readonly string[]> {
  return [...new Set((await world.topic(topic)).map(record => headersOf(record)['xmachines-id']!))]
}

/** The ids of each run, in order. */
function byRun(ids: readonly string[]): Record<string, string[]> {
  const runs: Record<string, string[]> = {}
  for (const id of ids) (runs[id.split('/')[0]!] ??= []).push(id)
  return runs
}

/** Scripts that broke the law once. */
const found: readonly Happening[][] = [
  // The store failed as a run was looked up that another had left with outputs to send: it was never woken again.
  [
    { does: 'send', what: [[0, 3]] },
    { does: 'pass', ms: 1 },
    { does: 'store fails', pick: 3, point: 'head.before' },
    { does: 'crash', pick: 0 },
  ],
]

test('whatever happens to a fleet: each record once, in order; the same ids, results and dead letters as of one consumer', {
  timeout: 600_000,
}, async () => {
  await fc.assert(
    fc.asyncProperty(happenings, async script => {
      const fleet = new Fleet()
      fleet.join()
      fleet.join()
      for (const happening of script) await fleet.happen(happening)
      await fleet.quiesce()

      // The same records, and one consumer that nothing happens to.
      const undisturbed = new World({ partitions, store: memoryStore() })
      let n = 0
      for (const happening of script)
        if (happening.does === 'send')
          await undisturbed.send(
            ...happening.what.map(
              ([key, kind]) => [`k${key}`, recordValue(kind, n++), { timestamp: 1000 + n }] as const,
            ),
          )
      const { supervisor } = undisturbed.supervise({ sends: true, time: 'source' })
      await supervisor.caughtUp()

      expect(await outcome(fleet.world.store)).toEqual(await outcome(undisturbed.store))
      expect([...(await idsIn(fleet.world, 'd'))].sort()).toEqual([...(await idsIn(undisturbed, 'd'))].sort())
      expect(byRun(await idsIn(fleet.world, 'r'))).toEqual(byRun(await idsIn(undisturbed, 'r')))
      expect(await fleet.world.committed()).toEqual(await undisturbed.committed())
      await Promise.all([fleet.world.end(), undisturbed.end()])
    }),
    { examples: found.map(script => [script]) },
  )
})
