import { expect, test } from 'vitest'
import type { AppendItem, AppendOutcome, Store } from 'xmachines'
import { memoryStore } from 'xmachines/persistence/memory'
import { journalOf, type Writer } from '../../../src/actors/run/journal.ts'
import { settled } from '../supervisor/virtual-environment.ts'

/** A writer of one item, and what it is told. */
function writerOf(run: string, takeItem: () => AppendItem | undefined): Writer & { readonly told: string[] } {
  const told: string[] = []
  return {
    run,
    requested: false,
    told,
    takeItem,
    settled: outcome => void told.push(outcome.status),
    failed: error => void told.push(error.code),
  }
}

test('a run whose item cannot be made fails alone: the others’ are appended, and so is what comes later', async () => {
  const store: Store = {
    ...memoryStore(),
    append: items => Promise.resolve(items.map((): AppendOutcome => ({ status: 'appended', seq: 0, revision: 1 }))),
  }
  const item = (run: string): AppendItem => ({ run, expected: null, units: [] })
  const first = writerOf('first', () => item('first'))
  const broken = writerOf('broken', () => {
    throw new Error('a defect')
  })
  const last = writerOf('last', () => item('last'))
  const journal = journalOf(store)
  for (const writer of [first, broken, last]) journal.request(writer)
  await settled()
  expect([first.told, broken.told, last.told]).toEqual([['appended'], ['STEP_FAILED'], ['appended']])
  journal.request(last)
  await settled()
  expect(last.told).toEqual(['appended', 'appended'])
})
