import { type OpenRunOptions, openRun, type Receipt, type Run, type Store, type Strictness, type Unit } from 'xmachines'
import type { AnyStateMachine } from 'xstate'
import type { ScriptStep } from '../arbitraries/machine-description.ts'

/** Everything that counts of a run: what it is, and the history that led there. */
export interface Played {
  readonly id: string
  readonly state: unknown
  readonly units: readonly unknown[]
  readonly receipts: readonly unknown[]
}

/** How a script is played: the result must not depend on it. */
export interface Manner {
  /** Awaits every receipt before the next event, or sends all at once. */
  readonly overlapped?: boolean
  /** Closes and opens the run again after these steps. */
  readonly reopen?: (step: number) => boolean
  /** @default as tests do: strictly */
  readonly strict?: Strictness
  /** Who looks on. */
  readonly watched?: Pick<OpenRunOptions, 'inspect' | 'telemetry'>
}

/** Plays a script on the run of a key, in source time. */
export async function play(
  machine: AnyStateMachine,
  script: readonly ScriptStep[],
  store: Store,
  manner: Manner = {},
): Promise<Played> {
  const open = () => openPlayed(machine, store, manner.strict, manner.watched)
  let run = await open()
  const receipts: Promise<unknown>[] = []
  let at = 0
  for (const [index, step] of script.entries()) {
    if (step.does === 'pass') at += step.ms
    const settled =
      step.does === 'pass'
        ? run.advance(at)
        : run.apply((step.does === 'batch' ? step.events : step.event) as never, { at }).then(shownReceipt)
    receipts.push(settled)
    if (manner.overlapped !== true) await settled
    if (manner.reopen?.(index) === true) {
      await settled
      await run.close()
      run = await open()
    }
  }
  const played = {
    id: run.id,
    receipts: await Promise.all(receipts),
    state: persisted(run),
    units: await unitsOf(store, run.id),
  }
  await run.close()
  return played
}

/** The run that {@link play} plays on. */
export function openPlayed(
  machine: AnyStateMachine,
  store: Store,
  strict?: Strictness,
  watched?: Manner['watched'],
): Promise<Run> {
  return openRun(machine, {
    store,
    key: 'played',
    time: 'source',
    at: 0,
    strict,
    ...watched,
  }) as unknown as Promise<Run>
}

/** The state as XState persists it: value, context, status, history, and all children. */
export function persisted(run: Run): unknown {
  const snapshot = run.getSnapshot()
  return JSON.parse(
    JSON.stringify({ tags: [...snapshot.tags].sort(), ...(snapshot.machine.getPersistedSnapshot(snapshot) as object) }),
  )
}

/** A history as plain values. */
export async function unitsOf(store: Store, run: string): Promise<readonly unknown[]> {
  const units: unknown[] = []
  for await (const unit of store.read(run)) units.push(shownUnit(unit))
  return units
}

export function shownUnit({ run, seq, id, at, events, origin, outputs }: Unit): unknown {
  return { run, seq, id, at, events, origin, outputs }
}

function shownReceipt(receipt: Receipt): unknown {
  return receipt.ok
    ? { ok: true, seq: receipt.seq, at: receipt.at, outputs: receipt.outputs, value: receipt.snapshot.value }
    : { ok: false, seq: receipt.seq, code: receipt.error.code }
}

/** Generated contexts throw at times: then there is no run. */
export function ignoreFirstStep(error: { readonly code?: string }): undefined {
  if (
    error.code !== 'STEP_FAILED' &&
    error.code !== 'MACHINE_UNSUPPORTED' &&
    error.code !== 'OUTPUT_NOT_JSON' &&
    error.code !== 'STATE_NOT_JSON'
  )
    throw error
  return undefined
}
