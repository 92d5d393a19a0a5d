import { openRun, type Run, type Store, tell } from 'xmachines'
import { memoryStore } from 'xmachines/persistence/memory'
import { type AnyActorRef, createActor, sendTo, setup } from 'xstate'
import { type Comparison, compare, type Side } from './compare.ts'

const mails = 20_000
/** Mails that one unit sends. */
const batch = 100

interface Counting {
  readonly events: { type: 'PING' } | { type: 'SEND' }
}

/** Counts what comes in, outside of its context: copying that is not what is measured. */
function receiverOf(heard: () => void) {
  return setup({ types: {} as Counting }).createMachine({ id: 'receiver', on: { PING: { actions: heard } } })
}

/** Sends `batch` events at a time. */
const sender = setup({ types: {} as Counting }).createMachine({
  id: 'sender',
  on: {
    SEND: { actions: Array.from({ length: batch }, () => tell({ machine: 'receiver', key: 'r' }, { type: 'PING' })) },
  },
})

function bareSenderOf(receiver: AnyActorRef) {
  return setup({ types: {} as Counting }).createMachine({
    id: 'sender',
    on: { SEND: { actions: Array.from({ length: batch }, () => sendTo(receiver, { type: 'PING' })) } },
  })
}

const bare: Side = {
  name: 'XState',
  run() {
    let heard = 0
    const receiver = createActor(receiverOf(() => void heard++)).start()
    const actor = createActor(bareSenderOf(receiver)).start()
    for (let sent = 0; sent < mails; sent += batch) actor.send({ type: 'SEND' })
    if (heard !== mails) throw new Error(`The actor heard ${heard} of ${mails}.`)
    return mails
  },
}

let store: Store
let runs: readonly Run[]
let over: Promise<void>

const ours: Side = {
  name: 'runs',
  async prepare() {
    store = memoryStore()
    let heard = 0
    let finish = (): void => {}
    over = new Promise(resolve => (finish = resolve))
    const receiver = receiverOf(() => void (++heard === mails && finish()))
    runs = (await Promise.all([
      openRun(sender, { store, key: 's' }),
      openRun(receiver, { store, key: 'r' }),
    ])) as unknown as readonly Run[]
  },
  async run() {
    const [from] = runs as readonly [Run<typeof sender>]
    for (let sent = 0; sent < mails; sent += batch) void from.apply({ type: 'SEND' })
    await over
    return mails
  },
  async after() {
    for (const run of runs) await run.close()
    await store.close()
  },
}

/** Events between two runs in memory, each recorded on both sides, against events between two actors. */
export async function tells(): Promise<Comparison[]> {
  return [await compare('tell: run to run, memory', 0.3, bare, ours, 5)]
}
