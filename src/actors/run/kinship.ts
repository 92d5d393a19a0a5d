import type { ParentLink } from '../contracts/store.ts'
import type { Origin, RunName, Sent } from '../contracts/unit.ts'
import { endEvent } from '../machine/child-end.ts'
import type { Effect } from '../machine/effect.ts'
import type { Program } from '../machine/program.ts'
import { childProgramOf } from '../machine/programs.ts'
import type { RunState } from '../machine/state.ts'

/** Whose child a run is, and whether it has children that end with it. */
export interface Kin {
  readonly run: string
  readonly parent: ParentLink | null
  readonly linked: boolean
}

/** What a step sends. */
export function sentBy(program: Program, effects: readonly Effect[]): readonly Sent[] | undefined {
  if (effects.length === 0) return undefined
  let sent: Sent[] | undefined
  for (const effect of effects) {
    if (effect.kind === 'mail') {
      sent ??= []
      sent.push({ to: effect.to, event: effect.event })
    } else if (effect.kind === 'spawn') {
      const { spawn, input, policy, linked } = effect
      const machine = childProgramOf(program, effect.machine).record.oid
      sent ??= []
      sent.push({ spawn, machine, ...(input !== undefined && { input }), policy, linked })
    }
  }
  return sent
}

/** Whether any of these is a child that ends with its parent. */
export function links(sent: readonly Sent[] | undefined): boolean {
  return sent?.some(one => 'spawn' in one && 'linked' in one && one.linked) === true
}

/** What a unit sends: what its step sent and, where it ends the run, what is said to parent and children. */
export function sentOf(
  { run, parent, linked }: Kin,
  sent: readonly Sent[] | undefined,
  { snapshot }: RunState,
  origin: Origin,
): readonly Sent[] | undefined {
  if (snapshot.status === 'active' || (parent === null && !linked)) return sent
  const words: Sent[] = sent === undefined ? [] : [...sent]
  if (parent !== null) {
    const restart = parent.restarts + 1
    if (snapshot.status === 'error' && mayRestart(parent, restart))
      words.push({ spawn: restartName(parent.name, restart), restart })
    else {
      const reason = origin.kind === 'stop' ? origin.reason : undefined
      words.push({ parent: parent.run, event: endEvent(run, parent, snapshot, reason) })
    }
  }
  if (linked) words.push({ stop: 'children' })
  return words
}

function mayRestart({ policy }: ParentLink, restart: number): boolean {
  return typeof policy === 'object' && restart <= policy.restart
}

/** What the run is called that is the `restart`-th in the place of a child. */
export function restartName({ namespace, key }: RunName, restart: number): RunName {
  return { namespace, key: `${key}~${restart}` }
}
