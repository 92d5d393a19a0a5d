import { createMachine } from 'xstate'

export default createMachine({ id: 'plain' })
export const other = createMachine({ id: 'other' })
