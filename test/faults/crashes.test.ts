import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { afterAll, describe, expect, test } from 'vitest'
import { openRun, type Store, verifyRun } from 'xmachines'
import { memoryStore } from 'xmachines/persistence/memory'
import { entries } from '../../entries.ts'
import { type Environment, platform } from '../../src/actors/environment.ts'
import { createHostIn } from '../../src/actors/host/index.ts'
import { ended, isBuilt } from '../cli/command.ts'
import { hasPostgres, PostgresServer } from '../servers/postgres.ts'
import { hasValkey, ValkeyServer } from '../servers/valkey.ts'
import { type Program, programOf, wrongCounters } from './counters.ts'
import { type CrashPoint, crashPoints, Doom } from './crash-points.ts'
import { type Kept, type Kind, openKept } from './kept.ts'
import { live, runs } from './life.ts'
import { type Effect, instructions, programMachine } from './program.ts'

/** A place where a program runs, life after life. */
interface Place {
  /** One life. Resolves to whether it died at the point. */
  live(program: Program, point: CrashPoint | undefined, hit: number): Promise<boolean>
  /** What is left, as somebody sees it who was not there. */
  store(): Store
  effects(): readonly Effect[]
}

const root = fileURLToPath(new URL('../..', import.meta.url))
/** Workers import the package by its name: as it was built, or else from its sources. */
const alias = Object.fromEntries(
  Object.entries(entries).map(([door, source]) => [
    door === 'index' ? 'xmachines' : `xmachines/${door}`,
    join(root, source),
  ]),
)
const folders: string[] = []
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

/** A process of its own, killed by SIGKILL. */
async function inProcesses(kind: Kind): Promise<Place> {
  const dir = mkdtempSync(join(tmpdir(), 'xmachines-crash-'))
  folders.push(dir)
  const url = await serverOf[kind]?.()
  const kept: Kept = { kind, dir, ...(url !== undefined && { url }) }
  return {
    async live(program, point, hit) {
      const told = [JSON.stringify(kept), JSON.stringify(program), point ?? '', `${hit}`]
      const args = ['--import', 'jiti/register', 'test/faults/worker.ts', ...told]
      const env = isBuilt() ? process.env : { ...process.env, JITI_ALIAS: JSON.stringify(alias) }
      const { code, signal, stderr } = await ended(spawn(process.execPath, args, { cwd: root, env, stdio: 'pipe' }))
      expect([0, null], stderr).toContain(code)
      return signal === 'SIGKILL'
    },
    store: () => openKept(kept),
    effects() {
      const file = join(dir, 'effects.ndjson')
      if (!existsSync(file)) return []
      const lines = readFileSync(file, 'utf8').trimEnd().split('\n')
      return lines.map(line => JSON.parse(line) as Effect)
    },
  }
}

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

/** The process is this one: everything of a life is left behind, and the store is kept. */
function inMemory(): Place {
  const kept = memoryStore()
  const effects: Effect[] = []
  let lives = 0
  return {
    live(program, point, hit) {
      return new Promise((resolve, reject) => {
        const doom = new Doom(point, hit, () => resolve(true))
        const setTimeout = doom.timeout(globalThis.setTimeout) as Environment['setTimeout']
        const environment = { ...platform, setTimeout, process: `life ${++lives}` }
        const host = ((options: never) => createHostIn(environment, options)) as never
        live({ host, store: kept, program, see: effect => effects.push(effect), doom }).then(
          () => resolve(false),
          reject,
        )
      })
    },
    store: () => kept,
    effects: () => effects,
  }
}

/** Every store that a history survives a process in. */
const stores: readonly { readonly name: string; readonly place: () => Place | Promise<Place> }[] = [
  { name: 'file store, SIGKILL', place: () => inProcesses('filesystem') },
  { name: 'Git store, SIGKILL', place: () => inProcesses('git') },
  ...(hasPostgres() ? [{ name: 'PostgreSQL, SIGKILL', place: () => inProcesses('postgres') }] : []),
  ...(hasValkey() ? [{ name: 'Valkey, SIGKILL', place: () => inProcesses('valkey') }] : []),
  { name: 'memory store, a life left behind', place: inMemory },
]

/** Each instruction once at least, so that every point is come to; the rest is the seed's. */
function segmentOf(random: () => number): Program {
  const every = instructions.map(type => ({ run: 'a', event: type === 'CALL' ? { type, to: 'b' } : { type } }))
  return [...every, ...programOf(random, 3, runs)] as Program
}

async function checkWhole(place: Place, program: Program): Promise<void> {
  const store = place.store()
  const machine = programMachine(() => Promise.resolve())
  const effects = place.effects()
  const counters: Record<string, never> = {}
  const units = new Map<string, number>()
  for await (const head of store.list()) {
    expect(await verifyRun(store, machine, head)).toEqual({ run: head.run, units: head.seq })
    const run = await openRun(machine, { store, id: head.run })
    counters[head.key!] = run.getSnapshot().context as never
    units.set(head.run, head.seq)
    await run.close()
  }
  expect(Object.keys(counters).sort()).toEqual([...runs])
  expect(wrongCounters(program, counters, effects)).toEqual([])
  for (const { key } of effects) {
    const [run, entered] = key.split('/') as [string, string]
    expect(Number(entered), `no effect without its unit: ${key}`).toBeLessThanOrEqual(units.get(run) ?? -1)
  }
  await store.close()
}

const seed = Number(process.env.FC_SEED ?? Date.now() % 2_147_483_647)
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
        program.push(...segmentOf(() => draws.pop()!))
        if (!(await here.live(program, point, hit))) survived.push(point)
      }
      // A fault that never happened proves nothing. Some points are not come to so often in one life.
      if (hit === 1) expect(survived).toEqual([])
      else expect(survived.length).toBeLessThan(crashPoints.length / 2)
      expect(await here.live(program, undefined, 0)).toBe(false)
      await checkWhole(here, program)
    },
    600_000,
  )
})
