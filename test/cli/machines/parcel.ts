import { fromPromise, setup } from 'xstate'
// Not the whole package: every command that takes this machine would load it a second time.
import { invocation } from '../../../src/actors/invocation.ts'
import { defineMachine } from '../../../src/actors/machine/definition.ts'
import { tell } from '../../../src/actors/machine/tell.ts'

/** Charges at the second attempt, tells the account, waits for a signature, and reminds. */
export const parcel = defineMachine(
  setup({
    types: { events: {} as { type: 'SEND' | 'SIGN' } },
    actors: {
      charge: fromPromise(async () => {
        if (invocation().attempt === 1) throw new Error('busy')
        return 7
      }),
      watch: fromPromise(() => new Promise<void>(() => {})),
    },
  }).createMachine({
    id: 'parcel',
    initial: 'idle',
    states: {
      idle: { on: { SEND: 'charging' } },
      charging: {
        after: { 3600000: 'idle' },
        invoke: { src: 'charge', id: 'payment', onDone: 'underway', onError: 'idle' },
      },
      underway: {
        entry: tell({ machine: 'account', key: 'a-1' }, { type: 'CHARGED' }),
        after: { 90000: 'reminded' },
        invoke: { src: 'watch' },
        on: { SIGN: 'signed' },
      },
      reminded: { invoke: { src: 'watch' }, on: { SIGN: 'signed' } },
      signed: {},
    },
  }),
  { invocations: { charge: { attempts: 3, crash: 'retry', backoff: { initial: 1 } } } },
)
