import { setTimeout as sleep } from 'node:timers/promises'
import { Kafka, logLevel } from 'kafkajs'
import type { Random } from '../../../src/testing/simulation/random.ts'
import type { KafkaNode } from '../../kafka/launcher/index.ts'
import { coordinatorOf, leaderOf, whenLedElsewhere } from './cluster-facts.ts'
import { Doom } from './doom.ts'
import type { Fleet } from './fleet.ts'
import type { Link, LinkState } from './link.ts'
import { joinFleet } from './member.ts'
import { places } from './orders.ts'
import { standsStill } from './process-state.ts'

/** What faults happen to. */
export interface Scene {
  readonly fleet: Fleet
  readonly brokers: readonly string[]
  /** Where there is one alone, it is not touched. */
  readonly nodes: readonly KafkaNode[]
  /** Everybody is dead: what is wrong with what they left, in sentences. */
  wrongAtRest(): Promise<readonly string[]>
}

/** Does harm, and resolves when it is over; rejects if it did not happen. */
export type Fault = (scene: Scene, random: Random) => Promise<void>

/** Those of the fleet, and of its ways to the brokers. */
export const fleetFaults = {
  kill,
  zombie,
  blackout,
  storm,
  cut: link('cut'),
  silent: link('silent'),
  slow: link('slow'),
}

/** Those of the brokers themselves: of three, one at a time. */
export const nodeFaults = { leader: killLeader, coordinator: killCoordinator, restart, stall }

async function kill({ fleet }: Scene, random: Random): Promise<void> {
  const victim = random.pick(fleet.running)
  const place = random.pick([undefined, ...places])
  if (place === undefined) victim.signal('SIGKILL')
  else victim.tell({ type: 'arm', place, signal: 'SIGKILL' })
  await fleet.until(`${victim.name} is killed at ${place}`, () => !victim.isRunning)
  demand((await victim.ended) === 'SIGKILL', `${victim.name} ended with ${await victim.ended}`)
  await fleet.start()
}

async function zombie({ fleet }: Scene, random: Random): Promise<void> {
  const victim = random.pick(fleet.running)
  const place = random.pick([undefined, ...places])
  const others = fleet.running.filter(worker => worker !== victim)
  const told = victim.lines.length
  if (place === undefined) victim.signal('SIGSTOP')
  else victim.tell({ type: 'arm', place, signal: 'SIGSTOP' })
  await standsStill(victim.pid)
  await fleet.covered(others)
  victim.signal('SIGCONT')
  await fleet.until(
    `${victim.name}, which stood still at ${place}, has learnt that it lost its leases`,
    () => victim.count('lost', told) + victim.count('fenced', told) > 0,
  )
}

/** Nobody can tidy up: what is committed must be durable. */
async function blackout(scene: Scene): Promise<void> {
  const { fleet } = scene
  const victims = fleet.running
  fleet.killAll()
  await Promise.all(victims.map(({ ended }) => ended))
  const wrong = await scene.wrongAtRest()
  demand(wrong.length === 0, `After a blackout:\n${wrong.join('\n')}`)
  for (const _ of victims) await fleet.start()
}

/** How often somebody comes and goes. */
const stormRounds = 3

/** A member that comes and goes. */
async function storm({ fleet, brokers }: Scene): Promise<void> {
  const kafka = new Kafka({ brokers: [...brokers], clientId: 'storm', logLevel: logLevel.NOTHING })
  const before = fleet.count('revoked')
  for (let round = 0; round < stormRounds; round++) {
    const member = await new Promise<{ close(): Promise<void> }>(resolve => {
      const joined = joinFleet(fleet.task, kafka, new Doom(), ({ type }) => {
        if (type === 'claimed') resolve(joined)
      })
    })
    await member.close()
    await fleet.covered()
  }
  demand(fleet.count('revoked') > before, 'The storm moved no partition')
}

function link(state: LinkState): Fault {
  return async ({ fleet, brokers }, random) => {
    const victim = random.pick(fleet.running)
    const way = random.pick(await used(brokers.map(broker => victim.links.get(broker)!)))
    const before = way.hurt
    way.state = state
    // Longer than a session.
    await sleep(1.5 * fleet.task.sessionTimeout)
    way.state = 'whole'
    demand(way.hurt > before, `The link of ${victim.name} that was ${state} hurt nobody`)
  }
}

/** Those that carry something: a worker has nothing to say to a node that leads none of its partitions. */
async function used(links: readonly Link[]): Promise<readonly Link[]> {
  const before = links.map(({ passed }) => passed)
  await sleep(1_000)
  return links.filter(({ passed }, at) => passed > before[at]!)
}

async function killLeader(scene: Scene, random: Random): Promise<void> {
  const { nodes, brokers, fleet } = scene
  const partition = random.below(12)
  const node = await leaderOf(brokers, fleet.task.topic, partition).then(id => nodeOf(nodes, id))
  await node.kill()
  await whenLedElsewhere(others(brokers, node), fleet.task.topic, node.id)
  await fleet.progressed(50)
  await node.start()
}

async function killCoordinator({ nodes, brokers, fleet }: Scene): Promise<void> {
  const node = nodeOf(nodes, await coordinatorOf(brokers, fleet.task.group))
  await node.kill()
  await whenLedElsewhere(others(brokers, node), fleet.task.topic, node.id)
  await fleet.progressed(50)
  await node.start()
}

async function restart({ nodes, fleet }: Scene, random: Random): Promise<void> {
  const node = random.pick(nodes)
  await node.shutDown()
  await fleet.progressed(20)
  await node.start()
}

/** A broker that neither answers nor dies. */
async function stall({ nodes, brokers, fleet }: Scene, random: Random): Promise<void> {
  const node = random.pick(nodes)
  node.pause()
  await whenLedElsewhere(others(brokers, node), fleet.task.topic, node.id)
  await fleet.progressed(50)
  node.resume()
}

function nodeOf(nodes: readonly KafkaNode[], id: number): KafkaNode {
  return nodes.find(node => node.id === id)!
}

function others(brokers: readonly string[], { address }: KafkaNode): readonly string[] {
  return brokers.filter(broker => broker !== address)
}

function demand(isSo: boolean, otherwise: string): void {
  if (!isSo) throw new Error(otherwise)
}
