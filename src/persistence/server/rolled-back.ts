import { XMachinesError } from '../../actors/errors.ts'

/** The error of a server that was put back to an older state. @param what it has forgotten @param run whose units they are */
export function rolledBack(location: string, what: string, run?: string): XMachinesError {
  const found = `The server of ${location} has forgotten ${what}: it failed over, or was restored from a copy.`
  const message = `${found} Decide which history holds, and then make a new store.`
  return new XMachinesError('STORE_ROLLED_BACK', message, { details: { location, ...(run !== undefined && { run }) } })
}
