import type { XMachinesError } from '../errors.ts'
import type { Draft } from './draft.ts'
import type { RunState } from './state.ts'
import { type Flaw, findFlaw } from './state-json.ts'
import { outputNotJson, stateNotJson, stepFailed } from './step-errors.ts'
import type { LiveSnapshot } from './xstate.ts'

/** What is wrong with the step, if anything. */
export function findProblem(draft: Draft, before: RunState | undefined): XMachinesError | undefined {
  if (draft.refusal !== undefined) return draft.refusal
  const { snapshot } = draft
  const flaw = findFlaw(snapshot.context ?? null, before?.snapshot.context, 'context') ?? findFlawInActors(draft)
  if (flaw !== undefined) return stateNotJson(flaw)
  if (snapshot.status === 'error') return stepFailed(snapshot.error)
  const badOutput = findFlaw(snapshot.output ?? null, undefined, 'output')
  return badOutput === undefined ? undefined : outputNotJson(badOutput)
}

function findFlawInActors(draft: Draft): Flaw | undefined {
  if (draft.rootOnly) return undefined
  for (const { ref, before, now } of draft.changed()) {
    const flaw = findFlawInSnapshot(now, before, `children.${ref.id}`)
    if (flaw !== undefined) return flaw
  }
  for (const { event } of draft.armed()) {
    const flaw = findFlaw(event, undefined, `the delayed event '${event.type}'`)
    if (flaw !== undefined) return flaw
  }
  return undefined
}

/** Of a machine, what its author puts there; of any other logic all of it, but what was thrown, which may be anything. */
function findFlawInSnapshot(now: LiveSnapshot, before: LiveSnapshot | undefined, path: string): Flaw | undefined {
  if (!('machine' in now)) return findFlaw(now.error === undefined ? now : { ...now, error: undefined }, before, path)
  return (
    findFlaw(now.context ?? null, before?.context, `${path}.context`) ??
    findFlaw(now.output ?? null, before?.output, `${path}.output`)
  )
}
