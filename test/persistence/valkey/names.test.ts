import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { valkeyStore } from '../../../src/persistence/valkey/index.ts'
import {
  freeGroup,
  Keys,
  leaseKey,
  leaseName,
  memberOf,
  ofMember,
  partitionGroup,
} from '../../../src/persistence/valkey/keys.ts'
import { collect, TestRun } from '../../../src/testing/store-conformance/test-run.ts'
import { describeOnValkey } from '../../servers/describe.ts'
import { ValkeyServer } from '../../servers/valkey.ts'

/** Any text, often of what means something to the server or to JSON; half of a surrogate pair is one too. */
const text = fc.oneof(
  fc.string({
    unit: fc.constantFrom('{', '}', '%', ':', '*', '?', '[', '\\', '"', '/', '\n', '\u0000', '\ud800', 'a', 'é'),
    maxLength: 6,
  }),
  fc.string({ unit: 'binary' }),
)
const prefixes = text.filter(prefix => prefix !== '')

/** Every key that a store of a prefix may use for these names. */
function keysOf(prefix: string, run: string, namespace: string, partition: number): Map<string, string> {
  const keys = new Keys(prefix)
  const all = new Map<string, string>()
  for (const name of ['store', 'marks', 'runs', 'namespaces', 'pins', 'leases', 'machines', 'processes'] as const) {
    all.set(keys[name], JSON.stringify([prefix, name]))
  }
  for (const kind of ['run', 'units', 'inbox', 'mail', 'snapshots'] as const) {
    all.set(keys[kind](run), JSON.stringify([prefix, kind, run]))
  }
  for (const kind of ['due', 'busy'] as const) {
    all.set(keys[kind](freeGroup(namespace)), JSON.stringify([prefix, kind, namespace]))
    const group = partitionGroup(leaseName(namespace, partition))
    all.set(keys[kind](group), JSON.stringify([prefix, kind, namespace, partition]))
  }
  return all
}

const bytes = (key: string): string => Buffer.from(key).toString('hex')

/** What the server hashes to find the slot of a key. */
function tagOf(key: string): string {
  const open = key.indexOf('{')
  const close = key.indexOf('}', open + 1)
  return open < 0 || close <= open + 1 ? key : key.slice(open + 1, close)
}

describe('the keys of a store', () => {
  test('differ, in bytes, wherever prefix, kind or names differ', () => {
    const place = fc.tuple(prefixes, text, text, fc.nat(20))
    fc.assert(
      fc.property(place, place, (one, other) => {
        const meanings = new Map<string, string>()
        for (const [key, meaning] of [...keysOf(...one), ...keysOf(...other)]) {
          expect(meanings.get(bytes(key)) ?? meaning).toBe(meaning)
          meanings.set(bytes(key), meaning)
        }
      }),
    )
  })

  test('are in one slot', () => {
    fc.assert(
      fc.property(prefixes, text, text, fc.nat(20), (...place) => {
        expect(new Set([...keysOf(...place).keys()].map(tagOf)).size).toBe(1)
      }),
    )
  })

  test('tell the names that they were made of', () => {
    fc.assert(
      fc.property(text, text, fc.nat(), (run, namespace, partition) => {
        expect(ofMember(memberOf(run, namespace))).toEqual({ run, namespace })
        expect(leaseKey(leaseName(namespace, partition))).toEqual({ namespace, partition })
      }),
    )
  })
})

describeOnValkey('names on a server', () => {
  let server: ValkeyServer
  beforeAll(async () => {
    server = await ValkeyServer.start()
  })
  afterAll(() => server.stop())

  const odd = ['*', '{a}', '}{', '%7b', 'a\u0000b', '\ud800', '\udc00', '\n', '"', '\\', 'ключ 🔑', 'x'.repeat(1 << 20)]

  test('odd prefixes are stores of their own', async () => {
    const stores = odd.map(prefix => valkeyStore({ url: server.url, prefix }))
    const runs: string[] = []
    for (const [input, store] of stores.entries())
      runs.push((await new TestRun('sha1', { key: 'a', input }).create(store)).id)
    for (const [at, store] of stores.entries()) {
      expect(await store.find('tests', 'a')).toBe(runs[at])
      expect((await collect(store.list())).map(({ run }) => run)).toEqual([runs[at]])
      await store.close()
    }
  })

  test('odd namespaces, keys, owners and processes are their own', async () => {
    const store = valkeyStore({ url: server.url, prefix: 'odd' })
    for (const [partition, name] of odd.entries()) {
      const lease = await store.claim({ namespace: name, partition, owner: name, group: name })
      expect(lease).toEqual({ namespace: name, partition, epoch: 1, owner: name, group: name })
      // No run can be named by half of a surrogate pair.
      if (!name.isWellFormed()) continue
      // A process has a short name on every store.
      const process = name.slice(0, 256)
      const run = await new TestRun('sha1', { namespace: name, key: name }).create(store, {
        due: 5,
        beside: { process },
      })
      expect(await store.find(name, name)).toBe(run.id)
      expect(await store.due({ before: 5, limit: 9, namespace: name })).toEqual([
        { run: run.id, namespace: name, due: 0 },
      ])
      await store.renew(process, 3)
      await run.goOn(store, 1, { lease })
      const due = { run: run.id, namespace: name, due: 3, lease: { namespace: name, partition } }
      expect(await store.due({ before: 5, limit: 9, lease })).toEqual([due])
      expect((await collect(store.list({ namespace: name }))).map(head => head.beside.process)).toEqual([process])
    }
    expect(await store.due({ before: 5, limit: 99 })).toEqual([])
    await store.close()
  })
})
