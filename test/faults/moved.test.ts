import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { describe, expect, test, vi } from 'vitest'
import { type Store, supervise, type Unit } from 'xmachines'
import { postgresStore } from 'xmachines/persistence/postgres'
import { valkeyStore } from 'xmachines/persistence/valkey'
import { memoryBroker } from 'xmachines/transports/memory'
import { collect } from '../../src/testing/store-conformance/test-run.ts'
import { jsonLines, xmachines } from '../cli/command.ts'
import { endings } from '../endings.ts'
import { nodeScript } from '../node-script.ts'
import { tally } from '../processes/tally.ts'
import { hasPostgres, PostgresServer } from '../servers/postgres.ts'
import { hasValkey, ValkeyServer } from '../servers/valkey.ts'
import { type Acknowledgement, type Ending, partitions, recordOf } from './moving-records.ts'

vi.setConfig({ testTimeout: 120_000 })

const ends = endings()

/** A worker in a process of its own, under load; what it says is gathered. */
function work(url: string, schema: string) {
  const child = spawn(process.execPath, [nodeScript(new URL('./moving-worker.ts', import.meta.url)), url, schema], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  ends.push(() => child.kill('SIGKILL'))
  const acknowledged: Acknowledgement[] = []
  let waiting: (() => void) | undefined
  const ending = new Promise<Ending>((resolve, reject) => {
    createInterface({ input: child.stdout! }).on('line', text => {
      const line = JSON.parse(text) as Acknowledgement | Ending
      if ('sent' in line) resolve(line)
      else acknowledged.push(line)
      waiting?.()
    })
    child.on('close', code => reject(new Error(`The worker ended with ${code}.`)))
  })
  ending.catch(() => {})
  return {
    acknowledged,
    ending,
    /** Resolves when so many appends more were acknowledged. */
    async progress(appends: number): Promise<void> {
      const until = acknowledged.length + appends
      const reached = new Promise<void>(resolve => (waiting = () => acknowledged.length >= until && resolve()))
      await Promise.race([reached, ending])
    },
  }
}

/** Run → its units. */
async function historiesOf(store: Store): Promise<ReadonlyMap<string, readonly Unit[]>> {
  const histories = new Map<string, readonly Unit[]>()
  for await (const { run } of store.list()) histories.set(run, await collect(store.read(run)))
  return histories
}

const numbersOf = (units: readonly Unit[] | undefined) =>
  units?.flatMap(({ events }) => events.map(({ by }) => Number(by)))

describe.skipIf(!hasPostgres() || !hasValkey())('a fleet that is moved while it works', () => {
  test('leaves nothing behind that was acknowledged, is fenced, and goes on in the target', async () => {
    const [postgres, valkey] = await Promise.all([PostgresServer.start(), ValkeyServer.start()])
    ends.push(
      () => postgres.stop(),
      () => valkey.stop(),
    )
    const source = postgresStore({ connectionString: postgres.url(), schema: 'moving' })
    const target = valkeyStore({ url: valkey.url, prefix: 'moving' })
    ends.push(
      () => source.close(),
      () => target.close(),
    )
    const worker = work(postgres.url(), 'moving')
    await worker.progress(100)
    const places = [`${postgres.url()}?schema=moving`, `${valkey.url}?prefix=moving`]
    const moved = await xmachines('copy', ...places, '--follow', '--source', 'fence', '--json')
    expect(moved, moved.stderr).toMatchObject({ code: 0 })
    expect(jsonLines(moved.stdout)).toMatchObject([{ failed: 0 }])

    // The worker learns it, and its partitions are nobody's who would write.
    const { sent, stopped } = await worker.ending
    expect(stopped).toMatchObject({ code: 'SUPERVISOR_STOPPED', cause: 'LEASE_HELD' })
    expect(stopped.message).toContain('xmachines copy')
    for (let partition = 0; partition < partitions; partition++)
      expect((await source.lease({ namespace: 'tallies', partition }))?.owner).toBe('xmachines copy')

    const [from, to] = [await historiesOf(source), await historiesOf(target)]
    const missing: object[] = []
    let [units, epoch] = [0, 0]
    for (const { run, units: told } of worker.acknowledged) {
      for (const { seq, by } of told) {
        units++
        const [want, have] = [from.get(run)?.[seq], to.get(run)?.[seq]]
        if (want?.id !== have?.id || have?.seq !== seq || `${have.events.map(event => event.by)}` !== `${by}`)
          missing.push({ run, seq, by, want: want?.id, have: have?.id })
        epoch = Math.max(epoch, have?.epoch ?? 0)
      }
    }
    expect(missing).toEqual([])
    expect([...to.keys()]).toEqual([...from.keys()])
    expect(units).toBeGreaterThan(100)

    // The same records from their beginning, and some more, to whoever goes on.
    const broker = memoryBroker({ id: 'moving', partitions })
    const numbers = Array.from({ length: sent + 100 }, (_, n) => n)
    await broker.producer({ topic: 'tallies' }).send(numbers.map(recordOf))
    const consumer = broker.consumer({ topic: 'tallies', group: 'g' })
    const supervisor = supervise({ machine: tally, store: target, consumer })
    await supervisor.caughtUp()
    expect(supervisor.status().duplicates).toBeGreaterThan(0)
    await supervisor.close()
    await broker.close()
    for await (const { run, key } of target.list()) {
      const after = await collect(target.read(run))
      expect(numbersOf(after)).toEqual(numbers.filter(n => recordOf(n).key === key))
      const before = to.get(run)?.length ?? 0
      for (const unit of after.slice(before)) expect(unit.epoch).toBeGreaterThan(epoch)
    }
  })
})
