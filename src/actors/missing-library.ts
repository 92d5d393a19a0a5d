import { messageOf, XMachinesError } from './errors.ts'

/**
 * An optional library that could not be imported. It is not always that nobody installed it: a bundle may hold it and yet be
 * unable to load it.
 *
 * @param needs what is needed by whom: '`kafkaBroker` needs the package kafkajs'
 * @param install what `npm install` takes
 * @param cause what the import failed with
 */
export function missingLibrary(needs: string, name: string, install: string, cause: unknown): XMachinesError {
  const message = isNotFound(cause, name)
    ? `${needs}, which is not installed: npm install ${install}`
    : `${needs}, which cannot be loaded: ${messageOf(cause)}. Install it (npm install ${install}); in a bundle, mark it as external.`
  return new XMachinesError('LIBRARY_MISSING', message, { cause, details: { package: name } })
}

/** Node says one of the two codes, and so do bundlers for what they left out. */
function isNotFound(cause: unknown, name: string): boolean {
  const { code } = (cause ?? {}) as { readonly code?: unknown }
  return (code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND') && messageOf(cause).includes(`'${name}'`)
}
