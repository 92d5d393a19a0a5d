import { verifyRun } from 'xmachines'
import { collect } from '../../../src/testing/store-conformance/test-run.ts'
import { openAt } from '../../processes/opened.ts'
import { committedBy } from './cluster-facts.ts'
import { Findings } from './findings.ts'
import { orderMachine } from './order.ts'
import type { FleetTask } from './orders.ts'
import { type ReadRecord, readTopic } from './topic-reader.ts'
import type { Acknowledged } from './traffic.ts'
import type { Transactions } from './transactions.ts'

/** Everybody is dead: what is committed must be durable. Read from the cluster and the store, without the fleet. */
export async function wrongCommits(
  brokers: readonly string[],
  { store: place, topic, group }: FleetTask,
  acknowledged: readonly Acknowledged[],
): Promise<readonly string[]> {
  const committed = await committedBy(brokers, group, topic)
  const store = openAt(place)
  try {
    const heads = new Map((await collect(store.list({ namespace: topic }))).map(head => [head.key, head]))
    return acknowledged.flatMap(({ partition, offset, key, by }) => {
      if (by === null || key === null || offset >= committed.get(partition)!) return []
      const taken = Object.entries(heads.get(key)?.beside.sources ?? {})
      const isDurable = taken.some(
        ([source, position]) => source.endsWith(`/${topic}/${partition}`) && position >= offset,
      )
      return isDurable
        ? []
        : [`${topic}/${partition} is committed to ${committed.get(partition)}, and ${offset} is not durable`]
    })
  } finally {
    await store.close()
  }
}

/** When all is done: holds the topics against the oracle, and the store and what was sent against the topics. */
export async function examine(
  brokers: readonly string[],
  task: FleetTask,
  acknowledged: readonly Acknowledged[],
  { committed, aborted }: Transactions,
): Promise<Findings> {
  const findings = new Findings()
  const [source, results, letters] = await Promise.all(
    [task.topic, task.results, task.deadLetters].map(name => readTopic(brokers, name)),
  )
  const records = [...source!.values()].flat()
  findings.topic(records, acknowledged, committed, aborted)
  const ends = new Map([...source!].map(([partition, read]) => [partition, read.at(-1)!.offset + 1]))
  findings.commits(await committedBy(brokers, task.group, task.topic), ends)
  findings.letters(task.topic, records, [...letters!.values()].flat())
  await examineRuns(task, records, [...results!.values()].flat(), findings)
  return findings
}

async function examineRuns(
  { store: place, topic }: FleetTask,
  records: readonly ReadRecord[],
  results: readonly ReadRecord[],
  findings: Findings,
): Promise<void> {
  const store = openAt(place)
  const machine = orderMachine()
  const expected = findings.eventsByKey(records)
  const sent = findings.resultsByRun(results)
  try {
    const heads = await collect(store.list({ namespace: topic }))
    findings.keys(
      [...expected.keys()],
      heads.map(({ key }) => key!),
    )
    for (const head of heads) {
      const units = await collect(store.read(head.run))
      findings.history(head.key!, expected.get(head.key!) ?? [], units)
      findings.outputs(head.key!, units, sent.get(head.run) ?? [])
      const { error, divergence, units: replayed } = await verifyRun(store, machine, head)
      if (error !== undefined || divergence !== undefined || replayed !== head.seq)
        findings.say(
          'divergent',
          `${head.key} replays to ${replayed} of ${head.seq}: ${JSON.stringify(error ?? divergence)}`,
        )
      if (head.beside.outbox.length + head.beside.refusals.length > 0)
        findings.say('unsettled', `${head.key} has something to send: ${JSON.stringify(head.beside.outbox)}`)
    }
  } finally {
    await store.close()
  }
}
