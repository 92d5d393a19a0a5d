import { batchesOf, batchStream } from '../../src/actors/batch-stream.ts'
import type { AppendItem, BesideChange, RunHead, Store } from '../../src/actors/contracts/store.ts'
import type { Unit } from '../../src/actors/contracts/unit.ts'
import { memoryStore } from '../../src/persistence/memory.ts'
import { override, refuseOtherHash } from './store-door.ts'

/** A store that breaks one rule, and the subject whose checks must notice. */
export interface BrokenStore {
  readonly subject: string
  /** @param kept that of the place, where several are open, or one after another @param times how often it was opened before */
  open(options?: Parameters<typeof memoryStore>[0], kept?: Store, times?: number): Store
  readonly durable?: true
  /** What is written outlives its close; what breaks, does so on its own. */
  readonly kept?: true
  readonly shared?: true
}

/** A store whose items are changed on their way in. */
export function items(
  change: (item: AppendItem, store: Store) => AppendItem | Promise<AppendItem>,
): BrokenStore['open'] {
  return options => {
    const store = memoryStore(options)
    return override(store, {
      append: async (list, abort) => store.append(await Promise.all(list.map(item => change(item, store))), abort),
    })
  }
}

export function without<T extends object>(object: T, name: keyof T): T {
  const { [name]: _, ...rest } = object
  return rest as T
}

/** A store that loses one part of what an item changes beside the history. */
const losing = (name: keyof BesideChange): BrokenStore => ({
  subject: 'beside',
  open: items(item => (item.beside === undefined ? item : { ...item, beside: without(item.beside, name) })),
})

/** A store with one operation of its own. */
export function own(make: (store: Store, times: number) => Partial<Store>): BrokenStore['open'] {
  return (options, store = memoryStore(options), times = 0) => {
    refuseOtherHash(store, options)
    return override(store, make(store, times))
  }
}

export function mapped<T>(stream: ReadableStream<T>, change: (batch: readonly T[]) => readonly T[]): ReadableStream<T> {
  async function* batches(): AsyncGenerator<readonly T[]> {
    for await (const batch of batchesOf(stream)) yield change(batch)
  }
  return batchStream(batches())
}

/** A store whose reader is handed other units, or other heads. */
const reading = (change: (batch: readonly Unit[]) => readonly Unit[]): BrokenStore['open'] =>
  own(store => ({ read: (run, options) => mapped(store.read(run, options), change) }))

export const head = (change: (head: RunHead) => RunHead): BrokenStore['open'] =>
  own(store => ({
    head: async (run, options) => {
      const found = await store.head(run, options)
      return found && change(found)
    },
  }))

const copied = (unit: Unit, more: Partial<Unit> = {}): Unit => ({ ...unit, id: unit.id, ...more })

/** Each breaks one rule. */
export const brokenStores: Readonly<Record<string, BrokenStore>> = {
  'ignores the epoch': {
    subject: 'lease',
    open: items(async (item, store) => {
      const row = item.lease && (await store.lease(item.lease))
      return row === undefined ? item : { ...item, lease: row }
    }),
  },
  'forgets the lease': { subject: 'lease', open: items(item => without(item, 'lease')) },
  'pins nothing': {
    subject: 'creation',
    open: own(() => ({ find: async () => undefined })),
  },
  'answers conflict for everything': {
    subject: 'append',
    open: own(store => ({
      append: async (list, options) => {
        await store.append(list, options)
        return list.map(() => ({ status: 'conflict', seq: 0, revision: 1 }) as const)
      },
    })),
  },
  'ignores what is expected': {
    subject: 'append',
    open: items(async (item, store) => {
      const found = item.expected && (await store.head(item.run))
      if (!found) return item
      const units = item.units.map((unit, index) => ({ ...unit, seq: found.seq + 1 + index }))
      return { ...item, expected: { seq: found.seq, revision: found.revision }, units }
    }),
  },
  'ignores the revision': {
    subject: 'append',
    open: items(async (item, store) => {
      const found = item.expected && (await store.head(item.run))
      return found ? { ...item, expected: { seq: item.expected!.seq, revision: found.revision } } : item
    }),
  },
  'refuses a call for one of its items': {
    subject: 'append',
    open: own(store => ({
      append: async (list, options) => {
        const [first] = await store.append(list.slice(0, 1), options)
        if (first === undefined || first.status !== 'appended') return list.map(() => first!)
        return [first, ...(await store.append(list.slice(1), options))]
      },
    })),
  },
  'takes what has gaps': {
    subject: 'append',
    open: own(store => ({ append: (list, options) => store.append(list, options).catch(() => []) })),
  },
  'loses positions of units': {
    subject: 'beside',
    open: items(item => ({ ...item, units: item.units.map(unit => without(unit, 'sources')) })),
  },
  'loses positions of items': losing('sources'),
  'loses the outbox': losing('outbox'),
  'loses the published mark': losing('published'),
  'loses refusals': losing('refused'),
  'loses acknowledgements': losing('acknowledged'),
  'loses attempts': losing('attempts'),
  'loses parking': losing('parked'),
  'loses holding': losing('held'),
  'loses processes': losing('process'),
  'never takes mail out': {
    subject: 'mail',
    open: items(item => (item.beside === undefined ? item : { ...item, beside: without(item.beside, 'taken') })),
  },
  'loses the status': { subject: 'append', open: items(item => without(item, 'status')) },
  'loses the value': { subject: 'append', open: items(item => without(item, 'value')) },
  'loses when runs are due': { subject: 'due', open: items(item => without(item, 'due')) },
  'raises no revision for mail': {
    subject: 'mail',
    open: head(found => ({ ...found, revision: found.revision - found.beside.inbox.length })),
  },
  'takes all mail': {
    subject: 'mail',
    open: own(store => ({
      deliver: async (mail, options) => {
        await store.deliver(mail, options)
        return mail.map(() => 'taken')
      },
    })),
  },
  'takes mail of one index for that of another': {
    subject: 'mail',
    open: own(store => ({
      deliver: (mail, options) =>
        store.deliver(
          mail.map(entry => ({ ...entry, index: 0 })),
          options,
        ),
    })),
  },
  'believes what it remembers of a run while it holds the lease': {
    subject: 'sharing',
    shared: true,
    open: own(store => {
      const remembered = new Map<string, number>()
      return {
        append: async (list, options) => {
          const outcomes = await store.append(list, options)
          return list.map(({ run, lease, expected, units }, n) => {
            const outcome = outcomes[n]!
            const before = remembered.get(run) ?? expected?.revision
            // Another one was first: what is said to be written is lost.
            const isLost = outcome.status === 'conflict' && lease !== undefined && before === expected?.revision
            if (outcome.status !== 'appended' && !isLost) return outcome
            const revision = (expected?.revision ?? 0) + 1
            remembered.set(run, revision)
            return { status: 'appended', seq: (expected?.seq ?? -1) + units.length, revision } as const
          })
        },
      }
    }),
  },
  'gives a claim the epoch before': {
    subject: 'lease',
    open: own(store => ({
      claim: async (key, options) => {
        const row = await store.claim(key, options)
        return { ...row, epoch: Math.max(1, row.epoch - 1) }
      },
    })),
  },
  'releases whatever the epoch': {
    subject: 'lease',
    open: own(store => ({
      release: async (key, options) => store.release((await store.lease(key)) ?? key, options),
    })),
  },
  'reads from the start always': {
    subject: 'read',
    open: own(store => ({ read: (run, options) => store.read(run, { ...options, from: 0 }) })),
  },
  'reads one too few': {
    subject: 'read',
    open: own(store => ({
      read: (run, options) => store.read(run, options?.to === undefined ? options : { ...options, to: options.to - 1 }),
    })),
  },
  'reads an unknown run as an empty one': {
    subject: 'read',
    open: own(store => ({
      read(run, options) {
        async function* batches(): AsyncGenerator<readonly Unit[]> {
          if ((await store.head(run)) !== undefined) yield* batchesOf(store.read(run, options))
        }
        return batchStream(batches())
      },
    })),
  },
  'names units by their seq': {
    subject: 'read',
    open: reading(batch => batch.map(unit => copied(unit, { id: `${unit.seq}` }))),
  },
  'tells no epochs': { subject: 'lease', open: reading(batch => batch.map(unit => without(copied(unit), 'epoch'))) },
  'tells no outputs': { subject: 'append', open: reading(batch => batch.map(unit => copied(unit, { outputs: [] }))) },
  'loses a unit between batches': { subject: 'read', open: reading(batch => batch.slice(0, 255)) },
  'sorts the keys of events': {
    subject: 'content',
    open: reading(batch =>
      batch.map(unit =>
        copied(unit, {
          events: unit.events.map(event => ({ ...Object.fromEntries(Object.entries(event).sort()), type: event.type })),
        }),
      ),
    ),
  },
  'hands out units that can be changed': {
    subject: 'isolation',
    open: reading(batch => batch.map(unit => copied(unit))),
  },
  'hands out heads that can be changed': { subject: 'isolation', open: head(found => structuredClone(found)) },
  'reads all at once': {
    subject: 'read',
    open: own(store => ({
      read(run, options) {
        async function* batches(): AsyncGenerator<readonly Unit[]> {
          const all: Unit[] = []
          for await (const unit of store.read(run, options)) all.push(unit)
          yield all
        }
        return batchStream(batches())
      },
    })),
  },
  'gives a fork the units as its own': {
    subject: 'fork',
    open: own(store => ({
      read: (run, options) =>
        mapped(store.read(run, options), batch => batch.map(unit => Object.freeze(copied(unit, { run })))),
    })),
  },
  'hides that a run is a fork': { subject: 'fork', open: head(found => without(found, 'fork')) },
  'keeps no machines': { subject: 'creation', open: own(() => ({ machine: async () => undefined })) },
  'lists in any order': {
    subject: 'list',
    open: own(store => ({ list: options => mapped(store.list(options), batch => [...batch].reverse()) })),
  },
  ...Object.fromEntries(
    (['prefix', 'after', 'namespace'] as const).map(name => [
      `lists whatever the ${name}`,
      {
        subject: 'list',
        open: own(store => ({ list: options => store.list(options && without(options, name)) })),
      } satisfies BrokenStore,
    ]),
  ),
  'loads the newest snapshot always': {
    subject: 'snapshot',
    open: own(store => ({ loadSnapshot: run => store.loadSnapshot(run) })),
  },
  'keeps no snapshots, and does not say so': {
    subject: 'snapshot',
    open: own(() => ({ saveSnapshot: async () => {} })),
  },
  'tells due runs in any order': {
    subject: 'due',
    open: own(store => ({ due: async (query, options) => [...(await store.due(query, options))].reverse() })),
  },
  'tells all due runs': {
    subject: 'due',
    open: own(store => ({ due: (query, options) => store.due({ ...query, limit: 1e6 }, options) })),
  },
  'tells due runs too late': {
    subject: 'due',
    open: own(store => ({ due: (query, options) => store.due({ ...query, before: query.before - 1 }, options) })),
  },
  'tells the due runs of nobody only': {
    subject: 'due',
    open: own(store => ({ due: (query, options) => store.due(without(query, 'lease'), options) })),
  },
  'renews nothing': { subject: 'due', open: own(() => ({ renew: async () => {} })) },
  'takes every process for a living one': {
    subject: 'due',
    open: own(() => ({ livesUntil: async processes => Object.freeze(processes.map(() => 1e15)) })),
  },
  'ignores signals': {
    subject: 'abort',
    open: own(store => ({
      append: list => store.append(list),
      head: run => store.head(run),
    })),
  },
  'aborts a read quietly': {
    subject: 'abort',
    open: own(store => ({
      read(run, options) {
        async function* batches(): AsyncGenerator<readonly Unit[]> {
          for await (const batch of batchesOf(store.read(run, options && without(options, 'signal')))) {
            if (options?.signal?.aborted) return
            yield batch
          }
        }
        return batchStream(batches())
      },
    })),
  },
  'answers after its end': { subject: 'states', open: own(() => ({ close: async () => {} })) },
  'forgets everything at its end': { subject: 'reopen', open: memoryStore, durable: true },
  'has one hash only': { subject: 'content', open: () => memoryStore() },
}
