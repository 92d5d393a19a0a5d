import type { Redis } from 'iovalkey'
import type { Store } from '../../../src/actors/contracts/store.ts'
import { XMachinesError } from '../../../src/actors/errors.ts'
import { TestRun, testUnit } from '../../../src/testing/store-conformance/test-run.ts'

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

/** Makes runs in a store: each is later written by the whole load. */
export async function makeRuns(store: Store, count: number): Promise<TestRun[]> {
  return Promise.all(Array.from({ length: count }, () => new TestRun('sha1').create(store)))
}

/**
 * One writer, who appends to a run as a careful caller does: after a conflict it goes on from where the run stands, since
 * that says that nothing was written; only after an unknown outcome it looks whether its unit is there.
 *
 * @param until is asked before each append whether that was all
 */
export async function write(
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

/**
 * Reads the keys of a store without it, and tells what of the acknowledged is not there, or is there twice, and what is not
 * a history: a gap, a unit behind the row.
 */
export async function checkKeys(client: Redis, prefix: string, acknowledged: Acknowledged): Promise<string[]> {
  const faults: string[] = []
  for (const member of await client.zrange(`{${prefix}}:runs`, 0, -1)) {
    const run = member.split('\n')[0]!
    const [seq] = (await client.hget(`{${prefix}}:run:${run}`, 'row'))!.split('\n') as [string]
    const entries = await client.xrange(`{${prefix}}:units:${run}`, '-', '+')
    const places = new Map<string, number>()
    for (const [at, [id, fields]] of entries.entries()) {
      if (id !== `${at + 1}-0`) faults.push(`run ${run}: entry ${id} at place ${at}`)
      const { requestId } = JSON.parse(`{${fields[1]!.split('\n')[2]!.slice(1)}`) as { requestId?: string }
      if (requestId === undefined) continue
      if (places.has(requestId)) faults.push(`run ${run}: ${requestId} is there twice`)
      places.set(requestId, at)
    }
    if (Number(seq) !== entries.length - 1) faults.push(`run ${run}: ${entries.length} units and the row says ${seq}`)
    for (const [request, at] of acknowledged.units.get(run) ?? []) {
      if (places.get(request) !== at) faults.push(`run ${run}: ${request} was ${at}, and is ${places.get(request)}`)
    }
  }
  return faults
}
