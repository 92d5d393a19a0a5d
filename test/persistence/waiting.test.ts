import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { MailKey } from '../../src/actors/contracts/store.ts'
import { mailId } from '../../src/persistence/judge.ts'
import { Waiting } from '../../src/persistence/waiting.ts'

type Change = { readonly push: number } | { readonly take: readonly number[] } | { readonly back: number }

const change: fc.Arbitrary<Change> = fc.oneof(
  fc.record({ push: fc.integer({ min: 1, max: 700 }) }),
  // The oldest ones, in order: what a run takes.
  fc.integer({ min: 1, max: 900 }).map(count => ({ take: Array.from({ length: count }, (_, at) => at) })),
  fc.record({ take: fc.uniqueArray(fc.nat(50), { maxLength: 5 }) }),
  // What was changed meanwhile is dropped.
  fc.record({ back: fc.nat(3) }),
)

test('is what a plain list says, in every version of it', () => {
  fc.assert(
    fc.property(fc.array(change, { maxLength: 12 }), changes => {
      let next = 0
      let versions: { readonly waiting: Waiting<MailKey>; readonly list: readonly MailKey[] }[] = [
        { waiting: new Waiting(), list: [] },
      ]
      for (const change of changes) {
        let { waiting, list } = versions.at(-1)!
        if ('push' in change) {
          const more = Array.from({ length: change.push }, () => ({ sender: 's', seq: next++, index: 0 }))
          for (const key of more) waiting = waiting.push(key)
          list = [...list, ...more]
        } else if ('take' in change) {
          const keys = change.take.flatMap(at => list[at] ?? [])
          const gone = new Set(keys.map(mailId))
          waiting = waiting.without(keys)
          list = list.filter(key => !gone.has(mailId(key)))
        } else versions = versions.slice(0, Math.max(1, versions.length - change.back))
        if (!('back' in change)) versions.push({ waiting, list })
      }
      for (const { waiting, list } of versions) {
        expect(waiting.size).toBe(list.length)
        expect(waiting.first(3)).toEqual(list.slice(0, 3))
        expect(waiting.first()).toEqual(list)
      }
    }),
  )
})
