import type {
  AppendItem,
  Claim,
  DueQuery,
  HeadOptions,
  LeaseKey,
  Mail,
  ReadOptions,
} from '../actors/contracts/store.ts'
import type { SourcePosition } from '../actors/contracts/unit.ts'

/*
 * What no caller may hand in to any store. A number that JSON cannot hold is among it: what is written with one could not
 * be read again, and with it all that the same log keeps.
 */

/**
 * Refuses what no correct caller hands in: a gap between the units, a creation that is not one, a machine that is missing.
 *
 * @throws TypeError that names the run, what was expected and what came
 */
export function validateItem(item: AppendItem): void {
  const { run, expected, units } = item
  if (typeof run !== 'string' || run === '') throw misuse(run, '`run`', 'the id of a run', run)
  if (!Array.isArray(units)) throw misuse(run, '`units`', 'an array', units)
  const first = units[0]
  const creation = first?.creation
  if (expected === null) {
    if (creation === undefined) throw misuse(run, '`units[0].creation`', 'there, as `expected` is null', creation)
    if (item.machine?.oid !== (machineAfter(item) ?? creation.machine)) {
      throw misuse(run, '`machine.oid`', `${creation.machine}, as the creation says`, item.machine?.oid)
    }
  } else {
    if (!Number.isSafeInteger(expected?.seq) || !Number.isSafeInteger(expected.revision)) {
      throw misuse(run, '`expected`', 'null or { seq, revision }, whole numbers', expected)
    }
    const machine = machineAfter(item)
    if (item.machine?.oid !== machine) throw misuse(run, '`machine.oid`', `${machine}`, item.machine?.oid)
  }
  const start = expected === null ? (creation?.fork?.at ?? 0) : expected.seq + 1
  for (let index = 0; index < units.length; index++) {
    const unit = units[index]!
    if (unit.seq !== start + index) throw misuse(run, `\`units[${index}].seq\``, `${start + index}`, unit.seq)
    if (!Number.isFinite(unit.at) || !Array.isArray(unit.events) || !Array.isArray(unit.outputs) || !unit.origin) {
      throw misuse(run, `\`units[${index}]\``, 'a unit with at, events, origin and outputs', unit)
    }
    if (unit.creation !== undefined && (index > 0 || expected !== null)) {
      throw misuse(run, `\`units[${index}].creation\``, 'absent: the run exists already', 'a creation')
    }
    if (unit.sources !== undefined) for (const source of unit.sources) refuseOtherPosition(run, source)
  }
  if (typeof item.due === 'number' && !Number.isFinite(item.due)) throw misuse(run, '`due`', 'a time or null', item.due)
  if (item.lease !== undefined) validateLease(item.lease, item.lease.epoch)
  if (item.beside?.process) validateProcess(item.beside.process)
  for (const source of item.beside?.sources ?? []) refuseOtherPosition(run, source)
  for (const source of item.beside?.refused ?? []) refuseOtherPosition(run, source)
}

/**
 * Refuses a time that no store could keep, and a name.
 *
 * @throws TypeError
 */
export function validateRenewal(process: string, until: number): void {
  validateProcess(process)
  if (!Number.isFinite(until)) {
    throw new TypeError(`Expected \`until\` of process ${process} to be milliseconds since 1970, got ${until}.`)
  }
}

/**
 * Refuses a range that names no units, and would give none without a word.
 *
 * @throws TypeError
 */
export function validateRange(run: string, { from, to }: ReadOptions): void {
  for (const [name, seq] of Object.entries({ from, to })) {
    if (seq !== undefined && seq !== Number.POSITIVE_INFINITY && !Number.isInteger(seq))
      throw new TypeError(`Expected \`${name}\` of a reading of run ${run} to be a whole number, got ${String(seq)}.`)
  }
}

/**
 * Refuses how much of the mail nobody can be shown.
 *
 * @throws TypeError
 */
export function validateHead(run: string, { mail = 0 }: HeadOptions = {}): void {
  if (mail !== Number.POSITIVE_INFINITY && !(Number.isSafeInteger(mail) && mail >= 0))
    throw new TypeError(`Expected \`mail\` of the head of run ${run} to be a whole number from 0, got ${String(mail)}.`)
}

/**
 * Refuses a partition that no broker has, and an epoch that no claim was given: not every store could tell it from others.
 *
 * @throws TypeError
 */
export function validateLease({ namespace, partition }: LeaseKey, epoch = 0): void {
  if (typeof namespace !== 'string')
    throw new TypeError(`Expected \`namespace\` of a partition to be text, got ${typeof namespace}.`)
  for (const [name, number] of [['partition', partition] as const, ['epoch', epoch] as const]) {
    if (Number.isSafeInteger(number)) continue
    throw new TypeError(`Expected \`${name}\` in ${namespace} to be a whole number, got ${String(number)}.`)
  }
}

/**
 * Refuses a claim of what is no partition, for nobody, or above what is no epoch.
 *
 * @throws TypeError
 */
export function validateClaim({ owner, group, above = 0, ...key }: Claim): void {
  validateLease(key)
  for (const [name, text] of Object.entries({ owner, group }))
    if (typeof text !== 'string') throw new TypeError(`Expected \`${name}\` of a claim to be text, got ${typeof text}.`)
  // The next one is still to be told from it.
  if (!Number.isSafeInteger(above + 1) || above < 0)
    throw new TypeError(`Expected \`above\` of a claim to be a whole number from 0, got ${String(above)}.`)
}

/**
 * Refuses a question that no store could answer.
 *
 * @throws TypeError
 */
export function validateDue({ before, limit, lease }: DueQuery): void {
  if (typeof before !== 'number' || Number.isNaN(before))
    throw new TypeError(`Expected \`before\` of \`due\` to be milliseconds since 1970, got ${String(before)}.`)
  if (!Number.isInteger(limit) && limit !== Number.POSITIVE_INFINITY)
    throw new TypeError(`Expected \`limit\` of \`due\` to be a whole number, got ${String(limit)}.`)
  if (lease !== undefined) validateLease(lease)
}

/**
 * Refuses mail that no unit has sent: its place tells it from the rest.
 *
 * @throws TypeError
 */
export function validateMail(mail: readonly Mail[]): void {
  for (const { sender, seq, index } of mail) {
    if (Number.isSafeInteger(seq) && Number.isSafeInteger(index)) continue
    throw new TypeError(
      `Expected mail of run ${sender} to have a whole number as \`seq\` and \`index\`, got ${seq} and ${index}.`,
    )
  }
}

/** A longer name fits into no index of a server. */
const longestProcess = 256

function validateProcess(process: string): void {
  if (typeof process !== 'string' || process.length > longestProcess)
    throw new TypeError(
      `Expected the name of a process to have up to ${longestProcess} characters, got ${process.length}.`,
    )
}

function refuseOtherPosition(run: string, { id, position }: SourcePosition): void {
  if (typeof id !== 'string') throw misuse(run, '`id` of a source', 'text', id)
  if (typeof position !== 'bigint' && !Number.isFinite(position))
    throw misuse(run, `\`position\` of source ${id}`, 'a bigint or a finite number', position)
}

/** The machine that the item's units go over to, if they do. */
function machineAfter(item: AppendItem): string | undefined {
  for (let index = item.units.length - 1; index >= 0; index--) {
    const machine = item.units[index]!.machine
    if (machine !== undefined) return machine
  }
  return undefined
}

function misuse(run: unknown, place: string, wanted: string, got: unknown): TypeError {
  const shown = typeof got === 'object' && got !== null ? 'an object' : String(got)
  return new TypeError(
    `Expected ${place} of the item for run ${String(run)} to be ${wanted}; got ${shown} (${typeof got}).`,
  )
}
