import fc from 'fast-check'
import { afterAll, describe, expect, test } from 'vitest'
import { memoryStore } from 'xmachines/persistence/memory'
import { type Environment, platform } from '../../src/actors/environment.ts'
import { createHostIn } from '../../src/actors/host/index.ts'
import { hasPostgres, PostgresServer } from '../servers/postgres.ts'
import { hasValkey, ValkeyServer } from '../servers/valkey.ts'
import type { Program } from './counters.ts'
import { type CrashPoint, crashPoints, Doom } from './crash-points.ts'
import type { Kind } from './kept.ts'
import { type Acknowledged, live, runs } from './life.ts'
import { inProcesses, type Place } from './process-place.ts'
import type { Effect } from './program.ts'
import { checkWhole, segmentOf } from './whole.ts'

let postgres: PostgresServer | undefined
let valkey: ValkeyServer | undefined
let databases = 0
afterAll(async () => {
  await postgres?.stop()
  await valkey?.stop()
})

/** Of the kinds that need a server: it is started for the first place, and each has a database, or a prefix. */
const serverOf: Readonly<Partial<Record<Kind, () => Promise<string>>>> = {
  async postgres() {
    postgres ??= await PostgresServer.start()
    const name = `crash_${databases++}`
    await postgres.query(`create database ${name}`)
    return postgres.url(name)
  },
  async valkey() {
    valkey ??= await ValkeyServer.start()
    return valkey.url
  },
}

async function onServer(kind: 'postgres' | 'valkey'): Promise<Place> {
  return inProcesses(kind, await serverOf[kind]!())
}

/** The process is this one: everything of a life is left behind, and the store is kept. */
function inMemory(): Place {
  const kept = memoryStore()
  const effects: Effect[] = []
  const acknowledged: Acknowledged[] = []
  let lives = 0
  return {
    live(program, point, hit) {
      return new Promise((resolve, reject) => {
        const doom = new Doom(point, hit, () => resolve(true))
        const setTimeout: Environment['setTimeout'] = (work, ms) => platform.setTimeout(() => doom.dead || work(), ms)
        const environment = { ...platform, setTimeout, process: `life ${++lives}` }
        const host = ((options: never) => createHostIn(environment, options)) as never
        const see = (effect: Effect) => effects.push(effect)
        const take = (unit: Acknowledged) => acknowledged.push(unit)
        live({ host, store: kept, program, see, take, doom }).then(() => resolve(false), reject)
      })
    },
    store: () => kept,
    effects: () => effects,
    acknowledged: () => acknowledged,
  }
}

/** Every store that a history survives a process in. */
const stores: readonly { readonly name: string; readonly place: () => Place | Promise<Place> }[] = [
  { name: 'file store, SIGKILL', place: () => inProcesses('filesystem') },
  { name: 'Git store, SIGKILL', place: () => inProcesses('git') },
  ...(hasPostgres() ? [{ name: 'PostgreSQL, SIGKILL', place: () => onServer('postgres') }] : []),
  ...(hasValkey() ? [{ name: 'Valkey, SIGKILL', place: () => onServer('valkey') }] : []),
  { name: 'memory store, a life left behind', place: inMemory },
]

const seed = Number(process.env.FC_SEED ?? Date.now() % 2_147_483_647)
/** How many a life keeps: one of each run, when it goes out of memory. */
const snapshots = runs.length
/** XM_LONG=1: more programs, and at later hits of each point too. */
const hits = process.env.XM_LONG === '1' ? [1, 2, 3, 5] : [1]

describe.each(stores)('$name', ({ place }) => {
  test.each(hits)(
    'dying at hit %i of each point, one life after another: exact counters, nothing lost, nothing twice',
    async hit => {
      console.log(`FC_SEED=${seed}`)
      const draws = fc.sample(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), {
        seed: seed + hit,
        numRuns: Number(process.env.FC_RUNS) || 500,
      })
      const here = await place()
      const program: Program[number][] = []
      const survived: CrashPoint[] = []
      for (const point of crashPoints) {
        program.push(...segmentOf(() => draws.pop()!, hit))
        if (!(await here.live(program, point, hit))) survived.push(point)
      }
      // A fault that never happened proves nothing.
      expect(survived.filter(point => !(point === 'midSnapshot' && hit > snapshots))).toEqual([])
      expect(await here.live(program, undefined, 0)).toBe(false)
      await checkWhole(here, program)
      const acknowledged = here.acknowledged().length
      console.log(
        `${crashPoints.length - survived.length} deaths, ${program.length} instructions, ${acknowledged} receipts`,
      )
    },
    600_000,
  )
})
