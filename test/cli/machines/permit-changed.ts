import { permit } from '../../../examples/permits/machine.ts'

/** The permit as in the example, but for one rule: T09 is no advice any more. */
export default permit.provide({ guards: { isAdvice: ({ event }) => /^T0[78]/.test(event.type) } })
