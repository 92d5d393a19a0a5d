import { defineMachine, invocation } from 'xmachines'
import { memoryStore } from 'xmachines/persistence/memory'
import { assign, fromPromise, setup } from 'xstate'
import { createHostIn } from '../../../src/actors/host/index.ts'
import { openRunIn } from '../../../src/actors/run/open.ts'
import { faultyStore } from '../../../src/testing/faulty-store.ts'
import { VirtualEnvironment } from '../supervisor/virtual-environment.ts'

const parts = ['A', 'B', 'C'] as const
type Part = (typeof parts)[number]

/** One attempt of a part. */
export interface Work {
  readonly part: Part
  readonly attempt: number
  finish(): void
}

/** A machine of three parts, each with a promise of its own, that several processes work on. */
function machineOf(crash: 'retry' | 'at-most-once', works: Work[]) {
  type Telling = { readonly type: 'tell'; readonly params: { readonly text: string } }
  const tell = (text: string): Telling => ({ type: 'tell', params: { text } })
  const part = (name: Part) => ({
    initial: 'idle' as const,
    states: {
      idle: { on: { [name]: 'working' as const } },
      working: {
        invoke: {
          src: 'work' as const,
          id: name,
          input: name,
          onDone: { target: 'idle' as const, actions: tell(`${name} done`) },
          onError: { target: 'idle' as const, actions: tell(`${name} interrupted`) },
        },
      },
    },
  })
  const plain = setup({
    types: {} as { context: { told: readonly string[] }; events: { type: Part | 'PING' } },
    actors: {
      work: fromPromise<void, Part>(({ input }) => {
        const { attempt } = invocation()
        return new Promise(finish => works.push({ part: input, attempt, finish }))
      }),
    },
    actions: { tell: assign({ told: ({ context }, { text }: { text: string }) => [...context.told, text] }) },
  }).createMachine({
    id: 'shared',
    context: { told: [] },
    type: 'parallel',
    on: { PING: {} },
    states: { A: part('A'), B: part('B'), C: part('C') },
  })
  return defineMachine(plain, { invocations: { work: crash } })
}

/** Processes that share a store. Time passes for each of them alone: where it stands still, the process is dead. */
export function sharing(crash: 'retry' | 'at-most-once' = 'retry') {
  const memory = memoryStore()
  const works: Work[] = []
  const machine = machineOf(crash, works)

  function start(name: string) {
    const time = new VirtualEnvironment(name)
    const store = faultyStore(memory)
    return {
      name,
      time,
      store,
      open: (key = 'a') => openRunIn(time, machine, { store, key }),
      host: () => createHostIn(time, { machine, store }),
    }
  }

  /** Time passes for these, a second after the other. */
  async function pass(ms: number, ...processes: readonly { readonly time: VirtualEnvironment }[]): Promise<void> {
    const until = Math.max(...processes.map(({ time }) => time.now())) + ms
    for (let now = until - ms; now < until; now += 1_000)
      for (const { time } of processes) await time.advance(Math.max(0, now + 1_000 - time.now()))
  }

  return {
    memory,
    start,
    pass,
    /** What was started, in order. */
    get started(): readonly string[] {
      return works.map(({ part, attempt }) => `${part}${attempt}`)
    },
    finish: (part: Part) => works.findLast(work => work.part === part)!.finish(),
    /** Who has what in flight, by part; the one that is named comes first. */
    async owners(run: { readonly id: string }): Promise<readonly [string | null, Record<string, string>]> {
      const { process, owners } = (await memory.head(run.id))!.beside
      return [process, Object.fromEntries(Object.entries(owners).map(([key, owner]) => [key.at(-1)!, owner]))]
    },
  }
}
