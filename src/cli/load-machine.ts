import { stat } from 'node:fs/promises'
import { extname, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { messageOf, XMachinesError } from '../actors/errors.ts'
import { toDefinition } from '../actors/machine/definition.ts'
import { isMachine } from '../actors/machine/xstate.ts'
import type { AnyMachine, Machines } from '../actors/run/types.ts'
import { printable } from './text.ts'

/** Files that Node itself runs on every version. All else goes through a loader that knows TypeScript. */
const native: ReadonlySet<string> = new Set(['.js', '.mjs', '.cjs'])

/**
 * The machines that `--machine FILE[#export]`, once or several times, names: the first makes new runs, the others go on
 * with the runs of their version.
 *
 * @throws MODULE_INVALID that names what was found instead; MACHINE_UNSUPPORTED
 */
export async function loadMachines(references: readonly string[]): Promise<Machines> {
  const machines: AnyMachine[] = []
  for (const reference of references) machines.push(...(await loadOne(reference)))
  for (const machine of machines) toDefinition(machine) // what no run can hold is said before anything happens
  return machines as unknown as Machines
}

/** What the machines are called, whichever their version. */
export function machineIds(machines: Machines): readonly string[] {
  return ([machines].flat() as readonly AnyMachine[]).map(machine => toDefinition(machine).machine.id)
}

/** The error of a store whose runs are all of other machines. */
export function noneIsOf(machines: readonly string[], others: ReadonlySet<string>): XMachinesError {
  const [given, found] = [new Set(machines), others].map(ids => [...ids].map(printable).join(', '))
  const text = `No run is of machine ${given}: all that there are, are of ${found}. Give the module that exports theirs.`
  return new XMachinesError('MACHINE_MISMATCH', text, { details: { given: [...machines], found: [...others] } })
}

async function loadOne(reference: string): Promise<readonly AnyMachine[]> {
  const { file, name } = await splitReference(reference)
  const exported = await importModule(file)
  if (name !== undefined) {
    if (!Object.hasOwn(exported, name)) throw invalid(reference, `has no export '${name}'. ${describe(exported)}`)
    return (
      machinesOf(exported[name]) ??
      fail(reference, `exports '${name}', which is ${kindOf(exported[name])} and no machine. ${describe(exported)}`)
    )
  }
  const byDefault = machinesOf(exported.default)
  if (byDefault !== undefined) return byDefault
  // The same machine under two names is one machine.
  const found = new Map(
    Object.entries(exported)
      .filter(([, value]) => isAnyMachine(value))
      .map(([key, value]) => [value, key]),
  )
  if (found.size === 1) return [...found.keys()] as AnyMachine[]
  if (found.size === 0) throw invalid(reference, `exports no machine. ${describe(exported)}`)
  throw invalid(
    reference,
    `exports several machines. Name one: ${[...found.values()].map(key => `${file}#${key}`).join(', ')}.`,
  )
}

/** A `#` may be part of a file's name: the file that is there decides. */
async function splitReference(
  reference: string,
): Promise<{ readonly file: string; readonly name: string | undefined }> {
  const isFile = (path: string): Promise<boolean> =>
    stat(path).then(
      found => found.isFile(),
      () => false,
    )
  if (await isFile(reference)) return { file: reference, name: undefined }
  const at = reference.lastIndexOf('#')
  const file = at < 0 ? reference : reference.slice(0, at)
  if (!(await isFile(file))) throw invalid(reference, 'is not a file.')
  return { file, name: reference.slice(at + 1) || undefined }
}

async function importModule(file: string): Promise<Readonly<Record<string, unknown>>> {
  const path = resolve(file)
  const url = pathToFileURL(path).href
  // Node would end the process with 13, and say nothing.
  let giveUp!: () => void
  const stuck = new Promise<never>((_, reject) => {
    giveUp = () => reject(new Error('what it awaits at its top level never comes.'))
  })
  process.once('beforeExit', giveUp)
  try {
    return await Promise.race([stuck, native.has(extname(path)) ? import(url) : importByJiti(path, url)])
  } catch (cause) {
    const why = messageOf(cause)
      .split('\n')
      .map(line => line.trim())
      .filter(line => line !== '')
      .join(' ')
    throw invalid(file, `could not be loaded: ${why}`, cause)
  } finally {
    process.off('beforeExit', giveUp)
  }
}

async function importByJiti(path: string, url: string): Promise<Readonly<Record<string, unknown>>> {
  const { createJiti } = await import('jiti')
  return createJiti(url).import<Record<string, unknown>>(path)
}

function machinesOf(value: unknown): readonly AnyMachine[] | undefined {
  if (isAnyMachine(value)) return [value]
  return Array.isArray(value) && value.length > 0 && value.every(isAnyMachine) ? value : undefined
}

/** A plain machine, or what `defineMachine` made of one, of any copy of the packages. */
function isAnyMachine(value: unknown): value is AnyMachine {
  return (
    isMachine(value) || (typeof value === 'object' && value !== null && 'machine' in value && isMachine(value.machine))
  )
}

function describe(exported: Readonly<Record<string, unknown>>): string {
  const names = Object.keys(exported)
    .filter(key => key !== '__esModule' && key !== 'module.exports')
    .sort()
  if (names.length === 0) return 'It exports nothing.'
  return `It exports ${names.map(key => `${key} (${kindOf(exported[key])})`).join(', ')}.`
}

function kindOf(value: unknown): string {
  if (isAnyMachine(value)) return 'a machine'
  if (Array.isArray(value)) return 'an array'
  return value === null
    ? 'null'
    : value === undefined
      ? 'undefined'
      : `${/^[aeiou]/.test(typeof value) ? 'an' : 'a'} ${typeof value}`
}

function fail(reference: string, what: string): never {
  throw invalid(reference, what)
}

function invalid(reference: string, what: string, cause?: unknown): XMachinesError {
  return new XMachinesError('MODULE_INVALID', `${reference} ${what}`, { details: { file: reference }, cause })
}
