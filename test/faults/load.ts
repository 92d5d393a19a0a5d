import type { Store } from '../../src/actors/contracts/store.ts'
import { XMachinesError } from '../../src/actors/errors.ts'
import { TestRun, testUnit } from '../../src/testing/store-conformance/test-run.ts'
import type { KeptRun } from './kept-runs.ts'

/** What a load acknowledged to its callers. */
export class Acknowledged {
  /** Run → request → seq. */
  readonly units = new Map<string, Map<string, number>>()
  /** Those of which nobody knows: not answered, or answered so. */
  readonly unknown = new Set<string>()
  /** How often an append had an unknown outcome. */
  lost = 0

  take(run: string, request: string, seq: number): void {
    const requests = this.units.get(run) ?? new Map<string, number>()
    this.units.set(run, requests.set(request, seq))
  }

  get count(): number {
    return [...this.units.values()].reduce((sum, { size }) => sum + size, 0)
  }
}

/**
 * Several stores write to shared runs and to runs of their own, while something happens again and again: each time after
 * another so many appends were acknowledged, so that it meets them at work.
 */
export async function underLoad(
  stores: readonly Store[],
  rounds: number,
  happens: (round: number) => Promise<unknown>,
  between = 100,
): Promise<Acknowledged> {
  const acknowledged = new Acknowledged()
  const shared = await makeRuns(stores[0]!, 3)
  const own = await makeRuns(stores[0]!, 3 * stores.length)
  let isOver = false
  const failed: unknown[] = []
  const writers = stores.flatMap((store, at) => {
    const runs = [...shared, ...own.slice(3 * at, 3 * at + 3)]
    return runs.map(({ id }, n) => write(store, id, `${at}/${n}`, acknowledged, () => isOver || failed.length > 0))
  })
  for (const writer of writers) writer.catch(error => failed.push(error))
  for (let round = 0; round < rounds && failed.length === 0; round++) {
    const from = acknowledged.count
    while (acknowledged.count < from + between && failed.length === 0) await new Promise(setImmediate)
    await happens(round)
  }
  isOver = true
  await Promise.all(writers)
  return acknowledged
}

/** Makes runs in a store: each is later written by the whole load. */
async function makeRuns(store: Store, count: number): Promise<TestRun[]> {
  return Promise.all(Array.from({ length: count }, () => new TestRun('sha1').create(store)))
}

/**
 * One writer, who appends to a run as a careful caller does: after a conflict it goes on from where the run stands, since
 * that says that nothing was written; only after an unknown outcome it looks whether its unit is there.
 *
 * @param until is asked before each append whether that was all
 */
async function write(
  store: Store,
  run: string,
  name: string,
  acknowledged: Acknowledged,
  until: () => boolean,
): Promise<void> {
  let stands = (await store.head(run))!
  for (let count = 0; !until(); count++) {
    const request = `${name} ${count}`
    for (let isOpen = true; isOpen; ) {
      const { seq, revision } = stands
      const unit = testUnit(seq + 1, { requestId: request })
      try {
        const [outcome] = await store.append([{ run, expected: { seq, revision }, units: [unit] }])
        if (outcome!.status === 'appended') {
          acknowledged.take(run, request, outcome!.seq)
          stands = { ...stands, seq: outcome!.seq, revision: outcome!.revision }
          isOpen = false
        } else stands = (await store.head(run))!
        continue
      } catch (error) {
        if (!XMachinesError.is(error, 'STORE_OUTCOME_UNKNOWN') && !XMachinesError.is(error, 'STORE_UNAVAILABLE'))
          throw error
        acknowledged.lost++
      }
      stands = (await store.head(run))!
      const found = await seqOf(store, run, request, seq + 1)
      if (found === undefined) continue
      acknowledged.take(run, request, found)
      isOpen = false
    }
  }
}

async function seqOf(store: Store, run: string, request: string, from: number): Promise<number | undefined> {
  for await (const unit of store.read(run, { from, ids: false })) if (unit.requestId === request) return unit.seq
  return undefined
}

/** What is wrong with what a server keeps: something acknowledged is not there, or is there twice, or it is no history. */
export function wrongRuns(kept: readonly KeptRun[], { units }: Acknowledged): string[] {
  const wrong: string[] = []
  for (const { run, seq, seqs, requests } of kept) {
    if (seqs.some((at, place) => at !== place)) wrong.push(`run ${run}: units ${seqs}`)
    if (seq !== seqs.length - 1) wrong.push(`run ${run}: ${seqs.length} units and the row says ${seq}`)
    const places = new Map<string, number>()
    for (const [at, request] of requests.entries()) {
      if (request === undefined) continue
      if (places.has(request)) wrong.push(`run ${run}: ${request} is there twice`)
      places.set(request, at)
    }
    for (const [request, at] of units.get(run) ?? []) {
      if (places.get(request) !== at) wrong.push(`run ${run}: ${request} was ${at}, and is ${places.get(request)}`)
    }
  }
  const runs = new Set(kept.map(({ run }) => run))
  for (const run of units.keys()) if (!runs.has(run)) wrong.push(`run ${run} is not there`)
  return wrong
}
