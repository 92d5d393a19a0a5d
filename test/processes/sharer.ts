import { createInterface } from 'node:readline'
import { defineMachine, invocation } from 'xmachines'
import { assign, fromPromise, setup } from 'xstate'
import { platform } from '../../src/actors/environment.ts'
import { createHostIn } from '../../src/actors/host/index.ts'
import { openAt, type StoreAt } from './opened.ts'

/** What a sharer is told: where, and what becomes of its promise after a crash. */
export interface Share extends StoreAt {
  readonly crash: 'retry' | 'at-most-once'
  /** How many times as fast time passes: a dead process is not waited for so long. */
  readonly speed: number
}

/*
 * A process that has one run open. A line says what it does: `apply TYPE` sends an event, `finish` lets its promise resolve.
 * It ends with its input, and says on lines of its own what happens: `open`, `started N`, `applied`, `told …`.
 */
const { crash, speed, ...place } = JSON.parse(process.argv[2]!) as Share
const say = (line: string): void => void process.stdout.write(`${line}\n`)

let finish = (): void => {}
const machine = defineMachine(
  setup({
    types: {} as { context: { told: string }; events: { type: 'WORK' | 'PING' } },
    actors: {
      work: fromPromise<void>(() => {
        say(`started ${invocation().attempt}`)
        return new Promise(resolve => (finish = resolve))
      }),
    },
    actions: { tell: assign({ told: (_, { text }: { text: string }) => text }) },
  }).createMachine({
    id: 'shared',
    context: { told: '' },
    on: { PING: {} },
    initial: 'idle',
    states: {
      idle: { on: { WORK: 'working' } },
      working: {
        invoke: {
          src: 'work',
          onDone: { target: 'idle', actions: { type: 'tell', params: { text: 'done' } } },
          onError: { target: 'idle', actions: { type: 'tell', params: { text: 'interrupted' } } },
        },
      },
    },
  }),
  { invocations: { work: crash } },
)

const store = openAt(place)
// The same in every process.
const beginning = Date.UTC(2026)
const environment = {
  ...platform,
  now: () => beginning + (platform.now() - beginning) * speed,
  setTimeout: (work: () => void, ms: number) => platform.setTimeout(work, ms / speed),
}
const host = createHostIn(environment, { machine, store })
const run = await host.open({ key: 'a' })
void tell()
say('open')
for await (const line of createInterface({ input: process.stdin })) {
  const [what, type] = line.split(' ')
  if (what === 'finish') finish()
  else if (what === 'apply') {
    await run.apply({ type: type as 'WORK' | 'PING' })
    say('applied')
  }
}
await run.close()
await host.close()
await store.close()

async function tell(): Promise<void> {
  let last = ''
  for await (const { context } of run.snapshot) if (context.told !== last) say(`told ${(last = context.told)}`)
}
