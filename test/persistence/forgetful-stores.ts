import type {
  AppendItem,
  Claim,
  LeaseKey,
  Mail,
  RunHead,
  Store,
  StoredSnapshot,
} from '../../src/actors/contracts/store.ts'
import { memoryStore } from '../../src/persistence/memory.ts'
import { type BrokenStore, items, mapped, own, without } from './broken-stores.ts'

/*
 * Stores that are right as long as one looks at one run, through one door, before the first close.
 */

/** A store whose fence has a hole for some items. */
const unfenced = (fits: (item: AppendItem) => boolean): BrokenStore => ({
  subject: 'lease',
  open: items(async (item, store) => {
    const row = item.lease && fits(item) ? await store.lease(item.lease) : undefined
    return row === undefined ? item : { ...item, lease: row }
  }),
})

/** A store whose heads are other ones once it was closed. */
const reopened = (change: (head: RunHead) => RunHead): BrokenStore => ({
  subject: 'reopen',
  kept: true,
  open: own((store, times) => ({
    head: async (run, options) => {
      const found = await store.head(run, options)
      return times > 0 && found ? change(found) : found
    },
  })),
})

/** A store that lists other heads than it gives. */
const listing = (change: (head: RunHead) => RunHead): BrokenStore => ({
  subject: 'list',
  open: own(store => ({ list: options => mapped(store.list(options), batch => batch.map(change)) })),
})

/** A store that remembers what it answered until it writes itself. */
const remembering = (name: 'find' | 'head' | 'lease' | 'machine' | 'livesUntil'): BrokenStore => ({
  subject: 'sharing',
  shared: true,
  open: own(store => {
    const answers = new Map<string, unknown>()
    const forgetting =
      (write: (...args: never[]) => Promise<unknown>) =>
      (...args: never[]) => {
        answers.clear()
        return write.apply(store, args)
      }
    const ask = store[name].bind(store) as (...args: unknown[]) => Promise<unknown>
    return {
      append: forgetting(store.append),
      deliver: forgetting(store.deliver),
      claim: forgetting(store.claim),
      release: forgetting(store.release),
      renew: forgetting(store.renew),
      [name]: async (...args: unknown[]) => {
        const question = JSON.stringify(args)
        if (!answers.has(question)) answers.set(question, await ask(...args))
        return answers.get(question)
      },
    } as Partial<Store>
  }),
})

/** What takes a moment, and is done one after the other: at each door for itself. */
function inTurn<T, A extends unknown[]>(work: (...args: A) => Promise<T>): (...args: A) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve()
  return (...args) => {
    const done = last.then(() => work(...args))
    last = done.catch(() => {})
    return done
  }
}

const nameOf = ({ receiver, sender, seq, index }: Mail): string => `${receiver}/${sender}/${seq}/${index}`

export const forgetfulStores: Readonly<Record<string, BrokenStore>> = {
  'fences no item of several units': unfenced(item => item.units.length > 1),
  'fences no end': unfenced(item => item.status !== undefined && item.status !== 'active'),
  'fences no refusal': unfenced(item => item.beside?.refused !== undefined),
  'fences no creation': unfenced(item => item.expected === null),
  'tells of every run whose process is gone, whatever its namespace': {
    subject: 'due',
    open: own(store => ({
      due: async ({ namespace, ...query }, options) => {
        const all = await store.due({ ...query, limit: 1e6 }, options)
        const heads = await Promise.all(all.map(({ run }) => store.head(run)))
        const fits = all.filter(
          (entry, at) => entry.namespace === (namespace ?? entry.namespace) || heads[at]!.due !== entry.due,
        )
        return Object.freeze(fits.slice(0, query.limit))
      },
    })),
  },
  'remembers one run of a process': {
    subject: 'due',
    open: own(store => ({
      due: async (query, options) => {
        const all = await store.due(query, options)
        const heads = await Promise.all(all.map(({ run }) => store.head(run)))
        const names = heads.map((head, at) => (head!.due === all[at]!.due ? all[at]!.run : head!.beside.process))
        return Object.freeze(all.filter((_, at) => names.indexOf(names[at]!) === at))
      },
    })),
  },
  'frees the key of a run that ended': {
    subject: 'creation',
    open: own(store => ({
      find: async (namespace, key) => {
        const run = await store.find(namespace, key)
        return run && (await store.head(run))?.status === 'active' ? run : undefined
      },
    })),
  },
  'ends a range one too early, beyond its first page': {
    subject: 'read',
    open: own(store => ({
      read: (run, options) =>
        store.read(run, { ...options, ...((options?.to ?? 0) > 256 && { to: options!.to! - 1 }) }),
    })),
  },
  'keeps snapshots by their seq': {
    subject: 'snapshot',
    open: own(store => {
      const kept = new Map<number, StoredSnapshot>()
      return {
        saveSnapshot: async (run, snapshot) => {
          if (((await store.head(run))?.seq ?? -1) >= snapshot.seq) kept.set(snapshot.seq, snapshot)
        },
        loadSnapshot: async (_, { atMost = Number.POSITIVE_INFINITY } = {}) =>
          [...kept.values()].filter(({ seq }) => seq <= atMost).sort((a, b) => b.seq - a.seq)[0],
      }
    }),
  },
  'gives a fork the snapshots of what it does not share': {
    subject: 'snapshot',
    open: own(store => ({
      loadSnapshot: async (run, options) => {
        const origin = (await store.head(run))?.fork?.creation?.fork?.run
        const own = await store.loadSnapshot(run, options)
        return own || origin === undefined ? own : store.loadSnapshot(origin, options)
      },
    })),
  },
  'hands out the state of a snapshot, and not a copy': {
    subject: 'isolation',
    open: own(store => ({
      saveSnapshot: (run, snapshot, options) => store.saveSnapshot(run, structuredClone(snapshot), options),
    })),
  },
  'hands out its values, and not copies': {
    subject: 'isolation',
    open: items(item => (item.value === undefined ? item : { ...item, value: structuredClone(item.value) })),
  },
  'hands out its definitions, and not copies': {
    subject: 'isolation',
    open: items(item => (item.machine === undefined ? item : { ...item, machine: structuredClone(item.machine) })),
  },
  'forgets mail that was taken long ago': {
    subject: 'mail',
    open: own(store => {
      const taken: string[] = []
      return {
        deliver: async (mail, options) => {
          const answers = await store.deliver(mail, options)
          return mail.map((entry, at) => {
            const before = taken.lastIndexOf(nameOf(entry))
            taken.push(nameOf(entry))
            return before >= 0 && taken.length - before > 500 ? 'taken' : answers[at]!
          })
        },
      }
    }),
  },
  'loses the traces of mail': {
    subject: 'mail',
    open: own(store => ({
      deliver: (mail, options) =>
        store.deliver(
          mail.map(entry => without(entry, 'trace')),
          options,
        ),
    })),
  },
  'lists runs without their partitions': listing(head => Object.freeze(without(head, 'lease'))),
  'lists forks as other runs': listing(head => Object.freeze(without(head, 'fork'))),
  'lists runs as if none were parked': listing(head => ({ ...head, beside: { ...head.beside, parked: null } })),
  'lists runs without their positions': listing(head => ({ ...head, beside: { ...head.beside, sources: {} } })),
  'forgets that a run ended': reopened(head => ({ ...head, status: 'active' })),
  'forgets what mail is to be delivered': reopened(head => ({ ...head, beside: { ...head.beside, mailing: [] } })),
  'forgets whose child a run is': reopened(head => ({ ...head, beside: { ...head.beside, parent: null } })),
  'forgets migrations': reopened(head => ({ ...head, version: '1' })),
  'forgets who has effects in flight': {
    subject: 'reopen',
    kept: true,
    open: own((store, times) => ({
      due: async (query, options) => {
        const all = await store.due(query, options)
        const heads = await Promise.all(all.map(({ run }) => store.head(run)))
        return all.filter(({ due }, at) => times === 0 || heads[at]?.due === due)
      },
    })),
  },
  'has the hash that it was made with, whatever it is asked for': {
    subject: 'reopen',
    kept: true,
    open: (_, kept) => kept!,
  },
  ...Object.fromEntries(
    (['find', 'head', 'lease', 'machine', 'livesUntil'] as const).map(name => [
      `remembers what ${name} answered, whoever wrote meanwhile`,
      remembering(name),
    ]),
  ),
  'claims in two steps': {
    subject: 'sharing',
    shared: true,
    open: own(store => ({
      claim: inTurn(async (claim: Claim) => {
        const before = await store.lease(claim as LeaseKey)
        return Object.freeze({ ...(await store.claim(claim)), epoch: (before?.epoch ?? 0) + 1 })
      }),
    })),
  },
  'looks for mail, and then puts it in': {
    subject: 'sharing',
    shared: true,
    open: (options, store = memoryStore(options)) => {
      const deliver = inTurn(async (mail: readonly Mail[]) => {
        const heads = await Promise.all(mail.map(({ receiver }) => store.head(receiver)))
        const answers = await store.deliver(mail)
        return mail.map((entry, at) =>
          heads[at]?.beside.inbox.some(other => nameOf(other) === nameOf(entry)) ? 'duplicate' : answers[at]!,
        )
      })
      return own(() => ({
        deliver: async mail => {
          const isThere = (await store.head(mail[0]?.receiver ?? ''))?.beside.waiting !== 0
          const answers = await deliver(mail)
          return isThere ? answers : answers.map(() => 'taken' as const)
        },
      }))(options, store)
    },
  },
}
