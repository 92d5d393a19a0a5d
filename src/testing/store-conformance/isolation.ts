import type { Mail } from '../../actors/contracts/store.ts'
import { check, equal } from '../check.ts'
import { on, type StoreCheck } from './place.ts'
import { collect, deepFreeze, showsHistory, TestRun } from './test-run.ts'

/** Whatever `change` does to a frozen object, it must not matter. */
function attempt(change: () => void): void {
  try {
    change()
  } catch {
    // frozen: the attempt throws, as it should
  }
}

function frozen(object: object | null | undefined, what: string): void {
  check(object !== undefined && object !== null && Object.isFrozen(object), `${what} is frozen`)
}

type Mutable = Record<string, unknown> & unknown[]

/** Objects given out are frozen, and no way into the store. */
export const isolationChecks: readonly StoreCheck[] = [
  on('isolation: units are frozen, and changing one changes no other read', async store => {
    const run = await new TestRun('sha1').create(store, {}, 3)
    for (const unit of await collect(store.read(run.id))) {
      frozen(unit, 'a unit')
      attempt(() => (unit as unknown as Mutable).push('x'))
      attempt(() => Object.assign(unit, { seq: 99 }))
      attempt(() => (unit.events as unknown as Mutable).push('x'))
      attempt(() => Object.assign(unit.events[0] ?? {}, { type: 'CHANGED' }))
      attempt(() => Object.assign(unit.origin, { kind: 'stop' }))
      attempt(() => (unit.outputs as unknown as Mutable).push('x'))
      attempt(() => Object.assign(unit.outputs[0] ?? {}, { type: 'CHANGED' }))
      attempt(() => Object.assign(unit.creation ?? {}, { time: 'source' }))
    }
    await showsHistory(store, run)
  }),

  on('isolation: heads are frozen, with all that is kept beside, and changing one changes no other', async store => {
    const lease = await store.claim({ namespace: 'tests', partition: 1, owner: 'p', group: 'g' })
    const refusal = deepFreeze({
      id: 's',
      position: 1,
      at: 1,
      error: { code: 'X', message: 'x' },
      record: { topic: 't', partition: 0, offset: '1', timestamp: 1, key: null, value: null, headers: [] },
    })
    const run = await new TestRun('sha1').create(store, {
      lease,
      value: deepFreeze({ lamp: 'red' }),
      beside: {
        outbox: [0],
        published: { seq: -1, index: 0 },
        refused: [refusal],
        attempts: { a: 1 },
        parked: deepFreeze({ at: 1, code: 'X', message: 'x' }),
      },
    })
    const mail: Mail = deepFreeze({ receiver: run.id, sender: run.id, seq: 0, index: 0, event: { type: 'E' } })
    await store.deliver([mail])
    // Of one about which nothing was said, and of one without mail: what these share with others, a store may have once.
    const bare = await new TestRun('sha1').create(store)
    const fork = await new TestRun('sha1', { fork: { of: bare, at: 0 } }).create(store, { beside: { held: true } })
    const runs = [run, bare, fork]
    const before = []
    for (const { id } of runs) before.push(structuredClone(await store.head(id)))
    const heads = await collect(store.list())
    for (const { id } of runs) heads.push((await store.head(id))!)
    for (const head of heads) {
      const { beside } = head
      frozen(head, 'a head')
      frozen(beside, 'what is kept beside')
      if (head.run === run.id) {
        frozen(beside.inbox[0], 'a mail')
        frozen(beside.refusals[0], 'a refusal')
      }
      if (head.run === fork.id) frozen(head.fork, 'the creation of a fork')
      for (const [name, part] of Object.entries(beside)) {
        if (typeof part === 'object' && part !== null) frozen(part, `\`${name}\` of what is kept beside`)
      }
      attempt(() => Object.assign(head, { seq: 99, due: 1 }))
      attempt(() => Object.assign(head.value ?? {}, { lamp: 'green' }))
      attempt(() => Object.assign(beside, { held: true }))
      attempt(() => Object.assign(beside.sources, { s: 99, t: 1 }))
      attempt(() => Object.assign(beside.attempts, { a: 99 }))
      attempt(() => Object.assign(beside.owners, { a: 'q' }))
      attempt(() => (beside.outbox as unknown as Mutable).push(99))
      attempt(() => (beside.mailing as unknown as Mutable).push(99))
      attempt(() => (beside.inbox as unknown as Mutable).pop())
      attempt(() => (beside.refusals as unknown as Mutable).pop())
      attempt(() => Object.assign(head.lease ?? {}, { partition: 99 }))
    }
    for (const [at, { id }] of runs.entries()) equal(await store.head(id), before[at], 'the head')
  }),

  on('isolation: rows, records, snapshots and due entries are frozen', async store => {
    const row = await store.claim({ namespace: 'tests', partition: 1, owner: 'p', group: 'g' })
    const run = await new TestRun('sha1').create(store, { due: 1 })
    const saved = deepFreeze({ seq: 0, machine: run.machine.oid, format: 1, state: { deep: { n: 1 } } })
    await store.saveSnapshot(run.id, saved)
    frozen(row, 'a row that was claimed')
    frozen(await store.lease(row), 'a row')
    frozen(await store.machine(run.machine.oid), 'a machine')
    frozen(await store.livesUntil(['p']), 'until when processes live')
    for (const due of await store.due({ before: 1, limit: 1 })) frozen(due, 'a due entry')
    const snapshot = await store.loadSnapshot(run.id)
    if (snapshot !== undefined) {
      frozen(snapshot, 'a snapshot')
      attempt(() => Object.assign((snapshot.state as typeof saved.state).deep, { n: 2 }))
      equal((await store.loadSnapshot(run.id))?.state ?? saved.state, saved.state, 'the state of the next one')
    }
    const definition = (await store.machine(run.machine.oid))!.definition
    attempt(() => Object.assign(definition, { id: 'changed' }))
    equal(await store.machine(run.machine.oid), run.machine, 'the machine')
    const later = await store.claim({ namespace: 'tests', partition: 1, owner: 'q', group: 'g' })
    equal([row.epoch, row.owner, later.epoch], [1, 'p', 2], 'the row that was read before, and the next')
  }),
]
