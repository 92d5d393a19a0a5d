import { XMachinesError } from '../../../src/actors/errors.ts'

/** The error of the package that `call` throws; anything else fails the test. */
export function refusalOf(call: () => unknown): XMachinesError {
  try {
    call()
  } catch (thrown) {
    if (XMachinesError.is(thrown)) return thrown
    throw thrown
  }
  throw new Error('nothing was refused')
}
