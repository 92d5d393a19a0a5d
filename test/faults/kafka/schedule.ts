import { type Random, randomOf } from '../../../src/testing/simulation/random.ts'

/** A fault that is to happen, and the numbers that decide what it happens to. */
export interface Planned<Name extends string> {
  readonly name: Name
  readonly random: Random
}

/** Round after round of all faults, each in an order of its own: the same for the same seed, whatever else happens. */
export function* scheduleOf<Name extends string>(
  seed: number,
  names: readonly Name[],
): Generator<readonly Planned<Name>[]> {
  for (let round = 0; ; round++) {
    const order = randomOf(seed, 2 * round)
    const left = [...names]
    const planned: Planned<Name>[] = []
    while (left.length > 0) {
      const [name] = left.splice(order.below(left.length), 1)
      planned.push({ name: name!, random: randomOf(seed + names.indexOf(name!), 2 * round + 1) })
    }
    yield planned
  }
}
