import type { createHost, Store } from 'xmachines'
import { ownersOf } from '../../src/actors/run/owners.ts'
import type { Program } from './counters.ts'
import type { Doom } from './crash-points.ts'
import { type Effect, programMachine } from './program.ts'

export const runs = ['a', 'b'] as const

/** What the sender of an instruction was told: where its unit is. */
export interface Acknowledged {
  readonly run: string
  readonly id: string
  readonly seq: number
  readonly at: number
}

/** What a life has to do, and where it leaves traces. */
export interface Task {
  /** Makes a host, in the life's environment. */
  readonly host: typeof createHost
  readonly store: Store
  readonly program: Program
  /** The world outside sees an effect. */
  readonly see: (effect: Effect) => void
  /** An instruction is acknowledged. */
  readonly take: (unit: Acknowledged) => void
  readonly doom: Doom
}

const pause = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms))

/** One life: sends the whole program, whatever of it was taken before, and waits until nothing is left to be done. */
export async function live({ host: createHost, store: kept, program, see, take, doom }: Task): Promise<void> {
  const store = doom.store(kept)
  // Whoever lived before is dead, and nobody waits until it has not been heard of for long.
  for await (const { beside } of kept.list())
    for (const owner of ownersOf(beside)) if ((await kept.livesUntil([owner]))[0]! > 0) await kept.renew(owner, 0)
  const machine = programMachine(async effect => {
    if (doom.meet('beforeEffect')) await new Promise(() => {})
    see(effect)
    if (doom.meet('afterEffect')) await new Promise(() => {})
    if (effect.name === 'thrown') throw new Error('declined')
  })
  const host = createHost({ machine, store, idle: 50 })
  const handles = await Promise.all(runs.map(async key => [key, await host.open({ key })] as const))
  for (const [key, run] of handles) {
    const own = program.flatMap(({ run, event }, index) => (run === key ? [{ event, id: `${index}` }] : []))
    const send = async ({ event, id }: (typeof own)[number]): Promise<void> => {
      const receipt = await run.apply(event, { id })
      if (!receipt.ok) throw receipt.error
      take({ run: run.id, id, seq: receipt.seq, at: receipt.at })
    }
    // A later hit of a point needs appends that come one after the other.
    if (doom.isLate) for (const one of own) await send(one)
    else await Promise.all(own.map(send))
  }
  for (let quiet = false; !quiet; await pause(10)) {
    if (doom.dead) return new Promise(() => {})
    const heads = await Promise.all(handles.map(([, { id }]) => kept.head(id)))
    quiet = heads.every(head => head!.due === null && head!.beside.process === null)
  }
  // Passivated: a snapshot is kept.
  await Promise.all(handles.map(([, run]) => run.close()))
  await host.close()
}
