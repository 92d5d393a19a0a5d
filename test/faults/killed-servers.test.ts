import fc from 'fast-check'
import { expect, test } from 'vitest'
import { endings } from '../endings.ts'
import { describeOnServers } from '../servers/describe.ts'
import { PostgresServer } from '../servers/postgres.ts'
import { ValkeyServer } from '../servers/valkey.ts'
import type { Program } from './counters.ts'
import { crashPoints } from './crash-points.ts'
import { type KeptRun, runsInKeys, runsInTables } from './kept-runs.ts'
import { inProcesses, type Place } from './process-place.ts'
import { checkWhole, segmentOf } from './whole.ts'

/** A server that can be killed and started again, with a place on it. */
interface Mortal {
  readonly place: Place
  kill(): Promise<void>
  up(): Promise<void>
  /** What it has, past the store. */
  kept(): Promise<readonly KeptRun[]>
}

const ends = endings()

async function postgres(): Promise<Mortal> {
  const server = await PostgresServer.start()
  ends.push(() => server.stop())
  let kills = 0
  return {
    place: inProcesses('postgres', server.url()),
    kill: () => (++kills % 2 === 0 ? server.shutDownImmediately() : server.kill()),
    up: () => server.up(),
    kept: () => runsInTables(server, 'xmachines'),
  }
}

async function valkey(): Promise<Mortal> {
  const server = await ValkeyServer.start()
  ends.push(() => server.stop())
  const place = inProcesses('valkey', server.url)
  return {
    place,
    kill: () => server.kill(),
    up: () => server.restart(),
    async kept() {
      const client = server.client()
      ends.push(() => client.quit())
      return runsInKeys(client, place.kept.dir)
    },
  }
}

/** XM_LONG=1: every point, and the server lives longer. */
const isLong = process.env.XM_LONG === '1'
const points = isLong ? crashPoints : (['afterAppend', 'outcomeBeforeAppend'] as const)
/** How long a server lives, ms, and how often it is killed. */
const lives = isLong ? { min: 500, max: 4000, most: 1000 } : { min: 200, max: 1000, most: 4 }
const seed = Number(process.env.FC_SEED ?? Date.now() % 2_147_483_647)

describeOnServers('$server, killed and started again and again', { postgres, valkey }, start => {
  test('under processes that die, too: exact counters, nothing lost, nothing twice', async () => {
    console.log(`FC_SEED=${seed}`)
    const numbers = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
    const draws = fc.sample(numbers, { seed, numRuns: 1000 })
    const server = await start()
    const { place } = server
    let isOver = false
    let kills = 0
    const killing = (async () => {
      while (!isOver && kills < lives.most) {
        await new Promise(resolve => setTimeout(resolve, lives.min + draws.pop()! * (lives.max - lives.min)))
        await server.kill()
        await server.up()
        kills++
      }
    })()
    const program: Program[number][] = []
    let deaths = 0
    for (const point of points) {
      program.push(...segmentOf(() => draws.pop()!))
      if (await place.live(program, point, 1)) deaths++
    }
    expect(await place.live(program, undefined, 0)).toBe(false)
    isOver = true
    await killing
    console.log(`${kills} kills of the server, ${deaths} of processes, ${program.length} instructions`)
    expect([kills > points.length / 2, deaths > 0]).toEqual([true, true])
    const kept = await server.kept()
    for (const { seq, seqs } of kept) expect(seqs).toEqual(Array.from({ length: seq + 1 }, (_, at) => at))
    // Each instruction was acknowledged, and is a unit once.
    const told = program.map((_, index) => `${index}`)
    const requests = kept.flatMap(run => run.requests.filter(request => request !== undefined))
    expect(requests.toSorted((a, b) => Number(a) - Number(b))).toEqual(told)
    await checkWhole(place, program)
  }, 600_000)
})
