import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { kafkaBroker } from 'xmachines/transports/kafka'
import { randomOf } from '../../../src/testing/simulation/random.ts'
import { type KafkaCluster, startKafka } from '../../kafka/launcher/index.ts'
import { describeOnKafka } from '../../kafka/shared.ts'
import { hasPostgres, PostgresServer } from '../../servers/postgres.ts'
import { hasValkey, ValkeyServer } from '../../servers/valkey.ts'
import { examine, wrongCommits } from './checker.ts'
import { fleetFaults, nodeFaults, type Scene } from './faults.ts'
import { Fleet } from './fleet.ts'
import { compacted, eagerCleaner, makeHoles } from './holes.ts'
import { scheduleOf } from './schedule.ts'
import { Traffic } from './traffic.ts'
import { Transactions } from './transactions.ts'

/** XM_LONG=1: three brokers, all faults, twenty seeds of two minutes. */
const isLong = process.env.XM_LONG === '1'
const seeds = Number(process.env.XM_KAFKA_SEEDS ?? (isLong ? 20 : 1))
const seconds = Number(process.env.XM_KAFKA_SECONDS ?? (isLong ? 120 : 1))
const nodes = isLong ? 3 : 1
const first = Number(process.env.FC_SEED ?? Date.now() % 2_147_483_647)

const partitions = 12
const keys = 2_000
/** Records a second. */
const rate = isLong ? 500 : 250
const few = {
  kill: fleetFaults.kill,
  zombie: fleetFaults.zombie,
  blackout: fleetFaults.blackout,
  storm: fleetFaults.storm,
}
const faults = isLong ? { ...fleetFaults, ...nodeFaults } : few
/** XM_KAFKA_FAULTS=zombie,cut: these alone, to look for the root of something. */
const names = (process.env.XM_KAFKA_FAULTS?.split(',') ?? Object.keys(faults)) as (keyof typeof nodeFaults)[]

// A process that stands still is told from one that waits by what Linux says of it.
describe.skipIf(process.platform !== 'linux' || !hasPostgres())('a fleet', () => {
  describeOnKafka('on Kafka', () => {
    let postgres: PostgresServer
    let valkey: ValkeyServer | undefined
    let kafka: KafkaCluster
    beforeAll(async () => {
      const servers = [
        PostgresServer.start(),
        hasValkey() ? ValkeyServer.start() : undefined,
        startKafka({ nodes, properties: eagerCleaner }),
      ] as const
      ;[postgres, valkey, kafka] = await Promise.all(servers)
    }, 180_000)
    afterAll(async () => {
      await Promise.all([postgres?.stop(), valkey?.stop(), kafka?.stop()])
    })

    test.each(Array.from({ length: seeds }, (_, index) => first + index))(
      'loses nothing, does nothing twice, keeps the order: seed %i',
      async seed => {
        const kind = seed % 2 === 0 && valkey !== undefined ? 'valkey' : 'postgres'
        const url = kind === 'valkey' ? valkey!.url : postgres.url()
        const name = `orders_${seed}_${randomBytes(3).toString('hex')}`
        const task = {
          store: { kind, url, place: name },
          topic: name,
          results: `${name}.results`,
          deadLetters: `${name}.dead`,
          group: name,
          sessionTimeout: 6_000,
        } as const
        await kafka.createTopic(task.topic, { partitions, config: compacted })
        for (const topic of [task.results, task.deadLetters]) await kafka.createTopic(topic, { partitions })
        const { brokers } = kafka
        const broker = kafkaBroker({ brokers, deliveryTimeout: 120_000 })
        const producer = broker.producer({ topic: task.topic })
        const traffic = new Traffic(producer, keys, rate, randomOf(seed, 101))
        const transactions = new Transactions(brokers, task.topic, randomOf(seed, 102))
        const fleet = new Fleet(task, brokers, partitions)
        const scene: Scene = {
          fleet,
          brokers,
          nodes: kafka.nodes,
          wrongAtRest: () => wrongCommits(brokers, task, [...traffic.acknowledged]),
        }
        const began = performance.now()
        const happened: Record<string, number> = {}
        let holes = 0
        try {
          holes = await makeHoles(brokers, producer)
          for (let worker = 0; worker < 3; worker++) await fleet.start()
          traffic.start()
          transactions.start()
          for (const round of scheduleOf(seed, names)) {
            for (const { name: fault, random } of round) {
              await fleet.settled()
              await fleet.progressed(50)
              await (faults as typeof fleetFaults & typeof nodeFaults)[fault](scene, random)
              happened[fault] = (happened[fault] ?? 0) + 1
            }
            if (performance.now() - began > seconds * 1_000) break
          }
          await transactions.stop()
          await traffic.stop(partitions)
          await fleet.finish()
        } catch (error) {
          throw new Error(`FC_SEED=${seed} ${JSON.stringify(happened)}: ${(error as Error).message}\n${fleet.told()}`, {
            cause: error,
          })
        } finally {
          fleet.killAll()
          await transactions.stop()
          await broker.close()
        }
        const findings = await examine(brokers, task, traffic.acknowledged, transactions)
        const { duplicates, deadLettered } = fleet.counts
        console.log(
          [
            `FC_SEED=${seed} ${kind}, ${nodes} nodes, ${Math.round((performance.now() - began) / 1_000)} s: ${findings.records} records`,
            `(${transactions.committed.length} committed, ${transactions.aborted.length} aborted, ${transactions.unknown.length} unknown; ${holes} holes)`,
            `${findings.applied} applied, ${findings.results} results, ${findings.deadLetters} dead letters (${deadLettered} sent)`,
            `faults ${JSON.stringify(happened)}, ${duplicates} redelivered, ${fleet.count('fenced')} fenced, ${fleet.count('lost')} lost leases`,
            findings.summary,
          ].join('; '),
        )
        expect(findings.wrong).toEqual([])
        expect(Object.keys(happened).sort()).toEqual([...names].sort())
        expect(transactions.committed.length * transactions.aborted.length).toBeGreaterThan(0)
      },
      seconds * 1_000 + 600_000,
    )
  })
})
