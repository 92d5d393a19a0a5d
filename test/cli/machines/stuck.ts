import { createMachine } from 'xstate'

await new Promise(() => {})

export default createMachine({ id: 'stuck' })
