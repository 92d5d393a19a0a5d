import { assign } from 'xstate'
import { counter as before } from './counter.ts'

/** Under the same config, code that counts otherwise. */
export const counter = before.provide({
  actions: { add: assign(({ context }) => ({ count: context.count + 100 })) },
})
