import { abortChecks } from './store-conformance/abort.ts'
import { appendChecks } from './store-conformance/append.ts'
import { attentionChecks } from './store-conformance/attention.ts'
import { besideChecks } from './store-conformance/beside.ts'
import { contentChecks } from './store-conformance/content.ts'
import { creationChecks } from './store-conformance/creation.ts'
import { durabilityChecks } from './store-conformance/durability.ts'
import { forkChecks } from './store-conformance/forks.ts'
import { isolationChecks } from './store-conformance/isolation.ts'
import { leaseChecks } from './store-conformance/leases.ts'
import { listingChecks } from './store-conformance/listing.ts'
import { mailChecks } from './store-conformance/mail.ts'
import { Bench, type ConformanceTest, type StoreCheck, type StoreFactory } from './store-conformance/place.ts'
import { readingChecks } from './store-conformance/reading.ts'
import { sharingChecks } from './store-conformance/sharing.ts'
import { snapshotChecks } from './store-conformance/snapshots.ts'
import { stateChecks } from './store-conformance/states.ts'

export type { ConformanceTest, StoreFactory, StorePlace } from './store-conformance/place.ts'

const checks: readonly StoreCheck[] = [
  ...creationChecks,
  ...appendChecks,
  ...leaseChecks,
  ...besideChecks,
  ...mailChecks,
  ...attentionChecks,
  ...readingChecks,
  ...forkChecks,
  ...listingChecks,
  ...snapshotChecks,
  ...contentChecks,
  ...isolationChecks,
  ...abortChecks,
  ...stateChecks,
  ...durabilityChecks,
  ...sharingChecks,
]

/**
 * What the `Store` contract means, as tests. Every store passes all of them; what a place says that it cannot do
 * (`durable`, `shared`, `snapshots`) is the only way to be spared some.
 *
 * @example
 * storeConformance(async () => ({ open: async options => memoryStore(options), cleanup: async () => {}, durable: false }), test)
 *
 * @param factory makes a new, empty place for each check
 * @param test called once a check with its name and what to run; `test` or `it` of any runner, or a loop of the caller's
 */
export function storeConformance(factory: StoreFactory, test: ConformanceTest): void {
  for (const check of checks) {
    test(check.name, async () => {
      const bench = new Bench(await factory())
      try {
        if (check.needs === undefined || bench.place[check.needs] === true) await check.run(bench)
      } finally {
        await bench.end()
      }
    })
  }
}
