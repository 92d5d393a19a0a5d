import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openRun, type Store } from 'xmachines'
import { fileStore } from 'xmachines/persistence/filesystem'
import { memoryStore } from 'xmachines/persistence/memory'
import { assign, createActor, fromPromise, setup } from 'xstate'
import { type Comparison, compare, type Side } from './compare.ts'

const actors = 1_000
const each = 20

/** Works `each` times in a row: every promise starts the next one. */
function workerOf(finished: () => void) {
  return setup({
    types: {} as { context: { done: number }; events: { type: 'GO' } },
    actors: { work: fromPromise(async ({ input }: { input: number }) => input + 1) },
  }).createMachine({
    id: 'worker',
    context: { done: 0 },
    initial: 'idle',
    states: {
      idle: { on: { GO: 'working' } },
      working: {
        invoke: {
          src: 'work',
          input: ({ context }) => context.done,
          onDone: [
            {
              guard: ({ context }) => context.done < each - 1,
              target: 'working',
              reenter: true,
              actions: assign({ done: ({ event }) => event.output }),
            },
            { target: 'idle', actions: [assign({ done: 0 }), finished] },
          ],
        },
      },
    },
  })
}

/** A count of ends that somebody waits for. */
class Countdown {
  #left = actors
  #done = (): void => {}
  readonly over = new Promise<void>(resolve => (this.#done = resolve))
  readonly tick = (): void => {
    if (--this.#left === 0) this.#done()
  }
}

/** Both sides have their actors before the measure begins: it is of invocations, not of how many actors start in a second. */
function bareSide(): Side {
  let countdown: Countdown
  let started: { send(event: { type: 'GO' }): void }[] = []
  return {
    name: 'XState',
    prepare() {
      countdown = new Countdown()
      const machine = workerOf(countdown.tick)
      started = Array.from({ length: actors }, () => createActor(machine).start())
    },
    async run() {
      for (const actor of started) actor.send({ type: 'GO' })
      await countdown.over
      return actors * each
    },
  }
}

function onStore(name: string, open: () => { readonly store: Store; remove(): void }): Side {
  let store: Store
  let remove = (): void => {}
  let countdown: Countdown
  let runs: { apply(event: { type: 'GO' }): Promise<unknown> }[] = []
  return {
    name,
    async prepare() {
      ;({ store, remove } = open())
      countdown = new Countdown()
      const machine = workerOf(countdown.tick)
      runs = await Promise.all(Array.from({ length: actors }, (_, i) => openRun(machine, { store, key: `w-${i}` })))
    },
    async run() {
      await Promise.all(runs.map(run => run.apply({ type: 'GO' })))
      await countdown.over
      return actors * each
    },
    async after() {
      await store.close()
      remove()
    },
  }
}

/** Promises from their start to their recorded outcome, a thousand runs side by side, against XState resolving the same ones. */
export async function effects(): Promise<Comparison[]> {
  const onDisk = () => {
    const path = mkdtempSync(join(tmpdir(), 'xmachines-bench-'))
    return { store: fileStore(path), remove: () => rmSync(path, { recursive: true, force: true }) }
  }
  return [
    await compare(
      'effects: promises, memory',
      0.5,
      bareSide(),
      onStore('runs', () => ({ store: memoryStore(), remove() {} })),
      5,
    ),
    await compare('effects: promises, file', 0.5, bareSide(), onStore('runs', onDisk), 5),
  ]
}
