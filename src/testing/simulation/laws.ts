import { batchesOf } from '../../actors/batch-stream.ts'
import type { RunHead, Store } from '../../actors/contracts/store.ts'
import { messageOf } from '../../actors/errors.ts'
import { replay } from '../../actors/replay/replay.ts'
import type { RunSnapshot } from '../../actors/run/types.ts'
import type { Member } from './children.ts'
import { hold, SimulationFailure } from './failure.ts'
import type { Scenario } from './scenario.ts'
import type { Delivery } from './sender.ts'

/**
 * Decides a run's history again, from its beginning: it gives what was recorded, the invariant holds after every unit, and
 * what was answered is there, once.
 *
 * @returns the last state
 */
export async function checkHistory(
  store: Store,
  head: RunHead,
  { key, machine }: Member,
  invariant: Scenario['invariant'],
  seed: number,
): Promise<RunSnapshot> {
  let last: RunSnapshot | undefined
  try {
    for await (const step of replay(machine, store.read(head.run), { verify: true, store })) {
      const { divergence, seq } = step
      if (divergence !== undefined) {
        const { kind, path, expected, actual } = divergence
        throw new SimulationFailure(
          'history',
          `Unit ${seq} of run ${key} is decided otherwise when it is replayed: ${kind} differ at ${path}, recorded ${JSON.stringify(expected)}, now ${JSON.stringify(actual)}.`,
        )
      }
      last = step.snapshot as RunSnapshot
      const snapshot = last
      if (invariant !== undefined)
        await hold('invariant', `The invariant does not hold in run ${key} after unit ${seq}`, () =>
          invariant(snapshot as never, { run: key, seed }),
        )
    }
  } catch (thrown) {
    if (thrown instanceof SimulationFailure) throw thrown
    throw new SimulationFailure('history', `The history of run ${key} cannot be replayed: ${messageOf(thrown)}`, thrown)
  }
  if (last === undefined || last.seq !== head.seq || last.status !== head.status)
    throw new SimulationFailure(
      'history',
      `Run ${key} ends at unit ${last?.seq} (${last?.status}), and its store says ${head.seq} (${head.status}).`,
    )
  return last
}

/** What was answered is in the history, once, and where the answer says. */
export async function checkAnswers(store: Store, head: RunHead, key: string, sent: readonly Delivery[]): Promise<void> {
  const recorded = new Map<string, number>()
  for await (const batch of batchesOf(store.read(head.run, { ids: false }))) {
    for (const { seq, requestId } of batch) {
      if (requestId === undefined) continue
      const before = recorded.get(requestId)
      if (before !== undefined)
        throw new SimulationFailure(
          'acknowledged',
          `Run ${key} took event ${requestId} twice: units ${before} and ${seq}.`,
        )
      recorded.set(requestId, seq)
    }
  }
  for (const { id, run, events, receipt } of sent) {
    // An empty batch is answered, and is no unit.
    if (run !== key || receipt === undefined || (Array.isArray(events) && events.length === 0)) continue
    const seq = recorded.get(id)
    const fits = receipt.ok ? seq === receipt.seq : seq === undefined || seq === receipt.seq
    if (!fits)
      throw new SimulationFailure(
        'acknowledged',
        `Run ${key} answered event ${id} with ${receipt.ok ? `unit ${receipt.seq}` : 'a refusal'}, and its history ${seq === undefined ? 'has nothing of it' : `has it as unit ${seq}`}.`,
      )
  }
}
