import { messageOf, XMachinesError } from '../actors/errors.ts'
import { givenOptions } from '../actors/given.ts'
import type { AnyMachine } from '../actors/run/types.ts'
import { SimulationFailure } from './simulation/failure.ts'
import type { Simulation, SimulationReport } from './simulation/scenario.ts'
import { checkCount, type Settings, settingsOf } from './simulation/settings.ts'
import { type Counts, World } from './simulation/world.ts'

export type { Random } from './simulation/random.ts'
export type {
  Scenario,
  Sending,
  Sent,
  SimulatedEvent,
  SimulatedPlace,
  SimulatedRun,
  SimulatedScript,
  SimulatedWorld,
  Simulation,
  SimulationEnd,
  SimulationOptions,
  SimulationReport,
} from './simulation/scenario.ts'

/** How many shorter versions of a failure are tried. */
const shorterTries = 100
/** How many lines of a trace a message shows. */
const linesShown = 60

/**
 * Simulates runs of a machine, many times over: their processes, the store between them, and time. Each seed is another
 * schedule of the same script: how long everything takes, in what order invocations end, which writes fail, when processes
 * die and start anew. The runs are real, and so is everything about them but the clock and the store; no real time passes.
 *
 * Events are sent as a careful client sends them: again, under the same id, until they are answered. For every seed it is checked that
 * - each event was taken once, and where its answer says;
 * - the history, replayed from its beginning, gives the same states, outputs and effects;
 * - the run came to rest: nothing is left to be done that nobody does, and a process that opens it anew has nothing to do;
 * - `invariant` holds after every unit, and `atEnd` at the end.
 *
 * The seed owns everything between microtasks: clock, timers, the store's answers, what invocations tell, deaths. Microtasks run in
 * the order of the platform, until none is left, before anything else happens. What a machine's own logic awaits has to be of the
 * simulation: its own promises, or `sleep` of the world. Real timers, `Math.random` and `Date.now` are not the seed's.
 *
 * @example
 * await simulate({
 *   machine: order,
 *   seeds: 2000,
 *   events: random => Array.from({ length: 5 }, () => ({ type: 'ADD', price: random.below(10) })),
 *   invariant: ({ context }) => context.total >= 0,
 * })
 *
 * @throws rejects with `SIMULATION_FAILED`: its message has the seed, what happened, and how to run that seed alone; its
 *   `details` have `seed`, `kind` and `trace`. With a TypeError for options that are none
 */
export async function simulate<TMachine extends AnyMachine>(
  simulation: Simulation<TMachine>,
): Promise<SimulationReport> {
  const options = givenOptions('simulate({ machine, events })', simulation) as unknown as Simulation
  const settings = settingsOf(options)
  const { seed, seeds = 100, from = 1 } = options
  checkCount('seeds', seeds)
  checkCount('from', from, Number.MIN_SAFE_INTEGER)
  if (seed !== undefined) checkCount('seed', seed, Number.MIN_SAFE_INTEGER)
  const total: Counts = { units: 0, crashes: 0, closes: 0, faults: 0 }
  const first = seed ?? from
  const count = seed === undefined ? seeds : 1
  let trace: readonly string[] = []
  for (let done = 0; done < count; done++) {
    const next = first + done
    const world = new World(next, options, settings, seed !== undefined)
    const failure = await failureOf(world)
    if (failure !== undefined) throw await report(options, settings, next, failure)
    for (const name of Object.keys(total) as (keyof Counts)[]) total[name] += world.counts[name]
    trace = world.trace
  }
  return { seeds: count, ...total, trace }
}

async function failureOf(world: World): Promise<SimulationFailure | undefined> {
  try {
    await world.run()
    return undefined
  } catch (thrown) {
    if (thrown instanceof SimulationFailure) return thrown
    return new SimulationFailure('error', messageOf(thrown), thrown)
  }
}

/** The failure, as short as it can be made: with fewer misfortunes, and fewer events. */
async function report(
  options: Simulation,
  settings: Settings,
  seed: number,
  failure: SimulationFailure,
): Promise<XMachinesError> {
  let shortest = settings
  let found = failure
  let tries = 0
  const attempt = async (changed: Partial<Settings>): Promise<boolean> => {
    if (tries++ >= shorterTries) return false
    const shorter = { ...shortest, ...changed }
    const failed = await failureOf(new World(seed, options, shorter, false))
    if (failed?.kind !== failure.kind) return false
    shortest = shorter
    found = failed
    return true
  }
  // One that is run alone is looked at as it is.
  const alone = options.seed !== undefined
  if (!alone) for (const nothing of [{ crashes: 0 }, { faults: 0 }]) await attempt(nothing)
  const script = new World(seed, options, shortest, false).script
  let keep: readonly number[] = alone ? [] : script.map(({ id }) => Number(id))
  for (let size = keep.length >> 1; size >= 1; size >>= 1) {
    for (let at = 0; at < keep.length; ) {
      const fewer = [...keep.slice(0, at), ...keep.slice(at + size)]
      if (await attempt({ keep: fewer })) keep = fewer
      else at += size
    }
  }
  const world = new World(seed, options, shortest, true)
  const again = await failureOf(world)
  const call = callOf(seed, settings, shortest)
  const steady =
    again?.kind === found.kind
      ? `Run it alone: simulate(${call})`
      : `It did not fail when it was run again (simulate(${call})): something in it is not the seed’s, such as Math.random, Date.now or a real timer.`
  const { trace } = world
  const lines =
    trace.length > linesShown ? [`… ${trace.length - linesShown} lines`, ...trace.slice(-linesShown)] : trace
  const { kind, message, cause } = again ?? found
  return new XMachinesError(
    'SIMULATION_FAILED',
    `Seed ${seed} failed. ${message}\n${steady}\nWhat happened:\n${lines.join('\n')}`,
    { details: { seed, kind, trace }, cause: cause ?? found },
  )
}

/** What to add to the call, so that only this happens. */
function callOf(seed: number, before: Settings, { crashes, faults, keep }: Settings): string {
  const changed = [
    `seed: ${seed}`,
    ...(crashes === before.crashes ? [] : [`crashes: ${crashes}`]),
    ...(faults === before.faults ? [] : [`faults: ${faults}`]),
    ...(keep === undefined ? [] : [`keep: [${keep.join(', ')}]`]),
  ]
  return `{ …, ${changed.join(', ')} }`
}
