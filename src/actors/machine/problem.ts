import type { XMachinesError } from '../errors.ts'
import type { ActorRef } from './actor-ref.ts'
import type { Draft } from './draft.ts'
import type { RunState } from './state.ts'
import { type Flaw, findFlaw, type Noticed, withoutUndefined } from './state-json.ts'
import { outputNotJson, stateNotJson, stepFailed } from './step-errors.ts'
import type { LiveSnapshot } from './xstate.ts'

/** Of the walk under way. One for all: a walk is over before the next one begins, and most steps need none of their own. */
const noticed: Noticed = { undefined: false }

/** What is wrong with the step, if anything. What is `undefined` in its state is taken out of it on the way. */
export function findProblem(draft: Draft, before: RunState | undefined): XMachinesError | undefined {
  if (draft.refusal !== undefined) return draft.refusal
  const { snapshot, system } = draft
  const flaw = flawInContext(draft, system.root, snapshot, before?.snapshot, 'context') ?? flawInActors(draft)
  if (flaw !== undefined) return stateNotJson(flaw)
  if (snapshot.status === 'error') return stepFailed(snapshot.error)
  const badOutput = findFlaw(snapshot.output ?? null, undefined, 'output')
  return badOutput === undefined ? undefined : outputNotJson(badOutput)
}

/** Of a machine. */
function flawInContext(
  draft: Draft,
  ref: ActorRef,
  now: LiveSnapshot,
  before: LiveSnapshot | undefined,
  path: string,
): Flaw | undefined {
  noticed.undefined = false
  const flaw = findFlaw(now.context ?? null, before?.context, path, 0, noticed)
  if (flaw === undefined && noticed.undefined)
    draft.begin(ref, { ...now, context: withoutUndefined(now.context, before?.context) })
  return flaw
}

function flawInActors(draft: Draft): Flaw | undefined {
  if (draft.rootOnly) return undefined
  for (const { ref, before, now } of draft.changed()) {
    const path = `children.${ref.id}`
    const flaw =
      '_nodes' in now
        ? (flawInContext(draft, ref, now, before, `${path}.context`) ??
          findFlaw(now.output ?? null, before?.output, `${path}.output`))
        : flawInLogic(draft, ref, now, before, path)
    if (flaw !== undefined) return flaw
  }
  for (const timer of draft.armed()) {
    const { event } = timer
    noticed.undefined = false
    const flaw = findFlaw(event, undefined, `the delayed event '${event.type}'`, 0, noticed)
    if (flaw !== undefined) return flaw
    if (noticed.undefined) draft.amend(timer, withoutUndefined(event, undefined))
  }
  return undefined
}

/** Of logic that is no machine all of it counts, but what was thrown, which may be anything. What XState itself leaves `undefined` stays. */
function flawInLogic(
  draft: Draft,
  ref: ActorRef,
  now: LiveSnapshot,
  before: LiveSnapshot | undefined,
  path: string,
): Flaw | undefined {
  noticed.undefined = false
  const flaw = findFlaw(now.error === undefined ? now : { ...now, error: undefined }, before, path, -1, noticed)
  if (flaw === undefined && noticed.undefined) draft.begin(ref, withoutUndefined(now, before))
  return flaw
}
