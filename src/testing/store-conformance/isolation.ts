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
    const before = structuredClone(await store.head(run.id))
    const heads = [await store.head(run.id), ...(await collect(store.list()))]
    for (const head of heads) {
      const { beside } = head!
      frozen(head, 'a head')
      frozen(beside, 'what is kept beside')
      frozen(beside.inbox[0], 'a mail')
      frozen(beside.refusals[0], 'a refusal')
      for (const [name, part] of Object.entries(beside)) {
        if (typeof part === 'object' && part !== null) frozen(part, `\`${name}\` of what is kept beside`)
      }
      attempt(() => Object.assign(head!, { seq: 99, due: 1 }))
      attempt(() => Object.assign(beside, { held: true }))
      attempt(() => Object.assign(beside.sources, { s: 99, t: 1 }))
      attempt(() => Object.assign(beside.attempts, { a: 99 }))
      attempt(() => Object.assign(beside.owners, { a: 'q' }))
      attempt(() => (beside.outbox as unknown as Mutable).push(99))
      attempt(() => (beside.inbox as unknown as Mutable).pop())
      attempt(() => (beside.refusals as unknown as Mutable).pop())
      attempt(() => Object.assign(head!.lease ?? {}, { partition: 99 }))
    }
    equal(await store.head(run.id), before, 'the head')
  }),

  on('isolation: rows, records, snapshots and due entries are frozen', async store => {
    const row = await store.claim({ namespace: 'tests', partition: 1, owner: 'p', group: 'g' })
    const run = await new TestRun('sha1').create(store, { due: 1 })
    await store.saveSnapshot(run.id, deepFreeze({ seq: 0, machine: run.machine.oid, format: 1, state: {} }))
    frozen(row, 'a row that was claimed')
    frozen(await store.lease(row), 'a row')
    frozen(await store.machine(run.machine.oid), 'a machine')
    frozen(await store.livesUntil(['p']), 'until when processes live')
    for (const due of await store.due({ before: 1, limit: 1 })) frozen(due, 'a due entry')
    const snapshot = await store.loadSnapshot(run.id)
    if (snapshot !== undefined) frozen(snapshot, 'a snapshot')
    const later = await store.claim({ namespace: 'tests', partition: 1, owner: 'q', group: 'g' })
    equal([row.epoch, row.owner, later.epoch], [1, 'p', 2], 'the row that was read before, and the next')
  }),
]
