import fc from 'fast-check'
import { test } from 'vitest'
import { type Actor, partitions, type Tracked, World } from './group-world.ts'

/** One thing that can happen to a group. */
type Step = (world: World) => Promise<void> | void

class Command implements fc.AsyncCommand<World, World> {
  readonly #text: string
  readonly #step: Step

  constructor(text: string, step: Step) {
    this.#text = text
    this.#step = step
  }

  check(): boolean {
    return true
  }

  async run(world: World): Promise<void> {
    await this.#step(world)
    await world.verify()
  }

  toString(): string {
    return this.#text
  }
}

const partition = fc.nat({ max: partitions - 1 })
const pick = fc.nat({ max: 99 })

function one<Item>(items: readonly Item[], choice: number): Item | undefined {
  return items[choice % items.length]
}

/** Does `step` to a member that fits. */
function member(name: string, fits: (member: Actor) => boolean, step: (world: World, member: Actor) => void) {
  return pick.map(
    choice =>
      new Command(`${name}(${choice})`, world => {
        const chosen = one(world.members.filter(fits), choice)
        if (chosen) step(world, chosen)
      }),
  )
}

/** Does `step` to a lease that fits, of any time. */
function lease(
  name: string,
  fits: (held: Tracked) => boolean,
  step: (world: World, held: Tracked, n: number) => unknown,
) {
  return fc.tuple(pick, fc.nat({ max: 30 })).map(
    ([choice, n]) =>
      new Command(`${name}(${choice}, ${n})`, async world => {
        const chosen = one(world.tracked.filter(fits), choice)
        if (chosen) await step(world, chosen, n)
      }),
  )
}

const live = ({ lease: { signal } }: Tracked) => !signal.aborted
const readable = (held: Tracked) => live(held) && !held.lease.revoked.aborted && !held.member.pause

const commands = [
  fc
    .tuple(partition, fc.integer({ min: 1, max: 20 }))
    .map(([at, count]) => new Command(`produce(${at}, ${count})`, world => world.produce(at, count))),
  fc
    .tuple(partition, fc.constantFrom(499, 500, 501))
    .map(([at, count]) => new Command(`produce(${at}, ${count})`, world => world.produce(at, count))),
  fc.constant(new Command('join', world => world.join())),
  member(
    'leave',
    ({ leaving }) => !leaving,
    (world, chosen) => world.leave(chosen),
  ),
  member(
    'pause',
    ({ leaving, pause }) => !leaving && !pause,
    (world, chosen) => world.pause(chosen),
  ),
  member(
    'expire',
    ({ pause, expired }) => !!pause && !expired,
    (world, chosen) => world.expire(chosen),
  ),
  member(
    'resume',
    ({ pause }) => !!pause,
    (world, chosen) => world.resume(chosen),
  ),
  // A crash is a pause that is expired at once, and that nobody resumes but the end.
  member(
    'crash',
    ({ leaving, pause }) => !leaving && !pause,
    (world, chosen) => {
      world.pause(chosen)
      world.expire(chosen)
    },
  ),
  partition.map(at => new Command(`lose(${at})`, world => world.lose(at))),
  fc
    .tuple(partition, fc.integer({ min: 1, max: 10 }))
    .map(([at, count]) => new Command(`redeliver(${at}, ${count})`, world => world.redeliver(at, count))),
  partition.map(at => new Command(`delayCommits(${at})`, world => world.delayCommits(at))),
  fc.constant(new Command('releaseCommits', world => world.releaseCommits())),
  fc.constant(new Command('drain timeout', world => world.drainTimeout())),
  lease('read', readable, (world, held, n) => world.read(held, n)),
  lease('read all', readable, (world, held) => world.read(held, Number.POSITIVE_INFINITY)),
  lease('commit', live, (world, held, n) => world.commit(held, Math.max(0, held.read - n))),
  lease('commit all', live, (world, held) => world.commit(held, held.read)),
  lease(
    'commit late',
    held => !live(held),
    (world, held) => world.commit(held, held.read),
  ),
  lease('release', live, (_, held) => held.lease.release()),
]

test('whatever happens to a group: one holder, no gap, no step back, nothing lost', { timeout: 120_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(fc.commands(commands, { size: '+1' }), async steps => {
      const world = new World()
      await fc.asyncModelRun(() => ({ model: world, real: world }), steps)
      await world.quiesce()
    }),
  )
})
