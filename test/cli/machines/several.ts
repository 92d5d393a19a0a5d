import { createMachine } from 'xstate'

export const first = createMachine({ id: 'first' })
export const second = createMachine({ id: 'second' })
export const answer = 42
