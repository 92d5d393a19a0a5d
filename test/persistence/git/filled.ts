import type { Store } from '../../../src/actors/contracts/store.ts'
import { memoryStore } from '../../../src/persistence/memory.ts'
import { TestRun, testMachine, testUnit } from '../../../src/testing/store-conformance/test-run.ts'

/** A store with something of everything. */
export async function filled(format: 'sha1' | 'sha256' = 'sha1'): Promise<{ store: Store; runs: TestRun[] }> {
  const store = memoryStore({ objectFormat: format })
  const runs: TestRun[] = []
  for (let index = 0; index < 12; index++) {
    const time = index % 2 ? 'source' : 'arrival'
    runs.push(await new TestRun(format, { key: `ключ ${index}`, time }).create(store, { value: { index } }, index))
  }
  runs.push(await new TestRun(format, { fork: { of: runs[6]!, at: 4 } }).create(store, { beside: { held: true } }, 3))
  runs.push(await new TestRun(format, { fork: { of: runs[12]!, at: 6 } }).create(store))
  const migrated = testMachine(format, '2')
  const { seq } = runs[5]!
  const unit = {
    ...testUnit(seq + 1),
    events: [],
    origin: { kind: 'migration', from: runs[5]!.machine.oid } as const,
    machine: migrated.oid,
  }
  await runs[5]!.goOn(store, [unit], {
    machine: migrated,
    beside: {
      sources: [{ id: '__proto__', position: 2n ** 70n }],
      attempts: { a: 1, constructor: 2 },
      owners: { a: 'p', constructor: 'q' },
    },
  })
  await runs[5]!.goOn(store)
  return { store, runs }
}
