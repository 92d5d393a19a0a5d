import { createMachine } from 'xstate'

console.log('loaded')

/** Logs what it does. */
export default createMachine({ id: 'counter' })
