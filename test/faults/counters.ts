import { type Counters, type Effect, type Instruction, instructions, throwingAttempts } from './program.ts'

/** A program: what each run is told, in order. */
export type Program = readonly { readonly run: string; readonly event: Instruction }[]

/** A program made of numbers from 0 to 1, for runs that call one another. */
export function programOf(random: () => number, length: number, runs: readonly string[]): Program {
  const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)]!
  return Array.from({ length }, () => {
    const run = pick(runs)
    const type = pick(instructions)
    if (type !== 'CALL') return { run, event: { type } }
    return { run, event: { type, to: random() < 0.1 ? 'nobody' : pick(runs) } }
  })
}

/**
 * What the program must come to, found without the machine: from what was told and what the world outside saw.
 *
 * @returns what is wrong, in sentences
 */
export function wrongCounters(
  program: Program,
  counters: Readonly<Record<string, Counters>>,
  effects: readonly Effect[],
): readonly string[] {
  const wrong: string[] = []
  const expect = (what: string, expected: number, actual: number): void => {
    if (expected !== actual) wrong.push(`${what}: expected ${expected}, got ${actual}`)
  }
  for (const [run, counted] of Object.entries(counters)) {
    const told = (type: Instruction['type']): number =>
      program.filter(step => step.run === run && step.event.type === type).length
    const calls = (from: string, to: (key: string) => boolean): number =>
      program.filter(({ run, event }) => run === from && event.type === 'CALL' && to(event.to)).length
    const everywhere = Object.keys(counters)
    expect(`${run}.inc`, told('INC'), counted.inc)
    expect(`${run}.timer`, told('TIMER'), counted.timer)
    expect(`${run}.promise`, told('PROMISE'), counted.promise)
    expect(`${run}.once`, told('ONCE'), counted.once + counted.lost.once)
    expect(`${run}.fragile`, told('FRAGILE'), counted.fragile + counted.lost.fragile)
    expect(`${run}.thrown`, told('THROW'), counted.thrown)
    expect(`${run}.child`, told('CHILD'), counted.child)
    expect(`${run}.slept`, counted.asleep, counted.slept)
    expect(
      `${run}.undelivered`,
      calls(run, key => !everywhere.includes(key)),
      counted.undelivered,
    )
    const called = everywhere.reduce((sum, from) => sum + calls(from, key => key === run), 0)
    expect(`${run}.called`, called, counted.called)
  }
  return [...wrong, ...wrongAttempts(effects)]
}

/** What is wrong with the attempts that the world outside saw. */
export function wrongAttempts(effects: readonly Effect[]): readonly string[] {
  const wrong: string[] = []
  const byKey = new Map<string, Effect[]>()
  for (const effect of effects) byKey.set(effect.key, [...(byKey.get(effect.key) ?? []), effect])
  for (const [key, attempts] of byKey) {
    const { name } = attempts[0]!
    const numbers = attempts.map(({ attempt }) => attempt)
    if (new Set(numbers).size < numbers.length) wrong.push(`${name} ${key} made an attempt twice: ${numbers}`)
    if ((name === 'once' || name === 'fragile') && numbers.length > 1)
      wrong.push(`${name} ${key} was started ${numbers.length} times`)
    if (name === 'thrown' && Math.max(...numbers) > throwingAttempts)
      wrong.push(`${name} ${key} made too many attempts: ${numbers}`)
  }
  return wrong
}
